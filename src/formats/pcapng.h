/* pcapng files (draft-ietf-opsawg-pcapng): datagrams in and bytes out (pcapng_write.c), bytes in
 * and packets out (pcapng_read.c). Pure, except for pcapng_measure() and pcapng_first_time(), which
 * read a file.
 *
 * What is written is little endian, and all interfaces of a file have one link type: LINKTYPE_RAW,
 * where a packet is an IP header, a UDP header and the payload; or LINKTYPE_ETHERNET, where an
 * Ethernet header comes first. The kernel hands over the payload only, so the headers are rebuilt
 * from what is known: addresses, ports, TTL; with correct checksums.
 *
 * LINKTYPE_RAW has two numbers. 101 is the one in files, and 12 the one in libpcap's interface
 * (DLT_RAW), which all readers accept in files, too. libpcap turns the first interface's 101 into
 * 12, and then stops at a second one that is not 12 ("an interface has a type 101 different from
 * the type of the first interface", seen in 1.10.3). So the first one in a file is 101, and all
 * others are 12.
 *
 * What is read may be written by our own recorder, dumpcap, editcap or Wireshark: either byte
 * order, several sections, any time resolution. No length in the file is trusted: a block that is
 * parsed is complete, both of its lengths agree, and everything within it ends before it does. A
 * block that is not parsed is skipped, whatever size it claims. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "data/datagram.h"
#include "formats/captured_packet.h"

/* ---- Numbers of the format ---- */

enum pcapng_block_type {
	PCAPNG_BLOCK_INTERFACE = 1,
	PCAPNG_BLOCK_OBSOLETE_PACKET = 2,
	PCAPNG_BLOCK_SIMPLE_PACKET = 3,
	PCAPNG_BLOCK_STATISTICS = 5,
	PCAPNG_BLOCK_PACKET = 6,
	PCAPNG_BLOCK_SECTION = 0x0a0d0d0a, /* the same in both byte orders */
};

/* Their meaning depends on the type of the block. */
enum pcapng_option {
	PCAPNG_OPTION_END = 0,
	PCAPNG_OPTION_COMMENT = 1,
	PCAPNG_SECTION_HARDWARE = 2,
	PCAPNG_SECTION_SYSTEM = 3,
	PCAPNG_SECTION_APPLICATION = 4,
	PCAPNG_INTERFACE_NAME = 2,
	PCAPNG_INTERFACE_DESCRIPTION = 3,
	PCAPNG_INTERFACE_RESOLUTION = 9,
	PCAPNG_INTERFACE_OFFSET = 14,
	PCAPNG_STATISTICS_START = 2,
	PCAPNG_STATISTICS_END = 3,
	PCAPNG_STATISTICS_RECEIVED = 4,
	PCAPNG_STATISTICS_DROPPED = 5,
	PCAPNG_STATISTICS_KERNEL_DROPPED = 7,
	PCAPNG_STATISTICS_DELIVERED = 8,
};

#define PCAPNG_BYTE_ORDER 0x1a2b3c4du
#define PCAPNG_LINK_ETHERNET 1u
#define PCAPNG_LINK_RAW 101u
#define PCAPNG_LINK_RAW_AGAIN 12u
#define PCAPNG_SNAP_LENGTH 262144u /* as dumpcap; libpcap wants all interfaces to have the same */

#define PCAPNG_OWN_BLOCK_MAX (66 * 1024) /* of a block that is written here */
#define PCAPNG_HEADER_SIZE 8 /* type and length */
#define PCAPNG_TRAILER_SIZE 4 /* the length again */

/* Options and packets end at a multiple of four bytes. */
static inline size_t pcapng_padded(size_t size)
{
	return (size + 3) & ~(size_t)3;
}

/* ---- Writing ---- */

/* A section header. The three strings are those of shb_hardware, shb_os and shb_userappl. */
void pcapng_append_section(
	struct text *text, const char *hardware, const char *system, const char *application);

/* An interface of LINKTYPE_RAW; those of a section are numbered from 0 in their order. is_first: it
 * is the first in the file. */
void pcapng_append_interface(
	struct text *text, bool is_first, const char *name, const char *description);

