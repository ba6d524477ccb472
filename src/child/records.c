#include "child/records.h"

#include <arpa/inet.h>
#include <errno.h>

#include "base/escape.h"
#include "formats/format.h"

const char *const framing_names[] = {"lines", "json", "length", "nul", NULL};

unsigned framing_needs(enum framing framing)
{
	return framing == FRAMING_JSON ? format_needs(FORMAT_JSON) : 0;
}

static void append(struct text *text, enum framing framing, const struct origin *origin,
	const struct datagram *datagram)
{
	uint32_t length = htonl(datagram->size);

	if (framing == FRAMING_LENGTH)
		text_append(text, &length, sizeof(length));
	if (framing == FRAMING_LINES)
		text_append_escaped(text, datagram->payload, datagram->size);
	else if (framing == FRAMING_JSON)
		format_json(text, origin, datagram);
	else
		text_append(text, datagram->payload, datagram->size);
	if (framing != FRAMING_LENGTH)
		text_append(text, framing == FRAMING_NUL ? "" : "\n", 1);
}

unsigned records_fill(struct records *records, enum framing framing, const struct batch *batch)
{
	for (unsigned i = 0; i < batch->count; i++) {
		const struct datagram *datagram = &batch->datagrams[i];

		if (framing == FRAMING_NUL && datagram->size &&
			memchr(datagram->payload, '\0', datagram->size))
			continue;
		append(&records->bytes, framing, batch->origin, datagram);
		records->ends[records->count++] = (uint32_t)records->bytes.length;
	}
	if (text_failed(&records->bytes)) {
		text_clear(&records->bytes);
		records->count = 0;
	}
	return batch->count - records->count;
}

static void forget_settled(struct records *records)
{
	if (records_left(records))
		return;
	text_clear(&records->bytes);
	records->written = 0;
	records->count = records->done = 0;
}

int records_write(struct records *records, int fd, struct outcome *outcome)
{
	ssize_t n;

	while (records_left(records)) {
		n = write(fd, records->bytes.data + records->written,
			records->bytes.length - records->written);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		records->written += (size_t)n;
		while (records_left(records) && records->ends[records->done] <= records->written) {
			records->done++;
			outcome->delivered++;
		}
	}
	forget_settled(records);
	return 0;
}

void records_drop_torn(struct records *records, struct outcome *outcome)
{
	size_t start = records->done ? records->ends[records->done - 1] : 0;

	if (!records_left(records) || records->written == start)
		return;
	outcome->dropped[DROP_IO]++;
	records->written = records->ends[records->done++];
	forget_settled(records);
}

void records_clear(struct records *records)
{
	text_free(&records->bytes);
}
