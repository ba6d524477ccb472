#include "formats/pcap.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/clock.h"

#define HEADER_SIZE 24
#define RECORD_SIZE 16
#define MODIFIED_RECORD_SIZE 24 /* also interface, protocol and direction */
#define MICROSECOND_NS 1000
#define MAJOR_VERSION 2

static uint32_t get32(bool big_endian, const uint8_t *data)
{
	uint32_t value = 0;

	for (size_t i = 0; i < 4; i++)
		value = value << 8 | data[big_endian ? i : 3 - i];
	return value;
}

/* Takes what the magic number says. Returns whether it is one. */
static bool read_magic(struct pcap *parser, const uint8_t *data)
{
	static const struct {
		uint32_t magic, tick_ns;
		size_t record_size;
	} forms[] = {
		{0xa1b2c3d4, MICROSECOND_NS, RECORD_SIZE}, {0xa1b23c4d, 1, RECORD_SIZE},
		{0xa1b2cd34, MICROSECOND_NS, MODIFIED_RECORD_SIZE}, /* Alexey Kuznetzov's */
	};

	for (size_t i = 0; i < 2 * ARRAY_SIZE(forms); i++) {
		parser->big_endian = i % 2;
		parser->tick_ns = forms[i / 2].tick_ns;
		parser->record_size = forms[i / 2].record_size;
		if (get32(parser->big_endian, data) == forms[i / 2].magic)
			return true;
	}
	return false;
}

/* The first half of the word. */
static uint32_t major_version(const struct pcap *parser, uint32_t version)
{
	return parser->big_endian ? version >> 16 : version & 0xffff;
}

bool pcap_begins(const uint8_t *data)
{
	struct pcap parser;

	return read_magic(&parser, data);
}

bool pcap_header_begins(const uint8_t *data)
{
	struct pcap parser;
	uint32_t version;

	if (!read_magic(&parser, data))
		return false;
	version = get32(parser.big_endian, data + 4);
	return major_version(&parser, version) == MAJOR_VERSION &&
	       !get32(parser.big_endian, data + 8) && !get32(parser.big_endian, data + 12);
}

static bool is_zero(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (data[i])
			return false;
	return true;
}

static enum packet_result bad(struct pcap *parser, const char *why)
{
	parser->why = why;
	return PACKET_BAD;
}

static enum packet_result read_header(
	struct pcap *parser, const uint8_t *data, size_t size, size_t *ret_size)
{
	uint32_t version;

	*ret_size = HEADER_SIZE;
	if (size < HEADER_SIZE)
		return PACKET_MORE;
	if (!read_magic(parser, data))
		return bad(parser, "it is not a pcap file");
	version = get32(parser->big_endian, data + 4);
	if (major_version(parser, version) != MAJOR_VERSION)
		return bad(parser, "its version of pcap is not 2");
	/* The upper half says how long Ethernet's checksum is, which counts as padding. */
	parser->link_type = (uint16_t)get32(parser->big_endian, data + 20);
	parser->has_header = true;
	return PACKET_NONE;
}

enum packet_result pcap_next(struct pcap *parser, const uint8_t *data, size_t size,
	size_t *ret_size, struct captured_packet *ret_packet)
{
	bool big_endian = parser->big_endian;
	uint32_t captured;

	if (!parser->has_header)
		return read_header(parser, data, size, ret_size);
	*ret_size = parser->record_size;
	if (size < parser->record_size)
		return PACKET_MORE;
	if (is_zero(data, parser->record_size))
		return bad(parser,
			"zeros stand where a packet should begin, as after a loss of power or on a "
			"disk that was full");
	captured = get32(big_endian, data + 8);
	if (captured > PACKET_RECORD_MAX - parser->record_size)
		return bad(parser,
			"the packet is larger than 1 MiB: the file is damaged, or of an old form "
			"of pcap, which 'editcap FILE NEW.pcapng' may convert");
	*ret_size += captured;
	if (size < *ret_size)
		return PACKET_MORE;
	*ret_packet = (struct captured_packet){
		.timestamp_ns = get32(big_endian, data) * NS_PER_S +
				(uint64_t)get32(big_endian, data + 4) * parser->tick_ns,
		.is_timed = true,
		.link_type = parser->link_type,
		.data = data + parser->record_size,
		.size = captured,
	};
	return PACKET_READ;
}
