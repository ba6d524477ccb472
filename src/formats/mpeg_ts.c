#include "formats/mpeg_ts.h"

#define SYNC 0x47
#define PID_NULL 0x1fff /* its counter means nothing */
#define COUNTER 0x0f
#define IS_KNOWN 0x10
#define HAS_PAYLOAD 0x10
#define HAS_ADAPTATION 0x20
#define IS_DISCONTINUOUS 0x80 /* discontinuity_indicator */

static bool is_announced(const uint8_t *packet)
{
	return packet[3] & HAS_ADAPTATION && packet[4] && packet[5] & IS_DISCONTINUOUS;
}

static void count_packet(struct mpeg_ts *ts, const uint8_t *packet)
{
	unsigned pid = (packet[1] & 0x1fu) << 8 | packet[2];
	unsigned counter = packet[3] & COUNTER, last = ts->last[pid];

	ts->packets++;
	/* It counts packets with payload only. */
	if (pid == PID_NULL || !(packet[3] & HAS_PAYLOAD))
		return;
	ts->last[pid] = (uint8_t)(counter | IS_KNOWN);
	if (!(last & IS_KNOWN) || ((last + 1) & COUNTER) == counter || is_announced(packet))
		return;
	/* A packet may be repeated once. */
	if ((last & COUNTER) == counter)
		return;
	ts->discontinuities++;
}

bool mpeg_ts_count(struct mpeg_ts *ts, const uint8_t *payload, size_t size)
{
	if (!size || size % MPEG_TS_PACKET)
		return false;
	for (size_t at = 0; at < size; at += MPEG_TS_PACKET)
		if (payload[at] != SYNC)
			return false;
	for (size_t at = 0; at < size; at += MPEG_TS_PACKET)
		count_packet(ts, payload + at);
	return true;
}
