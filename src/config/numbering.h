/* How the datagrams of a group are numbered: the key sequence. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/errors.h"

enum numbering_kind {
	NUMBERING_NONE,
	NUMBERING_RTP, /* RFC 3550, section 5.1: 16 bits */
	NUMBERING_MOLDUDP64, /* Nasdaq MoldUDP64 1.00: 64 bits, which count messages */
	NUMBERING_MPEG_TS, /* ISO/IEC 13818-1, 2.4.3.3: four bits of each packet, a PID apart */
	NUMBERING_IPERF, /* iperf 2: 31 bits, and a sign for the last datagram */
	NUMBERING_INTEGER, /* at an offset */
};

struct numbering {
	enum numbering_kind kind;
	unsigned bits; /* of a number: 8, 16, 32 or 64; of NUMBERING_MPEG_TS 0 */
	bool is_little_endian; /* NUMBERING_INTEGER */
	uint32_t offset; /* of its first byte in the payload */
};

/* From "rtp", "moldudp64", "mpeg-ts", "iperf", or like "u32@4" and "u64le@8". Returns 0, or -EINVAL
 * with the reason in why. */
int numbering_parse(const char *text, struct numbering *ret, char why[static WHY_MAX]);
