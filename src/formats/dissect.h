/* From a captured packet to the UDP datagram in it, or to the part of one: pure, bytes in and bytes
 * out. Checksums of whole packets are not verified: on loopback, or with checksum offload, they are
 * captured without valid ones. What is sent in fragments has a valid one, as no network interface
 * computes it over several packets. RFC 791, 768, 8200; IEEE 802.1Q; RFC 1042, 1661, 2516, 3032,
 * 4302; https://www.tcpdump.org/linktypes.html. */
#pragma once

#include "formats/captured_packet.h"
#include "net/address.h"

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

/* Which part of its IP packet a fragment has. */
struct fragment {
	uint32_t identification;
	uint32_t offset; /* in bytes, a multiple of 8; it ends at 65,535 bytes at most */
	bool more; /* others follow; its size is a multiple of 8 then */
	uint8_t protocol; /* of what the packet carries: UDP, or an extension header before it */
	bool is_routed; /* a routing header has another destination, for which the checksum is */
};

struct dissected {
	struct address source, destination;
	uint16_t source_port, destination_port;
	const uint8_t *data; /* the payload of the datagram, or the bytes of the fragment */
	size_t size;
	/* Where on the link it was seen: the VLAN, and what the headers of Linux' "any" device say
	 * of direction and interface. Tells apart copies of one packet. */
	uint64_t place;
	struct fragment fragment; /* with DISSECT_FRAGMENT only */
	bool is_verified; /* by dissect_whole(): its checksum, which is not 0, is right */
};

/* *ret is meaningful with DISSECT_UDP and DISSECT_FRAGMENT only; its data is within the packet. */
enum dissect_result dissect(const struct captured_packet *packet, struct dissected *ret);

/* The datagram in a packet of size bytes that was put together from fragments: *ret has the
 * addresses, and the protocol of the first fragment. Returns DISSECT_UDP, DISSECT_NOT_UDP, or
 * DISSECT_FRAGMENT where its headers or its checksum show that the fragments are not of one
 * datagram, or are damaged. */
enum dissect_result dissect_whole(const uint8_t *data, size_t size, struct dissected *ret);
