#include "formats/rtp.h"

enum {
	VERSION = 2,
	HEADER_SIZE = 12, /* without contributing sources */
	SOURCE_SIZE = 4,
	EXTENSION_HEADER_SIZE = 4,
};

/* Of the first byte. */
enum { HAS_PADDING = 0x20, HAS_EXTENSION = 0x10, SOURCE_COUNT = 0x0f };

/* Of the second byte. */
enum { MARKER = 0x80, PAYLOAD_TYPE = 0x7f };

/* The packet types of RTCP, by the marker and payload types that RFC 5761 reserves for them. */
enum { RTCP_FIRST = 192, RTCP_LAST = 223 };

static uint16_t read16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t read32(const uint8_t *at)
{
	return (uint32_t)read16(at) << 16 | read16(at + 2);
}

/* Where the payload begins; 0: beyond the end. */
static size_t find_payload(const uint8_t *packet, size_t size)
{
	size_t offset = HEADER_SIZE + (packet[0] & SOURCE_COUNT) * (size_t)SOURCE_SIZE;

	if (packet[0] & HAS_EXTENSION) {
		if (size < offset + EXTENSION_HEADER_SIZE)
			return 0;
		/* Its length is counted in words of 32 bits, without its own header. */
		offset += EXTENSION_HEADER_SIZE + read16(packet + offset + 2) * (size_t)4;
	}
	return offset <= size ? offset : 0;
}

bool rtp_parse_head(const uint8_t *packet, size_t size, struct rtp *ret)
{
	size_t offset;

	if (size < HEADER_SIZE || packet[0] >> 6 != VERSION ||
		(packet[1] >= RTCP_FIRST && packet[1] <= RTCP_LAST))
		return false;
	offset = find_payload(packet, size);
	if (!offset)
		return false;
	*ret = (struct rtp){
		.payload_type = packet[1] & PAYLOAD_TYPE,
		.marker = packet[1] & MARKER,
		.sequence = read16(packet + 2),
		.timestamp = read32(packet + 4),
		.ssrc = read32(packet + 8),
		.offset = offset,
		.size = size - offset,
	};
	return true;
}

bool rtp_parse(const uint8_t *packet, size_t size, struct rtp *ret)
{
	struct rtp rtp;
	size_t padding;

	if (!rtp_parse_head(packet, size, &rtp))
		return false;
	/* Its last byte counts all of it, itself as well. */
	padding = packet[0] & HAS_PADDING ? packet[size - 1] : 0;
	if (packet[0] & HAS_PADDING && (!padding || padding > rtp.size))
		return false;
	rtp.size -= padding;
	*ret = rtp;
	return true;
}
