#include "ctl/doctor/report.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/escape.h"
#include "base/json.h"
#include "ctl/human.h"

/* ---- JSON ---- */

static const char *const verdicts[] = {
	[VERDICT_DELIVERED] = "delivered",
	[VERDICT_HOST] = "host",
	[VERDICT_NETWORK] = "network",
	[VERDICT_NOT_JOINED] = "notJoined",
	[VERDICT_OPEN] = "unknown",
};

static void put_fixes(struct text *out, const char *fixes)
{
	json_put_open(out, "fix", '[');
	while (*fixes) {
		size_t length = strcspn(fixes, "\n");

		json_put_member(out, NULL);
		text_append_json(out, fixes, length);
		fixes += length + (fixes[length] == '\n');
	}
	json_put_close(out, ']');
}

static void put_finding(struct text *out, struct finding *finding)
{
	json_put_open(out, NULL, '{');
	json_put_string(out, "cause", finding->cause->name);
	json_put_flag(out, "certain", finding->is_certain);
	json_put_string(out, "message", text_string(&finding->message));
	json_put_open(out, "evidence", '{');
	text_append(out, finding->members.data, finding->members.length);
	json_put_close(out, '}');
	put_fixes(out, text_string(&finding->fixes));
	json_put_close(out, '}');
}

/* The notes, or the findings. */
static void put_findings(
	struct text *out, const char *name, const struct judgement *judgement, bool notes)
{
	json_put_open(out, name, '[');
	for (size_t i = 0; i < judgement->count; i++)
		if ((judgement->findings[i].cause->stage == STAGE_NOTE) == notes)
			put_finding(out, (struct finding *)&judgement->findings[i]);
	json_put_close(out, ']');
}

static void put_membership(
	struct text *out, const struct evidence *evidence, const struct judgement *judgement)
{
	char address[INET6_ADDRSTRLEN];

	json_put_open(out, NULL, '{');
	json_put_string(out, "group", evidence->group->name);
	json_put_string(out, "address", address_format(&evidence->group->address, address));
	json_put_number(out, "port", evidence->group->port);
	json_put_string(out, "interface", evidence->subject->interface);
	json_put_string(out, "verdict", verdicts[judgement->verdict]);
	json_put_number(out, "received", evidence->received);
	if (evidence->wire)
		json_put_number(out, "onWire", evidence->wire->in);
	else
		json_put_string(out, "onWire", NULL);
	put_findings(out, "findings", judgement, false);
	put_findings(out, "notes", judgement, true);
	json_put_close(out, '}');
}

/* ---- For people ---- */

static void append_string(struct text *out, const char *string)
{
	text_append_shown(out, string, strlen(string));
}

/* Whole seconds without a fraction. */
static void append_time(struct text *out, uint64_t ns)
{
	uint64_t tenths = ns / (100 * NS_PER_MS);

	if (tenths >= 10 && tenths % 10 == 0)
		text_printf(out, "%" PRIu64 "s", tenths / 10);
	else
		text_append_wait(out, (double)ns / NS_PER_S);
}

/* A TARGET may end in its interface. */
static bool names_interface(const struct evidence *e)
{
	const char *percent = strchr(e->group->name, '%');

	return percent &&
	       !strncmp(percent + 1, e->subject->interface, strlen(e->subject->interface));
}

static void append_datagrams(struct text *out, uint64_t count, const char *what)
{
	text_printf(out, "%" PRIu64 " datagram%s %s in ", count, plural(count), what);
}

/* What this host has dropped. */
static void append_dropped(struct text *out, const struct evidence *e)
{
	uint64_t came = e->wire ? e->wire->in : 0;

	if (!came && !e->dropped) {
		text_append_string(out, "nothing was received in ");
		append_time(out, e->listened_ns);
		text_append_string(out, ": the cause is on this host");
		return;
	}
	append_datagrams(out, came ? came : e->received + e->dropped, "came");
	append_time(out, e->listened_ns);
	if (!e->received)
		text_append_string(out, ", and this host dropped all of them");
	else
		text_printf(out, ", of which %" PRIu64 " were received", e->received);
}

/* The line of the verdict: what came, and what became of it. */
static void append_verdict(
	struct text *out, const struct evidence *e, const struct judgement *judgement)
{
	append_string(out, e->group->name);
	if (!names_interface(e)) {
		text_append_string(out, " on ");
		append_string(out, e->subject->interface);
	}
	text_append_string(out, ": ");
	if (judgement->verdict == VERDICT_NOT_JOINED) {
		text_append_string(out, "cannot be joined");
		return;
	}
	if (judgement->verdict == VERDICT_HOST) {
		append_dropped(out, e);
		return;
	}
	if (e->received)
		append_datagrams(out, e->received, "received");
	else if (judgement->verdict == VERDICT_NETWORK)
		text_append_string(out, e->wire && e->wire->first_fragments
						? "the network brought only parts in "
						: "the network brought nothing in ");
	else
		text_append_string(out, "nothing was received in ");
	append_time(out, e->listened_ns);
	if (e->sibling && !e->received) {
		text_append_string(out, "; it comes in on ");
		append_string(out, e->sibling);
	}
}

/* Of a terminal, in columns; what stands behind a label is indented. */
#define LINE_MAX_COLUMNS 80
#define INDENT 12

/* Words, as many on a line as there is room for. */
static void append_wrapped(struct text *out, const char *words)
{
	size_t column = INDENT;

	while (*words) {
		size_t length = strcspn(words, " ");

		if (column > INDENT && column + 1 + length > LINE_MAX_COLUMNS) {
			text_printf(out, "\n%*s", INDENT, "");
			column = INDENT;
		} else if (column > INDENT) {
			text_append_string(out, " ");
			column++;
		}
		text_append(out, words, length);
		column += length;
		words += length + (words[length] == ' ');
	}
	text_append_string(out, "\n");
}

