#include "data/merge.h"

#include <stdlib.h>
#include <string.h>

#include "data/spread.h"
#include "data/twins.h"

#define TWINS_SETS_OF_MERGE 16384

_Static_assert(TWINS_INTERFACES >= MERGE_LEGS_MAX, "payloads of all legs are compared");

/* What is known of a number in the window, if lap and run are those of the number: so nothing has
 * to be cleared as the window moves, however far. */
struct slot {
	uint64_t first_ns; /* when it first came */
	uint8_t copies[MERGE_LEGS_MAX]; /* by each leg; stops at its greatest value */
	uint32_t lap; /* how often the window fits below it */
	uint16_t run; /* between restarts */
	uint8_t passed;
	uint8_t first; /* the leg of first_ns */
};

/* A leg of one stream. */
struct part {
	uint64_t heard_ns; /* 0: never */
	uint64_t pause_ns; /* between two datagrams: the longest of the last ones */
	uint64_t pause_until_ns; /* when it is none of these any more */
	unsigned apart; /* the last datagrams in a row whose numbers were far from the window */
	struct sequence *own;
};

struct stream {
	uint64_t key[2];
	uint64_t heard; /* the merge's at its last datagram */
	uint64_t runs; /* of earlier streams in this memory */
	struct sequence *merged;
	struct slot *slots; /* of the numbers in the window, by their remainder */
	struct {
		uint64_t first;
		uint32_t count; /* 0: there is none */
		unsigned leg;
	} alone; /* the last numbers that one leg brought from outside of the window, and that
		    passed */
	struct part parts[MERGE_LEGS_MAX];
};

struct leg {
	struct sequence_counts counts;
	struct spread skew;
};

struct merge {
	unsigned leg_count, bits;
	uint32_t step;
	struct sequence_counts counts; /* of what has passed */
	struct leg legs[MERGE_LEGS_MAX];
	struct twins *twins; /* NULL until needed */
	unsigned last; /* the stream of the last datagram */
	uint64_t heard; /* datagrams of streams: what is older does not depend on a clock */
	unsigned stream_count;
	struct stream *streams[MERGE_STREAMS_MAX];
};

struct merge *merge_new(unsigned legs, unsigned bits, uint32_t step)
{
	struct merge *merge = calloc(1, sizeof(*merge));

	if (!merge)
		return NULL;
	merge->leg_count = legs;
	merge->bits = bits;
	merge->step = step;
	return merge;
}

static void stream_free(struct stream *stream)
{
	if (!stream)
		return;
	for (unsigned i = 0; i < MERGE_LEGS_MAX; i++)
		free(stream->parts[i].own);
	free(stream->merged);
	free(stream->slots);
	free(stream);
}

void merge_free(struct merge *merge)
{
	if (!merge)
		return;
	for (unsigned i = 0; i < merge->stream_count; i++)
		stream_free(merge->streams[i]);
	free(merge->twins);
	free(merge);
}

static struct sequence *new_sequence(const struct merge *merge, uint32_t window)
{
	struct sequence *sequence = calloc(1, sizeof(*sequence) + SEQUENCE_SEEN_SIZE(window));

	if (sequence)
		sequence_init(sequence, merge->bits, merge->step, window);
	return sequence;
}

static struct stream *stream_new(const struct merge *merge)
{
	struct stream *stream = calloc(1, sizeof(*stream));
	bool failed;

	if (!stream)
		return NULL;
	stream->runs = 1; /* that of no slot yet */
	stream->merged = new_sequence(merge, MERGE_WINDOW);
	stream->slots = calloc(MERGE_WINDOW, sizeof(*stream->slots));
	failed = !stream->merged || !stream->slots;
	for (unsigned i = 0; i < merge->leg_count; i++) {
		stream->parts[i].own = new_sequence(merge, SEQUENCE_WINDOW);
		failed |= !stream->parts[i].own;
	}
	if (failed) {
		stream_free(stream);
		return NULL;
	}
	return stream;
}

/* The memory is for another stream from now on. What is open is lost. */
static void forget(struct merge *merge, struct stream *stream)
{
	merge->counts.lost += sequence_open(stream->merged);
	stream->runs += stream->merged->counts.restarts + 1;
	sequence_init(stream->merged, merge->bits, merge->step, MERGE_WINDOW);
	for (unsigned i = 0; i < merge->leg_count; i++) {
		struct part *part = &stream->parts[i];

		merge->legs[i].counts.lost += sequence_open(part->own);
		sequence_init(part->own, merge->bits, merge->step, SEQUENCE_WINDOW);
		*part = (struct part){.own = part->own};
	}
}

