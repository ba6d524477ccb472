/* The header of RTP: pure, bytes in and a struct out (RFC 3550, 5.1).
 *
 * What is RTP cannot be told from a datagram alone: only version, lengths and the number that RTCP
 * would have there (RFC 5761, 4) are checked. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rtp {
	uint8_t payload_type; /* 0 to 127 */
	bool marker;
	uint16_t sequence;
	uint32_t timestamp; /* in units of the payload type's clock */
	uint32_t ssrc; /* the source of the stream */
	/* The payload, in bytes from the first of the packet: what is left without the header with
	 * its contributing sources and extension, and without the padding. May be empty. */
	size_t offset, size;
};

/* Reads a packet. Returns false, and writes nothing, when it is none of RTP: of another version,
 * too short for its header, for its extension or for its padding; or RTCP, whose packet types are
 * where RTP has the marker and the payload type. */
bool rtp_parse(const uint8_t *packet, size_t size, struct rtp *ret);

/* The same, but the padding is taken for payload, as its length is the last byte of the packet.
 * Reads no more than RTP_HEAD_MAX bytes of the packet. */
bool rtp_parse_head(const uint8_t *packet, size_t size, struct rtp *ret);

/* A header with 15 contributing sources, and the header of its extension. */
#define RTP_HEAD_MAX 76