/* A line of its own each, however long: they are pasted. */
static void append_fixes(struct text *out, const char *lines)
{
	const char *label = "fix";

	while (*lines) {
		size_t length = strcspn(lines, "\n");

		text_printf(out, "  %-9s %.*s\n", label, (int)length, lines);
		lines += length + (lines[length] == '\n');
		label = "";
	}
}

/* That nobody can tell is certain. */
static bool is_guess(const struct finding *finding)
{
	return !finding->is_certain && finding->cause->verdict != VERDICT_OPEN;
}

static void append_finding(struct text *out, struct finding *finding)
{
	AUTO_TEXT struct text line = {0};

	text_printf(&line, "%s: %s%s", finding->cause->name, is_guess(finding) ? "(likely) " : "",
		text_string(&finding->message));
	text_append_string(
		out, finding->cause->stage == STAGE_NOTE ? "  note      " : "  cause     ");
	append_wrapped(out, text_string(&line));
	if (finding->evidence.length) {
		text_append_string(out, "  evidence  ");
		append_wrapped(out, text_string(&finding->evidence));
	}
	append_fixes(out, text_string(&finding->fixes));
}

static void show_membership(
	struct text *out, const struct evidence *evidence, const struct judgement *judgement)
{
	append_verdict(out, evidence, judgement);
	text_append_string(out, "\n");
	for (size_t i = 0; i < judgement->count; i++)
		append_finding(out, (struct finding *)&judgement->findings[i]);
}

/* ---- Many ---- */

/* The number of names that are told of memberships that are alike. */
#define NAMES_MAX 10

/* Written when it is this long, in bytes. */
#define FLUSH_SIZE 65536

/* Keeps some: whether a comma follows depends on what is there. */
static void flush(struct writer *writer)
{
	if (writer->out.length < FLUSH_SIZE)
		return;
	while (writer->out.length > FLUSH_SIZE / 2 && writer_flush_some(writer) == 0)
		;
}

static bool is_kind(const struct report_kind *kind, const struct judgement *judgement)
{
	for (size_t i = 0; i < FINDINGS_MAX; i++)
		if (kind->causes[i] != (i < judgement->count ? judgement->findings[i].cause : NULL))
			return false;
	return kind->verdict == judgement->verdict;
}

static struct report_kind *find_kind(struct report *report, const struct judgement *judgement)
{
	for (size_t i = 0; i < report->kind_count; i++)
		if (is_kind(&report->kinds[i], judgement))
			return &report->kinds[i];
	return NULL;
}

static void add_kind(struct report *report, const struct judgement *judgement)
{
	struct report_kind *kind = &report->kinds[report->kind_count];

	if (report->kind_count == REPORT_KINDS_MAX)
		return;
	report->kind_count++;
	*kind = (struct report_kind){.verdict = judgement->verdict};
	for (size_t i = 0; i < judgement->count; i++)
		kind->causes[i] = judgement->findings[i].cause;
}

static void count_kind(struct report_kind *kind, const struct evidence *evidence)
{
	if (kind->count++ >= NAMES_MAX)
		return;
	text_append_string(&kind->names, kind->names.length ? ", " : "");
	append_string(&kind->names, evidence->group->name);
	text_append_string(&kind->names, " on ");
	append_string(&kind->names, evidence->subject->interface);
}

static void show_kind(struct text *out, struct report_kind *kind)
{
	if (!kind->count)
		return;
	text_printf(out, "%zu more", kind->count);
	for (size_t i = 0; i < FINDINGS_MAX && kind->causes[i]; i++)
		text_printf(out, "%s%s", i ? ", " : " with ", kind->causes[i]->name);
	if (!kind->causes[0])
		text_printf(out, " with the verdict %s", verdicts[kind->verdict]);
	text_printf(
		out, ": %s%s\n", text_string(&kind->names), kind->count > NAMES_MAX ? ", ..." : "");
}

/* ---- */

void report_begin(struct report *report)
{
	struct text *out = &report->writer->out;

	if (!report->writer->json)
		return;
	json_put_open(out, NULL, '{');
	json_put_open(out, "memberships", '[');
}

void report_add(
	struct report *report, const struct evidence *evidence, const struct judgement *judgement)
{
	struct text *out = &report->writer->out;
	struct report_kind *kind;

	report->found += judgement->found > 0;
	if (report->writer->json) {
		put_membership(out, evidence, judgement);
		flush(report->writer);
		return;
	}
	if (report->is_brief && !judgement->count && judgement->verdict == VERDICT_DELIVERED) {
		report->healthy++;
		return;
	}
	kind = report->is_brief ? find_kind(report, judgement) : NULL;
	if (kind) {
		count_kind(kind, evidence);
		return;
	}
	add_kind(report, judgement);
	show_membership(out, evidence, judgement);
	report->told++;
}

void report_end(struct report *report)
{
	struct text *out = &report->writer->out;

	if (report->writer->json) {
		json_put_close(out, ']');
		json_put_flag(out, "privileged", report->is_privileged);
		json_put_close(out, '}');
		text_append_string(out, "\n");
		return;
	}
	for (size_t i = 0; i < report->kind_count; i++) {
		show_kind(out, &report->kinds[i]);
		text_free(&report->kinds[i].names);
	}
	if (report->healthy)
		text_printf(out, "%zu membership%s: all is well\n", report->healthy,
			plural(report->healthy));
	else if (!report->told)
		text_append_string(out, "no groups\n");
}
