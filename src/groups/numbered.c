#include "groups/numbered.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "config/config.h"
#include "data/jitter.h"
#include "data/known_senders.h"
#include "data/notice.h"
#include "formats/mpeg_ts.h"
#include "formats/numbers.h"
#include "groups/group.h"

/* What is kept of a sender, or of one of its streams. */
struct stream {
	bool is_numbered; /* else its datagrams were not of the format, and the rest is zero */
	struct jitter jitter;
	struct sequence sequence;
};

/* When none of the first datagrams is numbered, sequence is wrong. */
#define DOUBTFUL_MAX 100

struct ts_stream {
	struct mpeg_ts ts;
};

static bool is_ts(const struct numbered *numbered)
{
	return numbered->numbering.kind == NUMBERING_MPEG_TS;
}

/* Datagrams that are numbered or not: all but replies. */
static uint64_t examined(const struct group_counters *group)
{
	return group->received - group->replies;
}

/* What came until now is not counted. */
static void begin_counting(struct numbered_counters *counters, const struct group_counters *group)
{
	counters->before = examined(group) - (counters->numbered + counters->unnumbered);
}

/* Whether each numbered datagram has one number, which is counted. */
static bool are_single(enum numbering_kind kind)
{
	return kind != NUMBERING_MOLDUDP64 && kind != NUMBERING_MPEG_TS;
}

/* An earlier run may have been killed between counting what it received and counting its numbers.
 */
static void settle(struct numbered *numbered, const struct group_counters *group)
{
	struct numbered_counters *counters = numbered->counters;
	uint64_t known, missing;

	if (are_single(numbered->numbering.kind))
		counters->numbered = counters->unique + counters->duplicates + counters->late;
	known = counters->numbered + counters->unnumbered;
	missing = examined(group) - counters->before - known;
	if (known && missing <= BATCH_MAX)
		counters->unnumbered += missing;
	else
		begin_counting(counters, group);
}

int numbered_init(struct numbered *numbered, struct counters *counters,
	const struct config_group *config, const struct group_counters *group,
	const struct numbered *replaced)
{
	char key[GROUP_NAME_MAX + 16], why[WHY_MAX];

	if (!config->sequence || numbering_parse(config->sequence, &numbered->numbering, why) < 0)
		return 0;
	numbered->step = (uint32_t)config->step;
	if (replaced && replaced->counters) {
		numbered->counters = replaced->counters;
		numbered->shares_counters = true;
		return 0;
	}
	snprintf(key, sizeof(key), "numbered %s", config->name);
	numbered->counters = counters_take(
		counters, key, sizeof(*numbered->counters), numbered_counters_members());
	if (!numbered->counters)
		return -ENOMEM;
	settle(numbered, group);
	numbered->is_settled = numbered->counters->numbered; /* by an earlier run */
	return 0;
}

uint64_t numbered_received(const struct group *group)
{
	return examined(group->counters) - group->numbered.counters->before;
}

void numbered_clear(struct numbered *numbered, struct counters *counters)
{
	if (!numbered->shares_counters)
		counters_release(counters, numbered->counters);
	*numbered = (struct numbered){0};
}

bool numbered_goes_on(const struct numbered *numbered, const struct numbered *from)
{
	return numbered->step == from->step &&
	       !memcmp(&numbered->numbering, &from->numbering, sizeof(numbered->numbering));
}

/* Whether the numbers of both add up in the same way. */
static bool counts_same(const struct numbered *numbered, const struct numbered *from)
{
	enum numbering_kind kind = numbered->numbering.kind, old = from->numbering.kind;

	return kind == old || (are_single(kind) && are_single(old));
}

void numbered_inherit(
	struct numbered *numbered, struct numbered *from, const struct group_counters *group)
{
	bool is_shared = numbered->counters && numbered->counters == from->counters;

