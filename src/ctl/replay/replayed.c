#include "ctl/replay/replayed.h"

#include <inttypes.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/json.h"
#include "ctl/human.h"

/* A delay from this on is reported: the machine, or the daemon, cannot keep up. */
#define LATE_NS (10 * NS_PER_MS)

/* Addresses that a message names. */
#define NAMED_MAX 5

/* What stands after the number, and the key in JSON. */
static const struct {
	const char *words, *key;
} names[SKIP_REASONS] = {
	[DISSECT_NOT_UDP] = {"not UDP", "notUdp"},
	[DISSECT_FRAGMENT] = {"of which fragments are missing", "fragmented"},
	[DISSECT_CUT] = {"not captured as a whole", "cut"},
	[DISSECT_BROKEN] = {"with broken headers", "broken"},
	[DISSECT_LINK] = {"of link type", "link"}, /* the numbers follow */
	[SKIP_UNSELECTED] = {"not selected", "notSelected"},
	[SKIP_UNMATCHED] = {"to addresses of no group", "noGroup"},
	[SKIP_SEVERAL] = {"to addresses of several groups", "severalGroups"},
	[SKIP_TOO_LARGE] = {"too large", "tooLarge"},
	[SKIP_REFUSED] = {"refused", "refused"},
};

static void append_links(const struct recording *recording, struct text *text)
{
	for (size_t i = 0; i < recording->unknown_link_count; i++)
		text_printf(text, "%s%u", i ? ", " : " ", recording->unknown_links[i]);
	text_append_string(text, " (not supported)");
}

/* From when to when it goes, in the form that --from takes. */
static void append_times(const struct recording *recording, struct text *text)
{
	char from[LOCAL_TIMESTAMP_MAX], to[LOCAL_TIMESTAMP_MAX];

	text_printf(text, "the capture goes from %s to %s",
		format_local_timestamp(recording->earliest_ns, from),
		format_local_timestamp(recording->latest_ns, to));
}

/* Why what was not selected was not. */
static void append_unselected(
	struct replayed *replayed, const struct recording *recording, struct text *text)
{
	uint64_t unselected = replayed->skipped[SKIP_UNSELECTED];

	if (replayed->untimely == unselected)
		text_append_string(text, ", all of them by --from and --to");
	else if (replayed->untimely)
		text_printf(text, ", %" PRIu64 " of them by --from and --to", replayed->untimely);
	text_append_string(text, replayed->untimely ? "; they went to " : ", which went to ");
	frequent_sort(&replayed->unselected);
	frequent_append(&replayed->unselected, NAMED_MAX, text);
	if (replayed->untimely && recording->has_begun) {
		text_append_string(text, "; ");
		append_times(recording, text);
	}
}

/* Returns whether there is anything. */
static bool append_skipped(
	const struct replayed *replayed, const struct recording *recording, struct text *text)
{
	const char *separator = "skipped ";

	for (size_t i = 0; i < SKIP_REASONS; i++) {
		if (!replayed->skipped[i])
			continue;
		text_printf(
			text, "%s%" PRIu64 " %s", separator, replayed->skipped[i], names[i].words);
		if (i == DISSECT_LINK)
			append_links(recording, text);
		separator = ", ";
	}
	return *separator == ',';
}

static void show_words(
	const struct replayed *replayed, const struct recording *recording, struct writer *writer)
{
	uint64_t ms = replayed->elapsed_ns / NS_PER_MS, late_ms = replayed->latest_ns / NS_PER_MS;
	AUTO_TEXT struct text line = {0}, skipped = {0};

	text_printf(&line, "replayed %" PRIu64 " datagram%s in %" PRIu64 ".%03" PRIu64 " s",
		replayed->sent, plural(replayed->sent), ms / 1000, ms % 1000);
	if (replayed->latest_ns >= LATE_NS)
		text_printf(&line, ", up to %" PRIu64 " ms late", late_ms);
	if (append_skipped(replayed, recording, &skipped))
		text_printf(&line, "; %s", text_string(&skipped));
	writer_line(writer, text_string(&line));
}

