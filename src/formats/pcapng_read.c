#include "formats/pcapng.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/io.h"

#define DEFAULT_RESOLUTION 6 /* microseconds */

struct pcapng_interface {
	uint16_t link_type;
	uint8_t resolution; /* as if_tsresol has it: 10 or, with the top bit, 2 to minus that */
	int64_t offset_seconds; /* added to every timestamp */
};

static uint64_t get(const struct pcapng *parser, const uint8_t *data, size_t size)
{
	uint64_t value = 0;

	for (size_t i = 0; i < size; i++)
		value = value << 8 | data[parser->big_endian ? i : size - 1 - i];
	return value;
}

static enum pcapng_result bad(struct pcapng *parser, const char *why)
{
	parser->why = why;
	return PCAPNG_BAD;
}

/* The usual other files, and how to make a pcapng of them. */
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
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (size >= others[i].length && !memcmp(data, others[i].magic, others[i].length))
			return others[i].why;
	return "it is not a pcapng file";
}

/* Takes the byte order of the section that begins here. Returns whether it has one. */
static bool read_byte_order(struct pcapng *parser, const uint8_t *data)
{
	parser->big_endian = data[PCAPNG_HEADER_SIZE] == PCAPNG_BYTE_ORDER >> 24;
	return get(parser, data + PCAPNG_HEADER_SIZE, 4) == PCAPNG_BYTE_ORDER;
}

static enum pcapng_result begin_section(struct pcapng *parser, const uint8_t *body, size_t size)
{
	if (size < 16)
		return bad(parser, "the section header is too short");
	/* Minor versions are compatible; 1.2 is what some wrote for 1.0. */
	if (get(parser, body + 4, 2) != 1)
		return bad(parser, "its version of pcapng is not 1");
	parser->in_section = true;
	parser->interfaces.count = 0;
	return PCAPNG_OTHER;
}

static enum pcapng_result read_options(
	struct pcapng *parser, const uint8_t *at, size_t rest, struct pcapng_interface *interface)
{
	while (rest >= 4) {
		size_t code = get(parser, at, 2), length = get(parser, at + 2, 2);
		size_t padded = pcapng_padded(length);

		at += 4;
		rest -= 4;
		if (code == PCAPNG_OPTION_END)
			break;
		if (padded > rest)
			return bad(parser, "an option of the interface goes past its block");
		if (code == PCAPNG_INTERFACE_RESOLUTION && length == 1)
			interface->resolution = *at;
		else if (code == PCAPNG_INTERFACE_OFFSET && length == 8)
			interface->offset_seconds = (int64_t)get(parser, at, 8);
		at += padded;
		rest -= padded;
	}
	return PCAPNG_OTHER;
}

static enum pcapng_result read_interface(struct pcapng *parser, const uint8_t *body, size_t size)
{
	struct pcapng_interface interface = {.resolution = DEFAULT_RESOLUTION};

