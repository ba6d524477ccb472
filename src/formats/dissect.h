/* From a captured packet to the UDP payload in it: pure, bytes in and bytes out. Checksums are not
 * verified: packets on loopback, or with checksum offload, are captured without valid ones. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The results other than DISSECT_UDP count from 0, so that they can be an index. */
enum dissect_result {
	DISSECT_UDP = -1,
	DISSECT_NOT_UDP, /* another protocol, or not even IP */
	DISSECT_FRAGMENT, /* a part of a datagram */
	DISSECT_CUT, /* not all of it was captured */
	DISSECT_BROKEN, /* the headers contradict each other */
	DISSECT_LINK, /* unknown link type */
	DISSECT_RESULTS,
};

struct payload {
	const uint8_t *data; /* within the packet */
	size_t size;
};

/* link_type is a LINKTYPE_ of https://www.tcpdump.org/linktypes.html. *ret is written with
 * DISSECT_UDP only. */
enum dissect_result dissect(
	uint16_t link_type, const uint8_t *packet, size_t size, struct payload *ret);
