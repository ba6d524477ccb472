/* A packet as a capture has it, and what reading the next record of a capture gives. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct captured_packet {
	uint64_t timestamp_ns; /* since the epoch, or the nearest that 64 bits hold */
	bool is_timed; /* false: the record has no timestamp */
	uint16_t link_type; /* LINKTYPE_ */
	uint32_t interface; /* its number in the capture; 0 where captures have only one */
	const uint8_t *data; /* what was captured, within the bytes given */
	size_t size;
};

enum packet_result {
	PACKET_MORE, /* more bytes are needed */
	PACKET_READ, /* the record is a packet */
	PACKET_NONE, /* another record */
	PACKET_BAD, /* malformed; the parser says why */
};

/* The largest record that is parsed. Packets have at most 256 KiB, see Wireshark's
 * WTAP_MAX_PACKET_SIZE_STANDARD, and comments. */
#define PACKET_RECORD_MAX (1024u * 1024)