/* The same of LINKTYPE_ETHERNET, which has one number. */
void pcapng_append_ethernet_interface(struct text *text, const char *name, const char *description);

struct pcapng_counts {
	uint64_t start_ns; /* when counting started, since the epoch */
	uint64_t received, delivered, dropped;
	uint64_t kernel_dropped; /* not among received */
};

/* The statistics of an interface at that time. */
void pcapng_append_statistics(struct text *text, uint32_t interface, uint64_t timestamp_ns,
	const struct pcapng_counts *counts);

/* What all datagrams of a group have in common. */
struct pcapng_flow {
	unsigned link_size; /* of the Ethernet header; 0: there is none */
	unsigned head_size; /* of the IP and UDP headers, which follow it */
	unsigned options_size;
	uint8_t head[62];
	uint8_t options[128];
};

/* comment becomes that of each datagram; only its first 100 bytes are written. */
void pcapng_flow_init(
	struct pcapng_flow *flow, const struct address *group, uint16_t port, const char *comment);

/* The same, with an Ethernet header in front of each datagram. The destination is the group's
 * address (RFC 1112, section 6.4; RFC 2464, section 7), or ff:ff:ff:ff:ff:ff for 255.255.255.255.
 * The addresses of hosts are not known: theirs are 02:00, which no device has (locally
 * administered), and the last 32 bits of the IP address. */
void pcapng_flow_init_ethernet(
	struct pcapng_flow *flow, const struct address *group, uint16_t port, const char *comment);

void pcapng_append_datagram(struct text *text, const struct pcapng_flow *flow, uint32_t interface,
	const struct datagram *datagram);

/* The Internet checksum (RFC 1071) in parts: adds size bytes, an even number but for the last part,
 * and folds the sum. In the byte order of the machine, as it is to be stored. */
uint64_t pcapng_sum(uint64_t sum, const void *data, size_t size);
uint16_t pcapng_fold(uint64_t sum);

/* ---- Reading what was written here ---- */

struct pcapng_block {
	uint32_t type, size;
	uint32_t interface; /* of a datagram */
};

/* The head of a block, all of which is there. */
struct pcapng_block pcapng_read_block(const void *data);

/* Finds the end of the last whole block, as a recorder_measure(). Reads all of the file, in pieces.
 * Returns -EBADMSG for a file that another program wrote, with another byte order or another link
 * type than LINKTYPE_RAW: libpcap wants one link type and snapshot length in a file, so nothing can
 * be appended. The same where whole blocks may follow one that is damaged: *ret_whole is where that
 * one begins. */
int pcapng_measure(int fd, uint64_t size, uint64_t *ret_whole);

/* The same for LINKTYPE_ETHERNET. */
int pcapng_measure_ethernet(int fd, uint64_t size, uint64_t *ret_whole);

/* The time of the first packet in a file of whole blocks, in ns since the epoch. Reads no more than
 * PACKET_RECORD_MAX. Returns 0, -ENOENT when the file has no packet, or another negative errno. */
int pcapng_first_time(int fd, uint64_t size, uint64_t *ret_ns);

/* ---- Reading any file ---- */

/* The most interfaces in a section: a file with nothing else must not exhaust the memory. */
#define PCAPNG_INTERFACES_MAX 65536u

/* All zeros at the start. */
struct pcapng {
	bool in_section, big_endian;
	struct pcapng_interfaces {
		struct pcapng_interface *items;
		size_t count;
	} interfaces; /* of this section */
	const char *why; /* after PACKET_BAD: what is wrong; NULL: memory is short */
};

#define PCAPNG_BEGIN_SIZE 12

/* Whether these PCAPNG_BEGIN_SIZE bytes begin a section, and so a file. */
bool pcapng_begins(const uint8_t *data);

/* Parses the block at the front of data. *ret_size is its size, which may exceed size where the
 * block is not parsed; after PACKET_MORE it is the number of bytes needed, at most
 * PACKET_RECORD_MAX. *ret_packet is written with PACKET_READ only. A Simple Packet Block has no
 * timestamp. */
enum packet_result pcapng_next(struct pcapng *parser, const uint8_t *data, size_t size,
	size_t *ret_size, struct captured_packet *ret_packet);

void pcapng_clear(struct pcapng *parser);