	if (numbered_goes_on(numbered, from)) {
		numbered->is_settled = from->is_settled;
		numbered->doubtful = from->doubtful;
	}
	numbered->shares_counters = false;
	from->shares_counters = is_shared;
	if (is_shared && counts_same(numbered, from))
		return;
	if (is_shared) {
		*numbered->counters = (struct numbered_counters){0};
		from->counters = NULL;
	}
	if (numbered->counters)
		begin_counting(numbered->counters, group);
}

/* The time of arrival tells whether a jump is loss: what the socket dropped in between, too, though
 * what was before and after it is read at once. */
unsigned numbered_needs(const struct numbered *numbered)
{
	if (!numbered->counters)
		return 0;
	return NEED_DATAGRAMS | NEED_SOURCE | (is_ts(numbered) ? 0 : NEED_TIMESTAMP) |
	       (numbers_reach(&numbered->numbering) > PAYLOAD_HEAD ? NEED_PAYLOAD : 0);
}

/* What is open will not be waited for any more. */
static void forget(void *more, void *argument)
{
	const struct stream *stream = more;
	struct numbered_counters *counters = argument;

	if (stream->is_numbered)
		counters->lost += sequence_open(&stream->sequence);
}

static void forget_nothing(void *more, void *argument)
{
	(void)more, (void)argument;
}

struct known_senders *numbered_new_senders(const struct numbered *numbered)
{
	bool ts = is_ts(numbered);

	return known_senders_new(&(struct known_senders_more){
		.size = ts ? sizeof(struct ts_stream)
			   : sizeof(struct stream) + SEQUENCE_SEEN_SIZE(SEQUENCE_WINDOW),
		.forget = ts ? forget_nothing : forget,
		.argument = numbered->counters});
}

/* ---- Events ---- */

/* Tells what count numbers of a stream, or packets, are or were. */
static void tell(struct group *group, enum notice_kind kind, const struct origin *origin,
	const struct datagram *datagram, uint64_t count, const char *what)
{
	struct address source = endpoint_address(&datagram->source);
	char address[INET6_ADDRSTRLEN], text[WHY_MAX];

	snprintf(text, sizeof(text), "group %s: %" PRIu64 " %s%s of %s %s on %s",
		group->config->name, count, is_ts(&group->numbered) ? "discontinuit" : "number",
		is_ts(&group->numbered) ? (count == 1 ? "y" : "ies") : plural(count),
		address_format(&source, address), what, origin->interface);
	notice_send(group->context->notices, &(struct notice){.kind = kind,
						     .group = group->config->name,
						     .interface = origin->interface,
						     .source = &source,
						     .count = count,
						     .level = LOG_NOTICE,
						     .text = text});
}

/* A number that one leg brings after a higher one of another is as it should be, so that only loss
 * is told of a merged group. */
static void tell_merged(struct group *group, uint64_t lost)
{
	char text[WHY_MAX];

	snprintf(text, sizeof(text), "group %s: %" PRIu64 " number%s never came by any of its legs",
		group->config->name, lost, plural(lost));
	notice_send(group->context->notices, &(struct notice){.kind = NOTICE_LOSS,
						     .group = group->config->name,
						     .count = lost,
						     .level = LOG_NOTICE,
						     .text = text});
}

/* ---- Counting ---- */

/* One after another, as what came before a batch of one stream is told once. */
struct run {
	struct group *group;
	const struct origin *origin;
	const struct datagram *last; /* of the stream */
	struct stream *stream; /* NULL: none yet */
	uint64_t key[2]; /* of the stream */
	struct sequence_counts before;
};

static void add(struct numbered_counters *counters, const struct sequence_counts *now,
	const struct sequence_counts *before)
{
	counters->unique += now->unique - before->unique;
	counters->lost += now->lost - before->lost;
	counters->reordered += now->reordered - before->reordered;
	counters->duplicates += now->duplicates - before->duplicates;
	counters->late += now->late - before->late;
	counters->restarts += now->restarts - before->restarts;
}