/* The place for a new stream: that of the one that was silent for longest, where all are taken. */
static unsigned oldest_of(const struct merge *merge)
{
	unsigned oldest = 0;

	if (merge->stream_count < MERGE_STREAMS_MAX)
		return merge->stream_count;
	for (unsigned i = 1; i < merge->stream_count; i++)
		if (merge->streams[i]->heard < merge->streams[oldest]->heard)
			oldest = i;
	return oldest;
}

/* Returns NULL without memory. */
static struct stream *find_stream(struct merge *merge, const uint64_t key[static 2])
{
	unsigned at = merge->last;

	if (at < merge->stream_count && !memcmp(merge->streams[at]->key, key, 2 * sizeof(*key)))
		return merge->streams[at];
	for (at = 0; at < merge->stream_count; at++)
		if (!memcmp(merge->streams[at]->key, key, 2 * sizeof(*key)))
			break;
	if (at == merge->stream_count) {
		at = oldest_of(merge);
		if (at < merge->stream_count)
			forget(merge, merge->streams[at]);
		else if ((merge->streams[at] = stream_new(merge)))
			merge->stream_count++;
		else
			return NULL;
		memcpy(merge->streams[at]->key, key, 2 * sizeof(*key));
	}
	merge->last = at;
	return merge->streams[at];
}

/* What is known of a number; NULL where the window has left it. */
static struct slot *slot_of(const struct stream *stream, uint64_t index)
{
	uint16_t run = (uint16_t)(stream->runs + stream->merged->counts.restarts);
	uint32_t lap = (uint32_t)(index / stream->merged->window);
	struct slot *slot = &stream->slots[index % stream->merged->window];

	if (slot->run == run && slot->lap == lap)
		return slot;
	if (slot->run == run && (int32_t)(lap - slot->lap) < 0)
		return NULL;
	*slot = (struct slot){.lap = lap, .run = run};
	return slot;
}

/* How far a leg is behind with its first copy of a number. The leg that came first may be read
 * second: then it is the other one that is behind. */
static void count_skew(struct merge *merge, struct slot *slot, unsigned leg, uint64_t now_ns)
{
	bool is_first = !slot->first_ns || now_ns < slot->first_ns;

	if (!is_first)
		spread_add(&merge->legs[leg].skew, now_ns - slot->first_ns);
	else if (slot->first_ns)
		spread_add(&merge->legs[slot->first].skew, slot->first_ns - now_ns);
	if (is_first)
		slot->first_ns = now_ns, slot->first = (uint8_t)leg;
}

/* Counts a copy of one number. Returns whether it is more than has passed. */
static bool count_copy(struct merge *merge, struct slot *slot, unsigned leg, uint64_t now_ns)
{
	if (!slot)
		return false;
	if (!slot->copies[leg])
		count_skew(merge, slot, leg, now_ns);
	if (slot->copies[leg] < UINT8_MAX)
		slot->copies[leg]++;
	if (slot->copies[leg] <= slot->passed)
		return false;
	slot->passed = slot->copies[leg];
	return true;
}

/* A datagram with several numbers passes as a whole where one of them is new. */
static bool count_copies(struct merge *merge, struct stream *stream, unsigned leg, uint64_t index,
	uint32_t count, uint64_t now_ns)
{
	bool passes = false;

	if (count > stream->merged->window) {
		index += count - stream->merged->window;
		count = stream->merged->window;
	}
	for (uint32_t i = 0; i < count; i++)
		passes |= count_copy(merge, slot_of(stream, index + i), leg, now_ns);
	return passes;
}

static void add_difference(struct sequence_counts *sum, const struct sequence_counts *now,
	const struct sequence_counts *before)
{
	sum->spanned += now->spanned - before->spanned;
	sum->unique += now->unique - before->unique;
	sum->lost += now->lost - before->lost;
	sum->reordered += now->reordered - before->reordered;
	sum->duplicates += now->duplicates - before->duplicates;
	sum->late += now->late - before->late;
	sum->restarts += now->restarts - before->restarts;
}

static void restart(struct merge *merge, struct stream *stream, unsigned leg,
	const struct merge_number *number, uint64_t now_ns)
{
	struct sequence *merged = stream->merged;

	stream->parts[leg].apart = 0;
	stream->alone.count = 0;
	sequence_restart(merged, number->first, number->count, now_ns);
	count_copies(
		merge, stream, leg, merged->highest + 1 - number->count, number->count, now_ns);
}

