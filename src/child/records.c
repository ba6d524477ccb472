#include "child/records.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>

#include "base/escape.h"
#include "formats/format.h"

const char *const framing_names[] = {"lines", "json", "length", "nul", "raw", NULL};

unsigned framing_needs(enum framing framing)
{
	return framing == FRAMING_JSON ? format_needs(FORMAT_JSON) : 0;
}

static void append(struct text *text, enum framing framing, struct format_head *head,
	const struct origin *origin, const struct datagram *datagram)
{
	uint32_t length = htonl(datagram->size);

	if (framing == FRAMING_LENGTH)
		text_append(text, &length, sizeof(length));
	if (framing == FRAMING_LINES)
		text_append_escaped(text, datagram->payload, datagram->size);
	else if (framing == FRAMING_JSON)
		format_json(text, head, origin, datagram);
	else
		text_append(text, datagram->payload, datagram->size);
	if (framing == FRAMING_LINES || framing == FRAMING_JSON)
		text_append(text, "\n", 1);
	else if (framing == FRAMING_NUL)
		text_append(text, "", 1);
}

unsigned records_fill(struct records *records, enum framing framing, const struct batch *batch)
{
	struct format_head head = {0};

	for (unsigned i = 0; i < batch->count; i++) {
		const struct datagram *datagram = &batch->datagrams[i];

		if (framing == FRAMING_NUL && datagram->size &&
			memchr(datagram->payload, '\0', datagram->size))
			continue;
		append(&records->bytes, framing, &head, batch->origin, datagram);
		records->ends[records->count++] = (uint32_t)records->bytes.length;
	}
	if (text_failed(&records->bytes)) {
		text_clear(&records->bytes);
		records->count = 0;
	}
	return batch->count - records->count;
}

/* Counts the records whose last byte is written, and those that have none. Returns whether others
 * are left. */
static bool settle_written(struct records *records, struct outcome *outcome)
{
	while (records_left(records) && records->ends[records->done] <= records->written) {
		records->done++;
		outcome->delivered++;
	}
	return records_left(records);
}

static void forget_settled(struct records *records)
{
	if (records_left(records))
		return;
	text_recycle(&records->bytes, TEXT_SPARE);
	records->written = 0;
	records->count = records->done = 0;
}

int records_write(struct records *records, int fd, struct outcome *outcome)
{
	ssize_t n;

	while (settle_written(records, outcome)) {
		n = write(fd, records->bytes.data + records->written,
			records->bytes.length - records->written);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		records->written += (size_t)n;
	}
	forget_settled(records);
	return 0;
}

/* Where the first record that is left begins. */
static size_t start_of_first(const struct records *records)
{
	return records->done ? records->ends[records->done - 1] : 0;
}

int records_send(struct records *records, int fd, struct outcome *outcome)
{
	while (records_left(records)) {
		size_t start = start_of_first(records), end = records->ends[records->done];
		const char *data = records->bytes.data;

		/* Where all are empty, there are no bytes at all. */
		if (send(fd, data ? data + start : "", end - start, MSG_NOSIGNAL) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		records->written = end;
		records->done++;
		outcome->delivered++;
	}
	forget_settled(records);
	return 0;
}

void records_drop_first(struct records *records, enum drop_reason reason, struct outcome *outcome)
{
	outcome->dropped[reason]++;
	records->written = records->ends[records->done++];
	forget_settled(records);
}

void records_drop_all(struct records *records, enum drop_reason reason, struct outcome *outcome)
{
	while (records_left(records))
		records_drop_first(records, reason, outcome);
}

void records_drop_torn(struct records *records, struct outcome *outcome)
{
	if (records_left(records) && records->written != start_of_first(records))
		records_drop_first(records, DROP_IO, outcome);
}

void records_clear(struct records *records)
{
	text_free(&records->bytes);
}