/* Logs once that nothing is of the format: then no loss is seen, either. */
static void doubt_format(struct group *group, uint64_t numbered, unsigned unnumbered)
{
	const struct config_group *config = group->config;
	struct numbered *own = &group->numbered;

	if (own->is_settled)
		return;
	own->doubtful += unnumbered;
	own->is_settled = numbered || own->doubtful >= DOUBTFUL_MAX;
	if (!numbered && own->is_settled)
		log_warning("group %s: none of the first %u datagrams is numbered as sequence = "
			    "\"%s\" says, so that no loss is seen; to see what they begin with: "
			    "%s tail %s --format hex",
			config->name, own->doubtful, config->sequence, group->context->mcastctl,
			config->name);
}

void numbered_add_merged(struct group *group, const struct sequence_counts *now,
	const struct sequence_counts *before, unsigned numbered, unsigned unnumbered)
{
	struct numbered_counters *counters = group->numbered.counters;

	counters->numbered += numbered;
	counters->unnumbered += unnumbered;
	add(counters, now, before);
	if (now->lost != before->lost)
		tell_merged(group, now->lost - before->lost);
	doubt_format(group, numbered, unnumbered);
}

/* Adds what a stream has found since the run began to the group's counters, and tells it. */
static void end_run(struct run *run)
{
	const struct sequence_counts *before = &run->before, *now;
	uint64_t lost, reordered, duplicates;

	if (!run->stream)
		return;
	now = &run->stream->sequence.counts;
	lost = now->lost - before->lost;
	reordered = now->reordered - before->reordered;
	duplicates = now->duplicates - before->duplicates;
	add(run->group->numbered.counters, now, before);
	if (lost)
		tell(run->group, NOTICE_LOSS, run->origin, run->last, lost, "never came");
	if (reordered)
		tell(run->group, NOTICE_REORDER, run->origin, run->last, reordered,
			"came after a higher one");
	if (duplicates)
		tell(run->group, NOTICE_DUPLICATES, run->origin, run->last, duplicates,
			"came twice");
	run->stream = NULL;
}

static void begin_stream(const struct numbered *numbered, struct stream *stream)
{
	stream->is_numbered = true;
	sequence_init(&stream->sequence, numbered->numbering.bits, numbered->step, SEQUENCE_WINDOW);
}

/* Notes the sender. Returns its stream, or NULL without memory. */
static struct stream *find_stream(struct run *run, struct known_senders *senders,
	const struct datagram *datagram, const uint64_t key[static 2], uint64_t time_ns)
{
	const union endpoint *source = &datagram->source;

	if (!run->stream || run->key[0] != key[0] || run->key[1] != key[1] ||
		memcmp(source, &run->last->source, sizeof(*source)) != 0)
		return known_senders_note_stream(senders, run->origin, source, key, time_ns);
	known_senders_note_again(senders, time_ns);
	return run->stream;
}

static uint64_t in_order(const struct sequence_counts *counts)
{
	return counts->unique - counts->reordered;
}

static void note_number(struct run *run, struct known_senders *senders,
	const struct datagram *datagram, const struct numbers *numbers, uint64_t now_ns)
{
	const struct numbered *numbered = &run->group->numbered;
	uint64_t time_ns = datagram->timestamp_ns ? datagram->timestamp_ns : now_ns, ordered;
	struct stream *stream = find_stream(run, senders, datagram, numbers->stream, time_ns);

	if (stream != run->stream)
		end_run(run);
	if (!stream) {
		numbered->counters->unnumbered++;
		return;
	}
	numbered->counters->numbered++;
	if (!stream->is_numbered)
		begin_stream(numbered, stream);
	if (!run->stream) {
		run->stream = stream;
		memcpy(run->key, numbers->stream, sizeof(run->key));
		run->before = stream->sequence.counts;
	}
	run->last = datagram;
	ordered = in_order(&stream->sequence.counts);
	sequence_track(&stream->sequence, numbers->first, numbers->count, time_ns);
	if (numbered->numbering.kind == NUMBERING_RTP &&
		in_order(&stream->sequence.counts) != ordered)
		jitter_note(&stream->jitter, numbers->timestamp, time_ns);
}

