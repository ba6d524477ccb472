/* From a captured packet to the UDP payload in it: pure, bytes in and bytes out. Checksums are not
 * looked at: what a host sends to itself, or leaves to its network card, is captured without. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum dissect_result {
	DISSECT_UDP,
	DISSECT_NOT_UDP, /* another protocol, or not even IP */
	DISSECT_FRAGMENT, /* a part of a datagram */
	DISSECT_CUT, /* not all of it was captured */
	DISSECT_BROKEN, /* the headers contradict each other */
	DISSECT_LINK, /* a link type that is not known here */
};

struct payload {
	const uint8_t *data; /* within the packet */
	size_t size;
};

/* link_type is a LINKTYPE_ of https://www.tcpdump.org/linktypes.html. *ret is written with
 * DISSECT_UDP only. */
enum dissect_result dissect(
	uint16_t link_type, const uint8_t *packet, size_t size, struct payload *ret);
