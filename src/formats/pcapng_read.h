/* The blocks of a pcapng file (draft-ietf-opsawg-pcapng): pure, bytes in and packets out.
 *
 * Takes what our own recorder, dumpcap, editcap and Wireshark write: either byte order, several
 * sections, any time resolution. No length in the file is trusted: a block that is looked into is
 * there as a whole, both of its lengths agree, and everything within it ends before it does. A
 * block that is not looked into is passed over, however large it says that it is. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The largest block that is looked into. Those of packets have 256 KiB at most, see Wireshark's
 * WTAP_MAX_PACKET_SIZE_STANDARD, and comments. */
#define PCAPNG_BLOCK_MAX (1024u * 1024)

/* The interfaces of one section; only so that a file of nothing else does not fill the memory. */
#define PCAPNG_INTERFACES_MAX 65536u

struct pcapng_interface {
	uint16_t link_type;
	uint8_t resolution; /* as if_tsresol has it: 10 or, with the top bit, 2 to minus that */
	int64_t offset_seconds; /* added to every timestamp */
};

/* Starts as all zeros. */
struct pcapng {
	bool in_section, swapped;
	struct pcapng_interface *interfaces; /* of this section */
	size_t interface_count, interface_capacity;
	const char *why; /* after PCAPNG_BAD: what is wrong; NULL: memory is short */
};

struct pcapng_packet {
	uint64_t timestamp_ns; /* since the epoch, or the nearest that 64 bits hold */
	uint16_t link_type; /* LINKTYPE_ */
	const uint8_t *data; /* what was captured, within the bytes given */
	size_t size;
};

enum pcapng_result {
	PCAPNG_MORE, /* more bytes are needed */
	PCAPNG_PACKET,
	PCAPNG_UNTIMED, /* a packet without a timestamp, of a Simple Packet Block */
	PCAPNG_OTHER, /* a block that is none of these */
	PCAPNG_BAD, /* not pcapng, or malformed: parser->why */
};

/* Looks at the block at the front of data. *ret_size is its size, which may be more than is there
 * where it is not looked into; after PCAPNG_MORE it is how many bytes are needed, at most
 * PCAPNG_BLOCK_MAX. *ret_packet is written with PCAPNG_PACKET only. */
enum pcapng_result pcapng_next(struct pcapng *parser, const uint8_t *data, size_t size,
	size_t *ret_size, struct pcapng_packet *ret_packet);

/* What is wrong with a file that ends here, where data is what was left; NULL: nothing. */
const char *pcapng_end(const struct pcapng *parser, const uint8_t *data, size_t size);

void pcapng_clear(struct pcapng *parser);