static void note_numbers(struct group *group, struct known_senders *senders,
	const struct origin *origin, const struct datagram *datagrams, unsigned count,
	uint64_t now_ns)
{
	static const uint64_t no_stream[2];
	struct run run = {.group = group, .origin = origin};
	struct numbers numbers;

	for (unsigned i = 0; i < count; i++) {
		const struct datagram *datagram = &datagrams[i];

		if (numbers_read(&group->numbered.numbering, datagram->payload, datagram->size,
			    &numbers)) {
			note_number(&run, senders, datagram, &numbers, now_ns);
			continue;
		}
		end_run(&run);
		group->numbered.counters->unnumbered++;
		known_senders_note_stream(senders, origin, &datagram->source, no_stream, now_ns);
	}
	end_run(&run);
}

static void note_packets(struct group *group, struct known_senders *senders,
	const struct origin *origin, const struct datagram *datagram, uint64_t now_ns)
{
	static const uint64_t no_stream[2];
	struct numbered_counters *counters = group->numbered.counters;
	struct ts_stream *stream = known_senders_note_stream(
		senders, origin, &datagram->source, no_stream, now_ns);
	uint64_t packets, discontinuities;

	if (!stream) {
		counters->unnumbered++;
		return;
	}
	packets = stream->ts.packets;
	discontinuities = stream->ts.discontinuities;
	if (!mpeg_ts_count(&stream->ts, datagram->payload, datagram->size)) {
		counters->unnumbered++;
		return;
	}
	counters->numbered++;
	counters->packets += stream->ts.packets - packets;
	discontinuities = stream->ts.discontinuities - discontinuities;
	counters->discontinuities += discontinuities;
	if (discontinuities)
		tell(group, NOTICE_LOSS, origin, datagram, discontinuities, "were seen");
}

void numbered_note(struct group *group, struct known_senders *senders, const struct origin *origin,
	const struct datagram *datagrams, unsigned count)
{
	uint64_t now_ns = clock_ns(CLOCK_REALTIME_COARSE);
	uint64_t before = group->numbered.counters->numbered;

	if (!is_ts(&group->numbered))
		note_numbers(group, senders, origin, datagrams, count, now_ns);
	else
		for (unsigned i = 0; i < count; i++)
			note_packets(group, senders, origin, &datagrams[i], now_ns);
	doubt_format(group, group->numbered.counters->numbered - before, count);
}

/* ---- What is known ---- */

bool numbered_read_stream(const struct numbered *numbered, const struct known_sender *sender,
	struct stream_numbers *ret)
{
	const struct stream *stream = sender->more;
	const struct ts_stream *ts = sender->more;

	*ret = (struct stream_numbers){0};
	if (!sender->more || !numbered->counters)
		return false;
	if (is_ts(numbered)) {
		ret->packets = ts->ts.packets;
		ret->discontinuities = ts->ts.discontinuities;
		return ret->packets;
	}
	ret->counts = stream->sequence.counts;
	ret->open = sequence_open(&stream->sequence);
	ret->has_jitter = jitter_read(&stream->jitter, &ret->jitter_ns);
	return stream->is_numbered;
}

uint64_t numbered_open(const struct group *group)
{
	struct known_sender sender;
	struct stream_numbers numbers;
	unsigned cursor = 0;
	uint64_t open = group->merged ? merge_open(group->merged->merge) : 0;

	while (known_senders_next(group->sender_watch.known, &cursor, &sender))
		if (numbered_read_stream(&group->numbered, &sender, &numbers))
			open += numbers.open;
	return open;
}