/* A pause counts until it has passed several times: bursts do not make it forgotten. */
static void hear(struct part *part, uint64_t now_ns)
{
	uint64_t pause_ns = part->heard_ns && now_ns > part->heard_ns ? now_ns - part->heard_ns : 0;

	if (pause_ns >= part->pause_ns || now_ns > part->pause_until_ns ||
		now_ns < part->heard_ns) {
		part->pause_ns = pause_ns;
		part->pause_until_ns = now_ns + MERGE_HEARD_PAUSES * pause_ns;
	}
	part->heard_ns = now_ns;
}

static bool is_heard(const struct part *part, uint64_t now_ns)
{
	uint64_t within_ns = MERGE_HEARD_PAUSES * part->pause_ns;

	if (within_ns < MERGE_HEARD_NS)
		within_ns = MERGE_HEARD_NS;
	/* A clock that was set back by more has not heard it. */
	return part->heard_ns && now_ns < part->heard_ns + within_ns &&
	       part->heard_ns < now_ns + MERGE_HEARD_NS;
}

/* What the other legs say to numbers that are far from the window. */
enum others {
	OTHERS_SILENT, /* none is heard */
	OTHERS_APART, /* none is where the window is */
	OTHERS_WITHIN,
};

static enum others ask_others(
	const struct merge *merge, const struct stream *stream, unsigned leg, uint64_t now_ns)
{
	enum others ret = OTHERS_SILENT;

	for (unsigned i = 0; i < merge->leg_count; i++) {
		const struct part *part = &stream->parts[i];

		if (i == leg || !is_heard(part, now_ns))
			continue;
		if (!part->apart)
			return OTHERS_WITHIN;
		ret = OTHERS_APART;
	}
	return ret;
}

/* Whether the numbers have passed by another leg, before it was known that the stream restarts. */
static bool is_copy_of_alone(
	const struct stream *stream, unsigned leg, const struct merge_number *number)
{
	return stream->alone.count == number->count && stream->alone.first == number->first &&
	       stream->alone.leg != leg;
}

/* A number that is far from the window. */
static enum merge_verdict take_apart(struct merge *merge, struct stream *stream, unsigned leg,
	const struct merge_number *number, uint64_t now_ns)
{
	struct part *part = &stream->parts[leg];

	enum others others = ask_others(merge, stream, leg, now_ns);

	part->apart++;
	if (others == OTHERS_WITHIN)
		return MERGE_APART;
	if (others == OTHERS_APART && is_copy_of_alone(stream, leg, number))
		return MERGE_DUPLICATE;
	if (part->apart > 1 || others == OTHERS_APART) {
		restart(merge, stream, leg, number, now_ns);
		return MERGE_PASSES;
	}
	sequence_refuse(stream->merged, number->count);
	stream->alone.first = number->first;
	stream->alone.count = number->count;
	stream->alone.leg = leg;
	return MERGE_PASSES;
}

/* A number in the window that may begin a restart. Where it passes, copies of it do not. */
static enum merge_verdict take_doubtful(struct merge *merge, struct stream *stream, unsigned leg,
	const struct merge_number *number, uint64_t index, uint64_t now_ns)
{
	uint64_t restarts = stream->merged->counts.restarts;
	enum merge_verdict verdict = take_apart(merge, stream, leg, number, now_ns);

	if (verdict != MERGE_PASSES || stream->merged->counts.restarts != restarts)
		return verdict;
	for (uint32_t i = 0; i < number->count && i < stream->merged->window; i++) {
		struct slot *slot = slot_of(stream, index + i);

		if (slot && !count_copy(merge, slot, leg, now_ns) && slot->passed < UINT8_MAX)
			slot->passed++;
	}
	return verdict;
}

/* Whether numbers pass, and where. is_doubtful: by its own numbers, the leg may have restarted. The
 * other legs may contradict. */
