#include "formats/numbers.h"

#include <string.h>

#include "base/escape.h"
#include "base/text.h"
#include "data/sequence.h"
#include "formats/rtp.h"

/* MoldUDP64: session, number, count. */
#define MOLD_SESSION 10
#define MOLD_HEADER 20
#define MOLD_BLOCK_MIN 2 /* the length of a message */
#define MOLD_END 0xffff /* the count of a datagram that ends the session */

static uint64_t read_big(const uint8_t *bytes, unsigned count)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < count; i++)
		value = value << 8 | bytes[i];
	return value;
}

static uint64_t read_little(const uint8_t *bytes, unsigned count)
{
	uint64_t value = 0;

	while (count--)
		value = value << 8 | bytes[count];
	return value;
}

static bool read_rtp(const uint8_t *payload, size_t size, struct numbers *ret)
{
	struct rtp rtp;

	if (!rtp_parse_head(payload, size, &rtp))
		return false;
	*ret = (struct numbers){.stream = {rtp.ssrc},
		.first = rtp.sequence,
		.count = 1,
		.timestamp = rtp.timestamp};
	return true;
}

static bool read_moldudp64(const uint8_t *payload, size_t size, struct numbers *ret)
{
	if (size < MOLD_HEADER)
		return false;
	*ret = (struct numbers){.first = read_big(payload + MOLD_SESSION, 8),
		.count = (uint32_t)read_big(payload + MOLD_SESSION + 8, 2)};
	memcpy(ret->stream, payload, MOLD_SESSION);
	if (ret->count == MOLD_END)
		ret->count = 0;
	return ret->first <= SEQUENCE_NUMBER_MAX &&
	       ret->count <= (size - MOLD_HEADER) / MOLD_BLOCK_MIN;
}

/* The last datagram has the negated number. */
static bool read_iperf(const uint8_t *payload, size_t size, struct numbers *ret)
{
	uint32_t number;

	if (size < sizeof(number))
		return false;
	number = (uint32_t)read_big(payload, sizeof(number));
	*ret = (struct numbers){.first = number >> 31 ? -number : number, .count = 1};
	return true;
}

static bool read_integer(
	const struct numbering *numbering, const uint8_t *payload, size_t size, struct numbers *ret)
{
	unsigned bytes = numbering->bits / 8;

	if (size < numbering->offset + bytes)
		return false;
	payload += numbering->offset;
	*ret = (struct numbers){.first = numbering->is_little_endian ? read_little(payload, bytes)
								     : read_big(payload, bytes),
		.count = 1};
	return ret->first <= SEQUENCE_NUMBER_MAX;
}

bool numbers_read(
	const struct numbering *numbering, const uint8_t *payload, size_t size, struct numbers *ret)
{
	switch (numbering->kind) {
	case NUMBERING_RTP:
		return read_rtp(payload, size, ret);
	case NUMBERING_MOLDUDP64:
		return read_moldudp64(payload, size, ret);
	case NUMBERING_IPERF:
		return read_iperf(payload, size, ret);
	case NUMBERING_INTEGER:
		return read_integer(numbering, payload, size, ret);
	default:
		return false;
	}
}

size_t numbers_reach(const struct numbering *numbering)
{
	switch (numbering->kind) {
	case NUMBERING_RTP:
		return RTP_HEAD_MAX;
	case NUMBERING_MOLDUDP64:
		return MOLD_HEADER;
	case NUMBERING_IPERF:
		return sizeof(uint32_t);
	case NUMBERING_INTEGER:
		return numbering->offset + numbering->bits / 8;
	default:
		return SIZE_MAX;
	}
}

void numbers_append_stream(
	const struct numbering *numbering, const uint64_t stream[static 2], struct text *text)
{
	char session[MOLD_SESSION];
	size_t length = sizeof(session);

	if (numbering->kind == NUMBERING_RTP)
		text_printf(text, "%08x", (unsigned)stream[0]);
	if (numbering->kind != NUMBERING_MOLDUDP64)
		return;
	memcpy(session, stream, sizeof(session));
	while (length && session[length - 1] == ' ')
		length--;
	text_append_escaped(text, session, length);
}
