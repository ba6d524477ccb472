/* journal: one entry a datagram, with fields to search by (the table in mcastd.conf(5)), and those
 * of its JSON if asked for. These are there beside the whole payload: nothing is lost that has
 * none. sd_journal_sendv() takes about 20 us, and blocks while journald does not read. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/log.h"
#include "formats/format.h"
#include "formats/journal_fields.h"
#include "handlers/failure.h"
#include "handlers/handler.h"

/* The bytes of a payload that MESSAGE shows; MCASTD_PAYLOAD has all of them. */
#define MESSAGE_PAYLOAD_MAX 512

static const char *const constant_fields[] = {
	"MESSAGE_ID=" MESSAGE_DATAGRAM, "PRIORITY=6", "SYSLOG_IDENTIFIER=mcastd"};

enum { COUNTED_NOT_JSON, COUNTED_LEFT_OUT };

static const char *const journal_counters[] = {"notJson", "membersLeftOut", NULL};

enum journal_fields_of { FIELDS_NONE, FIELDS_JSON };

static const char *const fields_choices[] = {"none", "json", NULL};

struct journal_settings {
	int fields;
};

static const struct key journal_keys[] = {
	{.name = "fields",
		.type = KEY_CHOICE,
		.offset = offsetof(struct journal_settings, fields),
		.choices = fields_choices,
		.fallback = "none",
		.help = "json: the members of a payload that is a JSON object become fields of the "
			"entry, JSON_TEMPERATURE=21.5. none: they do not."},
};

struct journal_handler {
	bool reads_json;
	struct text text;
	struct journal_fields of_payload;
	struct failure failure;
};

/* An entry has the fields of the datagram, these two, and the constant ones. */
enum { ENTRY_MESSAGE = FIELDS, ENTRY_PAYLOAD, ENTRY_OWN };

/* Builds the entry's own fields one after the other in text. ret_ends says where each ends, since
 * text may move while it grows. */
static void build_fields(struct text *text, const struct origin *origin,
	const struct datagram *datagram, size_t ret_ends[static ENTRY_OWN])
{
	char number[FIELD_NUMBER_MAX];
	struct fields fields;

	fields_read(&fields, origin, datagram);
	for (enum field i = 0; i < FIELDS; i++) {
		if (!field_is_absent(&fields, i))
			text_printf(text, "%s=%s", field_infos[i].variable,
				fields_string(&fields, i, number));
		ret_ends[i] = text->length;
	}
	text_append_string(text, "MESSAGE=");
	format_message(text, origin, datagram, MESSAGE_PAYLOAD_MAX);
	ret_ends[ENTRY_MESSAGE] = text->length;
	text_append_string(text, "MCASTD_PAYLOAD=");
	text_append(text, datagram->payload, datagram->size);
	ret_ends[ENTRY_PAYLOAD] = text->length;
}

/* Appends to text the fields that the payload itself has. */
static void read_payload(
	struct journal_handler *journal, const struct datagram *datagram, struct outcome *outcome)
{
	struct journal_fields *fields = &journal->of_payload;

	if (!journal->reads_json)
		return;
	if (journal_fields_read(fields, &journal->text, datagram->payload, datagram->size) < 0)
		outcome->counted[COUNTED_NOT_JSON]++;
	outcome->counted[COUNTED_LEFT_OUT] += fields->left_out;
}

static int send_entry(struct journal_handler *journal, const struct origin *origin,
	const struct datagram *datagram, struct outcome *outcome)
{
	struct iovec vector[ENTRY_OWN + ARRAY_SIZE(constant_fields) + JOURNAL_FIELDS_MAX];
	struct text *text = &journal->text;
	size_t ends[ENTRY_OWN], start = 0;
	int count = 0;

	text_clear(text);
	build_fields(text, origin, datagram, ends);
	read_payload(journal, datagram, outcome);
	if (text_failed(text))
		return -ENOMEM;
	for (size_t i = 0; i < ENTRY_OWN; start = ends[i++])
		if (ends[i] > start)
			vector[count++] = (struct iovec){text->data + start, ends[i] - start};
	for (size_t i = 0; i < ARRAY_SIZE(constant_fields); i++)
		vector[count++] = (struct iovec){
			(char *)constant_fields[i], strlen(constant_fields[i])};
	for (unsigned i = 0; i < journal->of_payload.count; i++) {
		const struct journal_field *field = &journal->of_payload.items[i];

		vector[count++] = (struct iovec){text->data + field->start, field->size};
	}
	return sd_journal_sendv(vector, count);
}

static unsigned journal_needs(const void *settings)
{
	(void)settings;
	return NEED_ALL;
}

static int journal_open(const void *settings, const struct handler_context *context,
	char why[static WHY_MAX], void **ret)
{
	struct journal_handler *journal = calloc(1, sizeof(*journal));

	(void)why;
	if (!journal)
		return -ENOMEM;
	journal->reads_json = ((const struct journal_settings *)settings)->fields == FIELDS_JSON;
	journal->failure.name = context->name;
	*ret = journal;
	return 0;
}

static bool journal_doubt(const void *settings, char why[static WHY_MAX])
{
	(void)settings;
	if (access(JOURNAL_SOCKET, F_OK) == 0)
		return false;
	because(why, 0,
		"there is no journal (" JOURNAL_SOCKET
		": %s), and nothing is delivered: use another type of handler",
		strerror(errno));
	return true;
}

static void tell_absent(struct journal_handler *journal, int r)
{
	if (failure_is_new(&journal->failure, r))
		failure_tell(&journal->failure, r,
			"no journal: " JOURNAL_SOCKET
			": %s; start systemd-journald, or use another type of handler",
			strerror(-r));
}

static void tell_refused(struct journal_handler *journal, int r)
{
	if (failure_is_new(&journal->failure, r))
		failure_tell(&journal->failure, r,
			"writing to the journal: %s; see systemctl status systemd-journald",
			strerror(-r));
}

static void journal_deliver(void *object, const struct batch *batch, struct outcome *outcome)
{
	struct journal_handler *journal = object;

	/* Without a journal, sd_journal_sendv() reports success. */
	if (access(JOURNAL_SOCKET, F_OK) < 0) {
		tell_absent(journal, -errno);
		outcome->dropped[DROP_ABSENT] += batch->count;
		return;
	}
	for (unsigned i = 0; i < batch->count; i++) {
		int r = send_entry(journal, batch->origin, &batch->datagrams[i], outcome);

		if (r >= 0) {
			outcome->delivered++;
			if (failure_end(&journal->failure))
				log_notice("handler %s: the journal takes datagrams again",
					journal->failure.name);
			continue;
		}
		outcome->dropped[DROP_IO]++;
		tell_refused(journal, r);
	}
}

static const char *journal_error(const void *object)
{
	return failure_text(&((const struct journal_handler *)object)->failure);
}

static void journal_close(void *object)
{
	struct journal_handler *journal = object;

	if (!journal)
		return;
	text_free(&journal->text);
	free(journal);
}

const struct handler_kind journal_kind = {
	.config = {.name = "journal",
		.may_block = true,
		.schema = {journal_keys, ARRAY_SIZE(journal_keys),
			sizeof(struct journal_settings)}},
	.counters = journal_counters,
	.needs = journal_needs,
	.doubt = journal_doubt,
	.open = journal_open,
	.error = journal_error,
	.deliver = journal_deliver,
	.close = journal_close,
};