static void put_frequent(struct text *out, const char *name, struct frequent *frequent)
{
	frequent_sort(frequent);
	json_put_open(out, name, '[');
	for (size_t i = 0; i < frequent->count; i++) {
		const struct frequent_item *item = &frequent->items[i];
		char address[INET6_ADDRSTRLEN];

		json_put_open(out, NULL, '{');
		json_put_string(out, "address", address_format(&item->address, address));
		json_put_number(out, "port", item->port);
		json_put_number(out, "datagrams", item->count - item->excess);
		json_put_close(out, '}');
	}
	json_put_close(out, ']');
}

static void put_times(struct text *out, const struct recording *recording)
{
	char begin[TIMESTAMP_MAX], end[TIMESTAMP_MAX];
	bool has_times = recording->has_begun;

	json_put_string(
		out, "begin", has_times ? format_timestamp(recording->earliest_ns, begin) : NULL);
	json_put_string(out, "end", has_times ? format_timestamp(recording->latest_ns, end) : NULL);
}

static void show_json(
	struct replayed *replayed, const struct recording *recording, struct text *out)
{
	json_put_open(out, NULL, '{');
	json_put_number(out, "datagrams", replayed->sent);
	json_put_number(out, "bytes", replayed->bytes);
	json_put_member(out, "seconds");
	text_printf(out, "%.17g", (double)replayed->elapsed_ns / 1e9);
	json_put_member(out, "late");
	text_printf(out, "%.17g", (double)replayed->latest_ns / 1e9);
	json_put_open(out, "skipped", '{');
	for (size_t i = 0; i < SKIP_REASONS; i++)
		json_put_number(out, names[i].key, replayed->skipped[i]);
	json_put_close(out, '}');
	json_put_number(out, "notSelectedByTime", replayed->untimely);
	put_times(out, recording);
	put_frequent(out, "notSelected", &replayed->unselected);
	put_frequent(out, "noGroup", &replayed->unmatched);
	put_frequent(out, "severalGroups", &replayed->several);
	json_put_open(out, "linkTypes", '[');
	for (size_t i = 0; i < recording->unknown_link_count; i++)
		json_put_number(out, NULL, recording->unknown_links[i]);
	json_put_close(out, ']');
	json_put_close(out, '}');
	text_append(out, "\n", 1);
}

/* With --json this is all that is shown: the millions of answers to Send are of no interest. */
void replayed_show(
	struct replayed *replayed, const struct recording *recording, struct writer *writer)
{
	if (writer->json)
		show_json(replayed, recording, &writer->out);
	else
		show_words(replayed, recording, writer);
}

static void note(struct frequent *frequent, const struct session *session, const char *whose,
	const char *advice)
{
	AUTO_TEXT struct text ends = {0};

	if (!frequent->count)
		return;
	frequent_sort(frequent);
	frequent_append(frequent, NAMED_MAX, &ends);
	session_fail(session, EXIT_DONE, "%s %s: %s", whose, text_string(&ends), advice);
}

void replayed_note(struct replayed *replayed, const struct session *session)
{
	note(&replayed->unmatched, session, "no group has",
		"--map ADDRESS:PORT=GROUP sends it to a group or TARGET");
	note(&replayed->several, session, "several groups have",
		"--map ADDRESS:PORT=GROUP says which of them is meant");
}

void replayed_explain_nothing(struct replayed *replayed, const struct recording *recording,
	const struct session *session, const char *name)
{
	AUTO_TEXT struct text words = {0};

	if (!replayed->packets) {
		session_fail(session, EXIT_REFUSED, "%s: there is no packet in it", name);
		return;
	}
	append_skipped(replayed, recording, &words);
	if (replayed->unselected.count)
		append_unselected(replayed, recording, &words);
	session_fail(session, EXIT_REFUSED, "%s: nothing was sent: %s", name, text_string(&words));
}
