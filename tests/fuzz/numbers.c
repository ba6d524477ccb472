/* How datagrams are numbered, as the configuration says it, and the numbers of a datagram that
 * anybody may have sent: what was understood is within the datagram, and whole.
 *
 * The first line is the key, the rest the payload. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "data/sequence.h"
#include "formats/mpeg_ts.h"
#include "formats/numbers.h"
#include "fuzz.h"

/* Long enough for any key, and for some that are none. */
#define KEY_MAX 64

static void read_packets(const uint8_t *payload, size_t size)
{
	static struct mpeg_ts ts;
	struct mpeg_ts again;

	memset(&ts, 0, sizeof(ts));
	if (!mpeg_ts_count(&ts, payload, size)) {
		CHECK(!ts.packets && !ts.discontinuities);
		return;
	}
	CHECK(ts.packets * MPEG_TS_PACKET == size && ts.discontinuities < ts.packets);
	again = ts;
	CHECK(mpeg_ts_count(&ts, payload, size) && ts.packets == 2 * again.packets);
	for (size_t i = 0; i < MPEG_TS_PIDS; i++)
		CHECK(ts.last[i] == again.last[i]);
}

static void check_integer(
	const struct numbering *numbering, const uint8_t *payload, const struct numbers *numbers)
{
	unsigned bytes = numbering->bits / 8;

	for (unsigned i = 0; i < bytes; i++) {
		unsigned shift = 8 * (numbering->is_little_endian ? i : bytes - 1 - i);

		CHECK(payload[numbering->offset + i] == (uint8_t)(numbers->first >> shift));
	}
	CHECK(numbers->count == 1);
}

/* As read from no more of the payload than is reached. */
static void check_reach(const struct numbering *numbering, const uint8_t *payload, size_t size,
	const struct numbers *numbers)
{
	size_t reach = numbers_reach(numbering);
	uint8_t *head = malloc(reach < size ? reach : size);
	struct numbers again;

	CHECK(head);
	memcpy(head, payload, reach < size ? reach : size);
	CHECK(numbers_read(numbering, head, size, &again));
	CHECK(!memcmp(&again, numbers, sizeof(again)));
	free(head);
}

static void read_numbers(const struct numbering *numbering, const uint8_t *payload, size_t size)
{
	AUTO_TEXT struct text stream = {0};
	struct numbers numbers;

	if (!numbers_read(numbering, payload, size, &numbers))
		return;
	CHECK(numbers.first <= SEQUENCE_NUMBER_MAX);
	CHECK(numbering->bits == 64 || numbers.first >> numbering->bits == 0);
	CHECK(numbers.count == 1 || numbering->kind == NUMBERING_MOLDUDP64);
	check_reach(numbering, payload, size, &numbers);
	numbers_append_stream(numbering, numbers.stream, &stream);
	CHECK(!text_failed(&stream) && !has_controls(stream.data, stream.length));
	if (numbering->kind == NUMBERING_INTEGER)
		check_integer(numbering, payload, &numbers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, '\n', size);
	size_t length = end ? (size_t)(end - data) : size;
	char key[KEY_MAX] = "", why[WHY_MAX] = "";
	struct numbering numbering;

	if (!size || length >= sizeof(key))
		return 0;
	memcpy(key, data, length);
	if (numbering_parse(key, &numbering, why) < 0) {
		CHECK(*why);
		return 0;
	}
	data += length + (end != NULL);
	size -= length + (end != NULL);
	if (numbering.kind == NUMBERING_MPEG_TS)
		read_packets(data, size);
	else
		read_numbers(&numbering, data, size);
	return 0;
}
