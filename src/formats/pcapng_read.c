#include "formats/pcapng_read.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum block_type {
	BLOCK_SECTION = 0x0a0d0d0a, /* the same in both byte orders */
	BLOCK_INTERFACE = 1,
	BLOCK_OBSOLETE_PACKET = 2,
	BLOCK_SIMPLE_PACKET = 3,
	BLOCK_PACKET = 6,
};

#define BYTE_ORDER_MAGIC 0x1a2b3c4du
#define HEADER_SIZE 8 /* type and length */
#define TRAILER_SIZE 4 /* the length again */

enum { OPTION_END = 0, OPTION_RESOLUTION = 9, OPTION_OFFSET = 14 };

#define DEFAULT_RESOLUTION 6 /* microseconds */

/* What stands between header and trailer. */
struct body {
	const uint8_t *data;
	size_t size;
};

static uint16_t get16(const struct pcapng *parser, const uint8_t *data)
{
	uint16_t value;

	memcpy(&value, data, sizeof(value));
	return parser->swapped ? __builtin_bswap16(value) : value;
}

static uint32_t get32(const struct pcapng *parser, const uint8_t *data)
{
	uint32_t value;

	memcpy(&value, data, sizeof(value));
	return parser->swapped ? __builtin_bswap32(value) : value;
}

static uint64_t get64(const struct pcapng *parser, const uint8_t *data)
{
	uint64_t value;

	memcpy(&value, data, sizeof(value));
	return parser->swapped ? __builtin_bswap64(value) : value;
}

static enum pcapng_result bad(struct pcapng *parser, const char *why)
{
	parser->why = why;
	return PCAPNG_BAD;
}

/* What people have at hand instead, and what makes a pcapng of it. */
static const char *why_not_pcapng(const uint8_t *data, size_t size)
{
	static const struct {
		uint8_t magic[4];
		uint8_t length;
		const char *why;
	} others[] = {
#define PCAP "it is a classic pcap, not a pcapng: 'editcap -F pcapng FILE NEW.pcapng' converts it"
		{{0xa1, 0xb2, 0xc3, 0xd4}, 4, PCAP},
		{{0xd4, 0xc3, 0xb2, 0xa1}, 4, PCAP},
		{{0xa1, 0xb2, 0x3c, 0x4d}, 4, PCAP}, /* with nanoseconds */
		{{0x4d, 0x3c, 0xb2, 0xa1}, 4, PCAP},
		{{0xa1, 0xb2, 0xcd, 0x34}, 4, PCAP}, /* with more about each packet */
		{{0x34, 0xcd, 0xb2, 0xa1}, 4, PCAP},
#undef PCAP
		{{0x1f, 0x8b}, 2, "it is compressed: 'gunzip -c FILE | mcastctl replay - GROUP'"},
		{{0x28, 0xb5, 0x2f, 0xfd}, 4,
			"it is compressed: 'zstdcat FILE | mcastctl replay - GROUP'"},
	};

	if (!size)
		return "it is empty";
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (size >= others[i].length && !memcmp(data, others[i].magic, others[i].length))
			return others[i].why;
	return "it is not a pcapng file";
}

/* The byte order is that of the section which the block begins. Returns whether it has one. */
static bool read_byte_order(struct pcapng *parser, const uint8_t *data)
{
	uint32_t magic;

	memcpy(&magic, data + HEADER_SIZE, sizeof(magic));
	parser->swapped = magic == __builtin_bswap32(BYTE_ORDER_MAGIC);
	return parser->swapped || magic == BYTE_ORDER_MAGIC;
}

static enum pcapng_result begin_section(struct pcapng *parser, const struct body *body)
{
	if (body->size < 16)
		return bad(parser, "the section header is too short");
	/* Minor versions are compatible; 1.2 is what some wrote for 1.0. */
	if (get16(parser, body->data + 4) != 1)
		return bad(parser, "its version of pcapng is not 1");
	parser->in_section = true;
	parser->interface_count = 0;
	return PCAPNG_OTHER;
}

static enum pcapng_result read_options(
	struct pcapng *parser, const struct body *options, struct pcapng_interface *interface)
{
	const uint8_t *at = options->data;
	size_t rest = options->size;

	while (rest >= 4) {
		uint16_t code = get16(parser, at), length = get16(parser, at + 2);
		size_t padded = ((size_t)length + 3) & ~(size_t)3;

		at += 4;
		rest -= 4;
		if (code == OPTION_END)
			break;
		if (padded > rest)
			return bad(parser, "an option of the interface goes past its block");
		if (code == OPTION_RESOLUTION && length == 1)
			interface->resolution = *at;
		else if (code == OPTION_OFFSET && length == 8)
			interface->offset_seconds = (int64_t)get64(parser, at);
		at += padded;
		rest -= padded;
	}
	return PCAPNG_OTHER;
}

static bool append_interface(struct pcapng *parser, const struct pcapng_interface *interface)
{
	if (parser->interface_count == parser->interface_capacity) {
		size_t capacity = parser->interface_capacity ? 2 * parser->interface_capacity : 8;
		struct pcapng_interface *grown = reallocarray(
			parser->interfaces, capacity, sizeof(*grown));

		if (!grown)
			return false;
		parser->interfaces = grown;
		parser->interface_capacity = capacity;
	}
	parser->interfaces[parser->interface_count++] = *interface;
	return true;
}

static enum pcapng_result read_interface(struct pcapng *parser, const struct body *body)
{
	struct pcapng_interface interface = {.resolution = DEFAULT_RESOLUTION};
	struct body options;

