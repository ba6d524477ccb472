#include "ctl/probe/packet.h"

#include <string.h>

#include "base/clock.h"

#define RTP_VERSION 0x80
#define RTP_TYPE 96 /* dynamic (RFC 3551, section 6) */
#define RTP_CLOCK 90000 /* units a second */

/* Where what is there begins. */
enum {
	AT_TYPE = 1,
	AT_SEQUENCE = 2,
	AT_TIMESTAMP = 4,
	AT_SSRC = 8,
	AT_MAGIC = 12,
	AT_SENT = 20,
	AT_NUMBER = 28,
	AT_TOTAL = 32,
	AT_TTL = 36,
};

static const char magic[] = "mcastprb";

static void put(uint8_t *at, uint64_t value, unsigned bytes)
{
	while (bytes--) {
		at[bytes] = (uint8_t)value;
		value >>= 8;
	}
}

static uint64_t get(const uint8_t *at, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes; i++)
		value = value << 8 | at[i];
	return value;
}

void probe_packet_write(const struct probe_packet *packet, uint8_t *payload, size_t size)
{
	uint64_t ticks = packet->sent_ns / NS_PER_S * RTP_CLOCK +
			 packet->sent_ns % NS_PER_S * RTP_CLOCK / NS_PER_S;

	memset(payload, 0, size);
	payload[0] = RTP_VERSION;
	payload[AT_TYPE] = RTP_TYPE;
	put(payload + AT_SEQUENCE, packet->number, 2);
	put(payload + AT_TIMESTAMP, ticks, 4);
	put(payload + AT_SSRC, packet->ssrc, 4);
	memcpy(payload + AT_MAGIC, magic, sizeof(magic) - 1);
	put(payload + AT_SENT, packet->sent_ns, 8);
	put(payload + AT_NUMBER, packet->number, 4);
	put(payload + AT_TOTAL, packet->total, 4);
	payload[AT_TTL] = packet->ttl;
}

bool probe_packet_read(const uint8_t *payload, size_t size, struct probe_packet *ret)
{
	if (size < PROBE_SIZE_MIN || payload[0] != RTP_VERSION ||
		memcmp(payload + AT_MAGIC, magic, sizeof(magic) - 1) != 0)
		return false;
	*ret = (struct probe_packet){.ssrc = (uint32_t)get(payload + AT_SSRC, 4),
		.number = (uint32_t)get(payload + AT_NUMBER, 4),
		.total = (uint32_t)get(payload + AT_TOTAL, 4),
		.sent_ns = get(payload + AT_SENT, 8),
		.ttl = payload[AT_TTL]};
	return true;
}
