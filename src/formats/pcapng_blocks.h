/* The blocks of a pcapng file (draft-ietf-opsawg-pcapng), little endian: pure, datagrams in and
 * bytes out.
 *
 * All interfaces are LINKTYPE_RAW: a packet is an IP header, a UDP header and the payload. The
 * kernel hands over the payload alone, so the headers are made again from what is known: addresses,
 * ports, TTL; with checksums that are right.
 *
 * That link type has two numbers. 101 is the one in files, and 12 the one in libpcap's interface
 * (DLT_RAW), which all readers take in files, too. libpcap turns the first interface's 101 into 12,
 * and then stops at a second one that is not 12 ("an interface has a type 101 different from the
 * type of the first interface", seen in 1.10.3). So the first one in a file is 101, and all others
 * are 12. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "data/datagram.h"

#define PCAPNG_SECTION_TYPE 0x0a0d0d0au
#define PCAPNG_INTERFACE_TYPE 1u
#define PCAPNG_STATISTICS_TYPE 5u
#define PCAPNG_DATAGRAM_TYPE 6u
#define PCAPNG_BYTE_ORDER 0x1a2b3c4du
#define PCAPNG_LINK_RAW 101u
#define PCAPNG_LINK_RAW_AGAIN 12u
#define PCAPNG_SNAP_LENGTH 262144u /* as dumpcap; libpcap wants all interfaces to have the same */

/* A section header. The three strings are those of shb_hardware, shb_os and shb_userappl. */
void pcapng_append_section(
	struct text *text, const char *hardware, const char *system, const char *application);

/* An interface; those of a section are numbered from 0 in their order. is_first: it is the first in
 * the file. */
void pcapng_append_interface(
	struct text *text, bool is_first, const char *name, const char *description);

struct pcapng_counts {
	uint64_t start_ns; /* since when, since the epoch */
	uint64_t received, delivered, dropped;
	uint64_t kernel_dropped; /* besides */
};

/* The statistics of an interface at a time. */
void pcapng_append_statistics(struct text *text, uint32_t interface, uint64_t timestamp_ns,
	const struct pcapng_counts *counts);

/* What is the same for all datagrams of a group: made once. */
struct pcapng_flow {
	unsigned head_size; /* of the IP and UDP headers */
	unsigned options_size;
	uint8_t head[48];
	uint8_t options[128];
};

/* comment becomes that of each datagram; what is beyond 100 bytes of it is left out. */
void pcapng_flow_init(
	struct pcapng_flow *flow, const struct address *group, uint16_t port, const char *comment);

void pcapng_append_datagram(struct text *text, const struct pcapng_flow *flow, uint32_t interface,
	const struct datagram *datagram);

/* The head of a block that one of the above has appended, all of which is there. */
struct pcapng_block {
	uint32_t type, size;
	uint32_t interface; /* of a datagram */
};

struct pcapng_block pcapng_read_block(const void *data);

/* The Internet checksum (RFC 1071) in parts: adds size bytes, an even number but for the last part,
 * and ends. In the byte order of the machine, as it is to be stored. */
uint64_t pcapng_sum(uint64_t sum, const void *data, size_t size);
uint16_t pcapng_fold(uint64_t sum);
