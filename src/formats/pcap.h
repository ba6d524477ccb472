/* Classic pcap files (draft-ietf-opsawg-pcap), which tcpdump and most other programs write: bytes
 * in and packets out. Pure. Either byte order, microseconds and nanoseconds, and the modified form
 * of old Linux systems, whose records say more about each packet.
 *
 * No length in the file is trusted: a packet that is read is there as a whole. */
#pragma once

#include "formats/captured_packet.h"

/* All zeros at the start. */
struct pcap {
	bool has_header, big_endian;
	uint32_t tick_ns; /* 1 or 1000 */
	size_t record_size; /* of a packet's header */
	uint16_t link_type;
	const char *why; /* after PACKET_BAD: what is wrong */
};

#define PCAP_MAGIC_SIZE 4

/* Whether a file that begins with these PCAP_MAGIC_SIZE bytes is one. */
bool pcap_begins(const uint8_t *data);

#define PCAP_RECORD_SIZE_MIN 16

/* Whether these PCAP_RECORD_SIZE_MIN bytes can only be the beginning of a file's header: as a
 * record, they would be an empty packet of an exact microsecond in the year 2055 or 2083. */
bool pcap_header_begins(const uint8_t *data);

/* Parses the file's header or the record at the front of data. *ret_size is its size; after
 * PACKET_MORE it is the number of bytes needed, at most PACKET_RECORD_MAX. *ret_packet is written
 * with PACKET_READ only. */
enum packet_result pcap_next(struct pcap *parser, const uint8_t *data, size_t size,
	size_t *ret_size, struct captured_packet *ret_packet);
