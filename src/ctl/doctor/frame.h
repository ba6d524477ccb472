/* One Ethernet frame as it was seen on the wire: pure, bytes in and struct out. Whatever it says
 * comes from anyone. RFC 791, 768, 3376, 2236, 3810, 8200; IEEE 802.1Q. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/address.h"

enum frame_kind {
	FRAME_OTHER, /* neither of these, or cut off before it could be told */
	FRAME_UDP,
	FRAME_FRAGMENT, /* a part of a UDP datagram; the first one has ports, too */
	FRAME_REPORT, /* IGMP or MLD: somebody has groups, or has left one */
	FRAME_QUERY, /* IGMP or MLD: somebody asks for them */
};

/* A group in a report. */
struct frame_record {
	struct address group;
	uint8_t type; /* 1 to 6 as in RFC 3376, 4.2.12; 0: a report or leave of older versions */
	bool is_leave; /* nobody wants it any more: a leave, or type 3 without sources */
	uint16_t source_count;
};

#define FRAME_RECORDS_MAX 64

struct frame {
	enum frame_kind kind;
	uint8_t to_mac[6], from_mac[6];
	int vlan; /* VLAN of the outermost tag, also 0 (priority only); -1: it has none */
	struct address source, destination; /* AF_UNSPEC: no IP */
	uint8_t ttl; /* or hop limit */
	uint16_t source_port, destination_port; /* 0 in fragments but the first */
	uint32_t fragment_offset; /* bytes */
	bool more_fragments;
	uint32_t identification; /* of fragments */
	size_t fragment_size; /* bytes of the datagram that a fragment has */
	size_t size; /* of the IP packet, as its header says */
	bool bad_ip_checksum;
	bool bad_udp_checksum; /* of a whole datagram; never where it is not filled in yet. IPv6
				  must have one (RFC 8200, 8.1) */
	bool bad_udp_length; /* the header claims more than there is */
	const uint8_t *payload; /* of UDP, within the data; NULL in fragments but the first */
	size_t payload_size; /* bytes of it that were captured */
	uint8_t version; /* of IGMP (1 to 3) or MLD (1, 2), in reports and queries */
	struct frame_record records[FRAME_RECORDS_MAX]; /* of reports; of queries: the group asked
							   for, where it is one */
	uint32_t answer_ms; /* of queries: how long an answer may take */
	size_t record_count; /* at most FRAME_RECORDS_MAX; what is over is left out */
};

/* What packet(7) says beside the frame, in struct tpacket_auxdata. */
struct frame_context {
	int vlan; /* of a tag that the kernel has taken off; -1: none */
	bool checksum_not_ready; /* it was sent on this host, and a device would fill it in */
	size_t wire_size; /* of the frame on the wire; what was captured may be less */
	bool has_ethernet; /* false: it begins with the IP header (tun, and other links without) */
};

/* Fills in all of *ret but the records from record_count on. Reports and queries with a bad
 * checksum of their own are FRAME_OTHER: nobody takes them. */
void frame_parse(
	const void *data, size_t size, const struct frame_context *context, struct frame *ret);
