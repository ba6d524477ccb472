/* Captures of any program, classic pcap and pcapng: bytes in and packets out. Pure. */
#pragma once

#include "formats/pcap.h"
#include "formats/pcapng.h"

enum capture_format { CAPTURE_UNKNOWN, CAPTURE_PCAP, CAPTURE_PCAPNG };

/* All zeros at the start. */
struct capture {
	enum capture_format format;
	struct pcap pcap;
	struct pcapng pcapng;
	const char *why; /* after PACKET_BAD: what is wrong; NULL: memory is short */
};

/* Parses the record at the front of data, as pcapng_next() does. */
enum packet_result capture_next(struct capture *capture, const uint8_t *data, size_t size,
	size_t *ret_size, struct captured_packet *ret_packet);

/* What is wrong with a capture that ends here, where data is what was left; NULL: nothing. */
const char *capture_end(const struct capture *capture, const uint8_t *data, size_t size);

void capture_clear(struct capture *capture);