	if (size < 8)
		return bad(parser, "the description of the interface is too short");
	if (parser->interfaces.count >= PCAPNG_INTERFACES_MAX)
		return bad(parser, "the section has too many interfaces");
	interface.link_type = (uint16_t)get(parser, body, 2);
	if (read_options(parser, body + 8, size - 8, &interface) == PCAPNG_BAD)
		return PCAPNG_BAD;
	if (array_add(&parser->interfaces, interface) < 0)
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

/* Of an Enhanced Packet Block, or an obsolete one, where the first word is shorter. */
static enum pcapng_result read_packet(struct pcapng *parser, const uint8_t *body, size_t size,
	size_t number_size, struct pcapng_packet *ret)
{
	const struct pcapng_interface *interface;
	uint64_t number, timestamp, captured;

	if (size < 20)
		return bad(parser, "the packet's block is too short");
	number = get(parser, body, number_size);
	timestamp = get(parser, body + 4, 4) << 32 | get(parser, body + 8, 4);
	captured = get(parser, body + 12, 4);
	if (number >= parser->interfaces.count)
		return bad(parser, "the packet is of an interface that is not described");
	if (captured > size - 20)
		return bad(parser, "the packet goes past its block");
	interface = &parser->interfaces.items[number];
	*ret = (struct pcapng_packet){
		.timestamp_ns = to_ns(interface, timestamp),
		.link_type = interface->link_type,
		.data = body + 20,
		.size = captured,
	};
	return PCAPNG_PACKET;
}

static bool is_parsed(uint32_t type)
{
	return type == PCAPNG_BLOCK_SECTION || type == PCAPNG_BLOCK_INTERFACE ||
	       type == PCAPNG_BLOCK_PACKET || type == PCAPNG_BLOCK_OBSOLETE_PACKET;
}

/* Type and length of the block at the front. Returns PCAPNG_OTHER when they are sound. */
static enum pcapng_result read_header(struct pcapng *parser, const uint8_t *data, size_t size,
	uint32_t *ret_type, size_t *ret_size)
{
	static const uint8_t section[] = {0x0a, 0x0d, 0x0d, 0x0a};
	bool is_section = !memcmp(data, section, size < 4 ? size : 4);

	if (!is_section && !parser->in_section)
		return bad(parser, why_not_pcapng(data, size));
	*ret_size = is_section && size >= 4 ? PCAPNG_HEADER_SIZE + 4 : PCAPNG_HEADER_SIZE;
	if (size < *ret_size)
		return PCAPNG_MORE;
	if (is_section && !read_byte_order(parser, data))
		return bad(parser, "the section header has no byte order");
	*ret_type = (uint32_t)get(parser, data, 4);
	*ret_size = get(parser, data + 4, 4);
	if (*ret_size < PCAPNG_HEADER_SIZE + PCAPNG_TRAILER_SIZE || *ret_size % 4)
		return bad(parser, "the block has an impossible length");
	if (is_parsed(*ret_type) && *ret_size > PCAPNG_BLOCK_MAX)
		return bad(parser, "the block is larger than 1 MiB");
	return PCAPNG_OTHER;
}

/* Whether the block, which is there as a whole, ends with its length. */
static bool has_trailer(const struct pcapng *parser, const uint8_t *block, size_t size)
{
	return get(parser, block + size - PCAPNG_TRAILER_SIZE, 4) == size;
}

enum pcapng_result pcapng_next(struct pcapng *parser, const uint8_t *data, size_t size,
	size_t *ret_size, struct pcapng_packet *ret_packet)
{
	uint32_t type;
	enum pcapng_result result = read_header(parser, data, size, &type, ret_size);
	const uint8_t *body = data + PCAPNG_HEADER_SIZE;
	size_t body_size = *ret_size - PCAPNG_HEADER_SIZE - PCAPNG_TRAILER_SIZE;

	if (result != PCAPNG_OTHER)
		return result;
	if (!is_parsed(type))
		return type == PCAPNG_BLOCK_SIMPLE_PACKET ? PCAPNG_UNTIMED : PCAPNG_OTHER;
	if (size < *ret_size)
		return PCAPNG_MORE;
	if (!has_trailer(parser, data, *ret_size))
		return bad(parser, "the two lengths of the block differ");
	if (type == PCAPNG_BLOCK_SECTION)
		return begin_section(parser, body, body_size);
	if (type == PCAPNG_BLOCK_INTERFACE)
		return read_interface(parser, body, body_size);
	return read_packet(
		parser, body, body_size, type == PCAPNG_BLOCK_PACKET ? 4 : 2, ret_packet);
}

const char *pcapng_end(const struct pcapng *parser, const uint8_t *data, size_t size)
{
	if (!parser->in_section)
		return why_not_pcapng(data, size);
	return size ? "the last block is cut short" : NULL;
}

void pcapng_clear(struct pcapng *parser)
{
	free(parser->interfaces.items);
	*parser = (struct pcapng){0};
}

struct pcapng_block pcapng_read_block(const void *data)
{
	const struct pcapng parser = {.big_endian = false};
	const uint8_t *at = data;

	return (struct pcapng_block){
		.type = (uint32_t)get(&parser, at, 4),
		.size = (uint32_t)get(&parser, at + 4, 4),
		.interface = (uint32_t)get(&parser, at + 8, 4),
	};
}

/* Whether an interface is not as pcapng_append_interface() writes it. */
static bool is_foreign(const struct pcapng *parser, const uint8_t *block, size_t size)
{
	uint64_t link = get(parser, block + 8, 2);

	return size < 20 || (link != PCAPNG_LINK_RAW && link != PCAPNG_LINK_RAW_AGAIN) ||
	       get(parser, block + 12, 4) != PCAPNG_SNAP_LENGTH;
}

/* *ret is the length of the block at the front, 0 when it is not whole. Its contents are not
 * checked: this looks for the place where writing was interrupted. */
static int measure_block(struct pcapng *parser, const uint8_t *data, size_t size, size_t *ret)
{
	size_t length;
	uint32_t type;
	enum pcapng_result result = read_header(parser, data, size, &type, &length);

	if (parser->big_endian || (result == PCAPNG_BAD && !parser->in_section))
		return -EBADMSG;
	*ret = 0;
	if (result != PCAPNG_OTHER || length > size || !has_trailer(parser, data, length))
		return 0;
	if (type == PCAPNG_BLOCK_INTERFACE && is_foreign(parser, data, length))
		return -EBADMSG;
	parser->in_section = true;
	*ret = length;
	return 0;
}

int pcapng_measure(int fd, uint64_t size, uint64_t *ret_whole)
{
	const size_t buffer_size = 2 * (size_t)PCAPNG_BLOCK_MAX;
	AUTO_FREE uint8_t *buffer = malloc(buffer_size);
	struct pcapng parser = {0};
	uint64_t whole = 0;
	size_t start = 0, end = 0, length; /* start is the place whole of the file */
	int r;

	if (!buffer)
		return -ENOMEM;
	do {
		size_t rest = end - start;
		uint64_t unread = size - whole - rest;

		if (rest < PCAPNG_BLOCK_MAX && unread) {
			memmove(buffer, buffer + start, rest);
			start = 0;
			end = unread < buffer_size - rest ? rest + unread : buffer_size;
			r = read_at(fd, buffer + rest, end - rest, whole + rest);
			if (r < 0)
				return r;
		}
		r = measure_block(&parser, buffer + start, end - start, &length);
		if (r < 0)
			return r;
		start += length;
		whole += length;
	} while (length);
	*ret_whole = whole;
	return 0;
}