	if (body->size < 8)
		return bad(parser, "the description of the interface is too short");
	options = (struct body){body->data + 8, body->size - 8};
	if (parser->interface_count >= PCAPNG_INTERFACES_MAX)
		return bad(parser, "the section has too many interfaces");
	interface.link_type = get16(parser, body->data);
	if (read_options(parser, &options, &interface) == PCAPNG_BAD)
		return PCAPNG_BAD;
	if (!append_interface(parser, &interface))
		return bad(parser, NULL);
	return PCAPNG_OTHER;
}

/* In 128 bits nothing here overflows: 2^64 * 10^9 + 2^63 * 10^9. */
static uint64_t to_ns(const struct pcapng_interface *interface, uint64_t timestamp)
{
	unsigned exponent = interface->resolution & 0x7f;
	__int128 ns = timestamp;

	if (interface->resolution & 0x80) {
		ns = ns * NS_PER_S >> exponent;
	} else {
		for (; exponent < 9; exponent++)
			ns *= 10;
		for (; exponent > 9 && ns; exponent--)
			ns /= 10;
	}
	ns += (__int128)interface->offset_seconds * NS_PER_S;
	if (ns < 0)
		return 0;
	return ns > UINT64_MAX ? UINT64_MAX : (uint64_t)ns;
}

/* Enhanced Packet Blocks, and the obsolete ones, which only have another first word. */
static enum pcapng_result read_packet(struct pcapng *parser, enum block_type type,
	const struct body *body, struct pcapng_packet *ret)
{
	const struct pcapng_interface *interface;
	uint64_t timestamp;
	size_t number, captured;

	if (body->size < 20)
		return bad(parser, "the packet's block is too short");
	number = type == BLOCK_PACKET ? get32(parser, body->data) : get16(parser, body->data);
	timestamp = (uint64_t)get32(parser, body->data + 4) << 32 | get32(parser, body->data + 8);
	captured = get32(parser, body->data + 12);
	if (number >= parser->interface_count)
		return bad(parser, "the packet is of an interface that is not described");
	if (captured > body->size - 20)
		return bad(parser, "the packet goes past its block");
	interface = &parser->interfaces[number];
	*ret = (struct pcapng_packet){.timestamp_ns = to_ns(interface, timestamp),
		.link_type = interface->link_type,
		.data = body->data + 20,
		.size = captured};
	return PCAPNG_PACKET;
}

static enum pcapng_result read_block(struct pcapng *parser, enum block_type type,
	const struct body *body, struct pcapng_packet *ret)
{
	switch (type) {
	case BLOCK_SECTION:
		return begin_section(parser, body);
	case BLOCK_INTERFACE:
		return read_interface(parser, body);
	case BLOCK_PACKET:
	case BLOCK_OBSOLETE_PACKET:
		return read_packet(parser, type, body, ret);
	case BLOCK_SIMPLE_PACKET:
		break;
	}
	return PCAPNG_OTHER;
}

static bool is_read(uint32_t type)
{
	return type == BLOCK_SECTION || type == BLOCK_INTERFACE || type == BLOCK_PACKET ||
	       type == BLOCK_OBSOLETE_PACKET;
}

/* Type and length of the block at the front. Returns PCAPNG_OTHER when they are sound. */
static enum pcapng_result read_header(struct pcapng *parser, const uint8_t *data, size_t size,
	uint32_t *ret_type, size_t *ret_size)
{
	uint32_t type = 0, length;

	memcpy(&type, data, size < sizeof(type) ? size : sizeof(type));
	if (size >= sizeof(type) && type != BLOCK_SECTION && !parser->in_section)
		return bad(parser, why_not_pcapng(data, size));
	*ret_size = type == BLOCK_SECTION ? HEADER_SIZE + sizeof(uint32_t) : HEADER_SIZE;
	if (size < *ret_size)
		return PCAPNG_MORE;
	if (type == BLOCK_SECTION && !read_byte_order(parser, data))
		return bad(parser, "the section header has no byte order");
	type = get32(parser, data);
	length = get32(parser, data + 4);
	if (length < HEADER_SIZE + TRAILER_SIZE || length % 4)
		return bad(parser, "the block has an impossible length");
	if (is_read(type) && length > PCAPNG_BLOCK_MAX)
		return bad(parser, "the block is larger than 1 MiB");
	*ret_type = type;
	*ret_size = length;
	return PCAPNG_OTHER;
}

enum pcapng_result pcapng_next(struct pcapng *parser, const uint8_t *data, size_t size,
	size_t *ret_size, struct pcapng_packet *ret_packet)
{
	uint32_t type;
	enum pcapng_result result = read_header(parser, data, size, &type, ret_size);
	struct body body;

	if (result != PCAPNG_OTHER)
		return result;
	if (!is_read(type))
		return type == BLOCK_SIMPLE_PACKET ? PCAPNG_UNTIMED : PCAPNG_OTHER;
	if (size < *ret_size)
		return PCAPNG_MORE;
	if (get32(parser, data + *ret_size - TRAILER_SIZE) != *ret_size)
		return bad(parser, "the two lengths of the block differ");
	body = (struct body){data + HEADER_SIZE, *ret_size - HEADER_SIZE - TRAILER_SIZE};
	return read_block(parser, type, &body, ret_packet);
}

const char *pcapng_end(const struct pcapng *parser, const uint8_t *data, size_t size)
{
	if (!parser->in_section)
		return why_not_pcapng(data, size);
	return size ? "the last block is cut short" : NULL;
}

void pcapng_clear(struct pcapng *parser)
{
	free(parser->interfaces);
	*parser = (struct pcapng){0};
}
