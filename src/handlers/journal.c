/* journal: one entry a datagram, with fields to search by (the table in mcastd.conf(5)).
 * sd_journal_sendv() costs about 20 us and blocks for as long as journald does not read. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "formats/format.h"
#include "handlers/handler.h"

/* So much of a payload is shown in MESSAGE; MCASTD_PAYLOAD has all of it. */
#define MESSAGE_PAYLOAD_MAX 512

struct journal_handler {
	struct text text;
	struct log_limit limit;
};

/* The fields are built one after the other in one text; where each ends is remembered, as the text
 * may move. */
struct fields {
	struct text *text;
	size_t ends[16];
	int count;
};

static void end_field(struct fields *fields)
{
	fields->ends[fields->count++] = fields->text->length;
}

static void add_field(struct fields *fields, const char *name, const char *value)
{
	text_append_string(fields->text, name);
	text_append(fields->text, "=", 1);
	text_append_string(fields->text, value);
	end_field(fields);
}

static void add_number(struct fields *fields, const char *name, unsigned value)
{
	text_printf(fields->text, "%s=%u", name, value);
	end_field(fields);
}

static void build_fields(
	struct fields *fields, const struct origin *origin, const struct datagram *datagram)
{
	struct address source = endpoint_address(&datagram->source);
	char timestamp[TIMESTAMP_MAX], string[INET6_ADDRSTRLEN];

	text_append_string(fields->text, "MESSAGE=");
	format_message(fields->text, origin, datagram, MESSAGE_PAYLOAD_MAX);
	end_field(fields);
	add_field(fields, "MESSAGE_ID", MESSAGE_DATAGRAM);
	add_field(fields, "PRIORITY", "6");
	add_field(fields, "SYSLOG_IDENTIFIER", "mcastd");
	add_field(fields, "MCASTD_GROUP", origin->group);
	add_field(fields, "MCASTD_ADDRESS", origin->address);
	add_number(fields, "MCASTD_PORT", origin->port);
	add_field(fields, "MCASTD_SOURCE", address_format(&source, string));
	add_number(fields, "MCASTD_SOURCE_PORT", endpoint_port(&datagram->source));
	add_field(fields, "MCASTD_INTERFACE", origin->interface);
	add_number(fields, "MCASTD_TTL", datagram->ttl);
	add_field(fields, "MCASTD_TIMESTAMP", format_timestamp(datagram->timestamp_ns, timestamp));
	add_number(fields, "MCASTD_SIZE", datagram->size);
	text_append_string(fields->text, "MCASTD_PAYLOAD=");
	text_append(fields->text, datagram->payload, datagram->size);
	end_field(fields);
}

static int send_entry(
	struct text *text, const struct origin *origin, const struct datagram *datagram)
{
	struct fields fields = {.text = text};
	struct iovec vector[ARRAY_SIZE(fields.ends)];
	size_t start = 0;

	text_clear(text);
	build_fields(&fields, origin, datagram);
	if (text_failed(text))
		return -ENOMEM;
	for (int i = 0; i < fields.count; i++) {
		vector[i] = (struct iovec){text->data + start, fields.ends[i] - start};
		start = fields.ends[i];
	}
	return sd_journal_sendv(vector, fields.count);
}

static unsigned journal_needs(const void *settings)
{
	(void)settings;
	return NEED_ALL;
}

static int journal_open(
	const void *settings, const char *name, char why[static WHY_MAX], void **ret)
{
	(void)settings, (void)name, (void)why;
	*ret = calloc(1, sizeof(struct journal_handler));
	return *ret ? 0 : -ENOMEM;
}

static void journal_deliver(void *object, const struct batch *batch, struct outcome *outcome)
{
	struct journal_handler *journal = object;

	/* sd_journal_sendv() calls it a success when no journal is there. */
	if (access(JOURNAL_SOCKET, F_OK) < 0) {
		outcome->dropped[DROP_ABSENT] += batch->count;
		if (log_limit_pass(&journal->limit))
			log_warning("journal handler: no journal: %s: %s", JOURNAL_SOCKET,
				strerror(errno));
		return;
	}
	for (unsigned i = 0; i < batch->count; i++) {
		int r = send_entry(&journal->text, batch->origin, &batch->datagrams[i]);

		if (r >= 0) {
			outcome->delivered++;
			continue;
		}
		outcome->dropped[DROP_IO]++;
		if (log_limit_pass(&journal->limit))
			log_warning("journal handler: %s", strerror(-r));
	}
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
	.config = {.name = "journal", .may_block = true},
	.needs = journal_needs,
	.open = journal_open,
	.deliver = journal_deliver,
	.close = journal_close,
};
