/* The continuity counters of an MPEG transport stream (ISO/IEC 13818-1, 2.4.3.3): four bits in each
 * packet of a PID, which tell that some are missing, but not how many. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MPEG_TS_PACKET 188
#define MPEG_TS_PIDS 8192

/* Zeroed: nothing has come. */
struct mpeg_ts {
	uint8_t last[MPEG_TS_PIDS]; /* the counter, and whether there was one */
	uint64_t packets;
	uint64_t discontinuities;
};

/* Counts the packets of a datagram. Returns false, and counts nothing, where it does not consist of
 * packets. */
bool mpeg_ts_count(struct mpeg_ts *ts, const uint8_t *payload, size_t size);