static enum merge_verdict judge(struct merge *merge, struct stream *stream, unsigned leg,
	const struct merge_number *number, bool is_doubtful, uint64_t now_ns)
{
	uint64_t index;

	switch (sequence_find(stream->merged, number->first, number->count, now_ns, &index)) {
	case SEQUENCE_FIRST:
		restart(merge, stream, leg, number, now_ns);
		return MERGE_PASSES;
	case SEQUENCE_APART:
		return take_apart(merge, stream, leg, number, now_ns);
	default:
		if (is_doubtful && ask_others(merge, stream, leg, now_ns) != OTHERS_WITHIN)
			return take_doubtful(merge, stream, leg, number, index, now_ns);
		stream->parts[leg].apart = 0;
		if (!count_copies(merge, stream, leg, index, number->count, now_ns))
			return MERGE_DUPLICATE;
		sequence_place(stream->merged, index, number->count, now_ns);
		return MERGE_PASSES;
	}
}

static enum merge_verdict take_number(struct merge *merge, struct stream *stream, unsigned leg,
	const struct merge_number *number, uint64_t now_ns)
{
	struct part *part = &stream->parts[leg];
	struct sequence *own = part->own, *merged = stream->merged;
	struct sequence_counts own_before = own->counts, before = merged->counts;
	bool has_paused = sequence_has_paused(own, now_ns), is_doubtful;
	enum merge_verdict verdict;

	hear(part, now_ns);
	stream->heard = ++merge->heard;
	sequence_track(own, number->first, number->count, now_ns);
	is_doubtful = own->counts.restarts != own_before.restarts ||
		      (has_paused && own->counts.late != own_before.late);
	verdict = judge(merge, stream, leg, number, is_doubtful, now_ns);
	add_difference(&merge->legs[leg].counts, &own->counts, &own_before);
	add_difference(&merge->counts, &merged->counts, &before);
	return verdict;
}

static enum merge_verdict take_payload(
	struct merge *merge, unsigned leg, const void *payload, size_t size, uint64_t now_ns)
{
	struct datagram datagram = {.payload = payload, .size = (uint32_t)size};
	unsigned other;

	if (!merge->twins)
		merge->twins = twins_new(TWINS_SETS_OF_MERGE, MERGE_PAYLOAD_MS);
	if (!merge->twins)
		return MERGE_PASSES;
	return twins_take(merge->twins, merge, &datagram, leg + 1, (uint32_t)(now_ns / NS_PER_MS),
		       &other)
		       ? MERGE_DUPLICATE
		       : MERGE_PASSES;
}

/* A datagram that has no number, and tells which is next. */
static void note_next(struct merge *merge, struct stream *stream, unsigned leg,
	const struct merge_number *number, uint64_t now_ns)
{
	struct part *part = &stream->parts[leg];
	struct sequence *own = part->own, *merged = stream->merged;
	struct sequence_counts own_before = own->counts, before = merged->counts;
	uint64_t index;

	hear(part, now_ns);
	stream->heard = ++merge->heard;
	sequence_track(own, number->first, 0, now_ns);
	if (sequence_find(merged, number->first, 0, now_ns, &index) == SEQUENCE_WITHIN)
		sequence_place(merged, index, 0, now_ns);
	add_difference(&merge->legs[leg].counts, &own->counts, &own_before);
	add_difference(&merge->counts, &merged->counts, &before);
}

enum merge_verdict merge_take(struct merge *merge, unsigned leg, const struct merge_number *number,
	const void *payload, size_t size, uint64_t now_ns)
{
	struct stream *stream;

	if (!merge->bits || !number)
		return take_payload(merge, leg, payload, size, now_ns);
	stream = find_stream(merge, number->stream);
	if (!number->count) {
		if (stream)
			note_next(merge, stream, leg, number, now_ns);
		return take_payload(merge, leg, payload, size, now_ns);
	}
	return stream ? take_number(merge, stream, leg, number, now_ns) : MERGE_PASSES;
}

const struct sequence_counts *merge_counts(const struct merge *merge)
{
	return &merge->counts;
}

uint64_t merge_open(const struct merge *merge)
{
	uint64_t open = 0;

	for (unsigned i = 0; i < merge->stream_count; i++)
		open += sequence_open(merge->streams[i]->merged);
	return open;
}

const struct sequence_counts *merge_leg_counts(const struct merge *merge, unsigned leg)
{
	return &merge->legs[leg].counts;
}

uint64_t merge_leg_open(const struct merge *merge, unsigned leg)
{
	uint64_t open = 0;

	for (unsigned i = 0; i < merge->stream_count; i++)
		open += sequence_open(merge->streams[i]->parts[leg].own);
	return open;
}

uint64_t merge_leg_skew_ns(const struct merge *merge, unsigned leg, double part)
{
	return spread_quantile(&merge->legs[leg].skew, part);
}
