#include "formats/pcapng.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/io.h"

#define DEFAULT_RESOLUTION 6 /* microseconds */

static const uint8_t section_type[] = {0x0a, 0x0d, 0x0d, 0x0a}; /* in any byte order */

struct pcapng_interface {
	uint16_t link_type;
	uint32_t snap_length; /* the most bytes of a packet; 0: all */
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

static enum packet_result bad(struct pcapng *parser, const char *why)
{
	parser->why = why;
	return PACKET_BAD;
}

/* Takes the byte order of the section that begins here. Returns whether it has one. */
static bool read_byte_order(struct pcapng *parser, const uint8_t *data)
{
	parser->big_endian = data[PCAPNG_HEADER_SIZE] == PCAPNG_BYTE_ORDER >> 24;
	return get(parser, data + PCAPNG_HEADER_SIZE, 4) == PCAPNG_BYTE_ORDER;
}

bool pcapng_begins(const uint8_t *data)
{
	struct pcapng parser;

	return !memcmp(data, section_type, sizeof(section_type)) && read_byte_order(&parser, data);
}

static enum packet_result begin_section(struct pcapng *parser, const uint8_t *body, size_t size)
{
	if (size < 16)
		return bad(parser, "the section header is too short");
	/* Minor versions are compatible; 1.2 is what some wrote for 1.0. */
	if (get(parser, body + 4, 2) != 1)
		return bad(parser, "its version of pcapng is not 1");
	parser->in_section = true;
	parser->interfaces.count = 0;
	return PACKET_NONE;
}

static enum packet_result read_options(
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
	return PACKET_NONE;
}

static enum packet_result read_interface(struct pcapng *parser, const uint8_t *body, size_t size)
{
	struct pcapng_interface interface = {.resolution = DEFAULT_RESOLUTION};

	if (size < 8)
		return bad(parser, "the description of the interface is too short");
	if (parser->interfaces.count >= PCAPNG_INTERFACES_MAX)
		return bad(parser, "the section has too many interfaces");
	interface.link_type = (uint16_t)get(parser, body, 2);
	interface.snap_length = (uint32_t)get(parser, body + 4, 4);
	if (read_options(parser, body + 8, size - 8, &interface) == PACKET_BAD)
		return PACKET_BAD;
	if (array_add(&parser->interfaces, interface) < 0)
		return bad(parser, NULL);
	return PACKET_NONE;
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
static enum packet_result read_packet(struct pcapng *parser, const uint8_t *body, size_t size,
	size_t number_size, struct captured_packet *ret)
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
	*ret = (struct captured_packet){
		.timestamp_ns = to_ns(interface, timestamp),
		.is_timed = true,
		.link_type = interface->link_type,
		.interface = (uint32_t)number,
		.data = body + 20,
		.size = captured,
	};
	return PACKET_READ;
}

/* Of a Simple Packet Block: of the first interface, and as long as its snap length permits. */
static enum packet_result read_simple_packet(
	struct pcapng *parser, const uint8_t *body, size_t size, struct captured_packet *ret)
{
	const struct pcapng_interface *interface = parser->interfaces.items;
	uint64_t captured;

	if (size < 4)
		return bad(parser, "the packet's block is too short");
	if (!parser->interfaces.count)
		return bad(parser, "the packet is of an interface that is not described");
	captured = get(parser, body, 4);
	if (interface->snap_length && captured > interface->snap_length)
		captured = interface->snap_length;
	if (captured > size - 4)
		return bad(parser, "the packet goes past its block");
	*ret = (struct captured_packet){
		.link_type = interface->link_type, .data = body + 4, .size = captured};
	return PACKET_READ;
}

static bool is_parsed(uint32_t type)
{
	return type == PCAPNG_BLOCK_SECTION || type == PCAPNG_BLOCK_INTERFACE ||
	       type == PCAPNG_BLOCK_PACKET || type == PCAPNG_BLOCK_OBSOLETE_PACKET ||
	       type == PCAPNG_BLOCK_SIMPLE_PACKET;
}

/* Type and length of the block at the front. Returns PACKET_NONE when they are sound. */
static enum packet_result read_header(struct pcapng *parser, const uint8_t *data, size_t size,
	uint32_t *ret_type, size_t *ret_size)
{
	bool is_section = !memcmp(data, section_type, size < 4 ? size : 4);

	if (!is_section && !parser->in_section)
		return bad(parser, "it is not a pcapng file");
	*ret_size = is_section && size >= 4 ? PCAPNG_HEADER_SIZE + 4 : PCAPNG_HEADER_SIZE;
	if (size < *ret_size)
		return PACKET_MORE;
	if (is_section && !read_byte_order(parser, data))
		return bad(parser, "the section header has no byte order");
	*ret_type = (uint32_t)get(parser, data, 4);
	*ret_size = get(parser, data + 4, 4);
	if (*ret_size < PCAPNG_HEADER_SIZE + PCAPNG_TRAILER_SIZE || *ret_size % 4)
		return bad(parser, "the block has an impossible length");
	if (is_parsed(*ret_type) && *ret_size > PACKET_RECORD_MAX)
		return bad(parser, "the block is larger than 1 MiB");
	return PACKET_NONE;
}

/* Whether the block, which is there as a whole, ends with its length. */
static bool has_trailer(const struct pcapng *parser, const uint8_t *block, size_t size)
{
	return get(parser, block + size - PCAPNG_TRAILER_SIZE, 4) == size;
}

enum packet_result pcapng_next(struct pcapng *parser, const uint8_t *data, size_t size,
	size_t *ret_size, struct captured_packet *ret_packet)
{
	uint32_t type;
	enum packet_result result = read_header(parser, data, size, &type, ret_size);
	const uint8_t *body = data + PCAPNG_HEADER_SIZE;
	size_t body_size = *ret_size - PCAPNG_HEADER_SIZE - PCAPNG_TRAILER_SIZE;

	if (result != PACKET_NONE)
		return result;
	if (!is_parsed(type))
		return PACKET_NONE;
	if (size < *ret_size)
		return PACKET_MORE;
	if (!has_trailer(parser, data, *ret_size))
		return bad(parser, "the two lengths of the block differ");
	if (type == PCAPNG_BLOCK_SECTION)
		return begin_section(parser, body, body_size);
	if (type == PCAPNG_BLOCK_INTERFACE)
		return read_interface(parser, body, body_size);
	if (type == PCAPNG_BLOCK_SIMPLE_PACKET)
		return read_simple_packet(parser, body, body_size, ret_packet);
	return read_packet(
		parser, body, body_size, type == PCAPNG_BLOCK_PACKET ? 4 : 2, ret_packet);
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

/* Whether an interface is not as we write it in a file of this link type. */
static bool is_foreign(
	const struct pcapng *parser, unsigned link, const uint8_t *block, size_t size)
{
	uint64_t its_link = get(parser, block + 8, 2);

	if (link == PCAPNG_LINK_RAW && its_link == PCAPNG_LINK_RAW_AGAIN)
		its_link = link;
	return size < 20 || its_link != link || get(parser, block + 12, 4) != PCAPNG_SNAP_LENGTH;
}

/* *ret is the length of the block at the front, 0 when it is not whole. Its contents are not
 * checked: this looks for the place where writing was interrupted. */
static int measure_block(
	struct pcapng *parser, unsigned link, const uint8_t *data, size_t size, size_t *ret)
{
	size_t length;
	uint32_t type;
	enum packet_result result = read_header(parser, data, size, &type, &length);

	if (parser->big_endian || (result == PACKET_BAD && !parser->in_section))
		return -EBADMSG;
	*ret = 0;
	if (result != PACKET_NONE || length > size || !has_trailer(parser, data, length))
		return 0;
	if (type == PCAPNG_BLOCK_INTERFACE && is_foreign(parser, link, data, length))
		return -EBADMSG;
	parser->in_section = true;
	*ret = length;
	return 0;
}

/* Whether size bytes may be the beginning of one block that was written here. data has the first of
 * them, PCAPNG_HEADER_SIZE at most. */
static bool is_partial(const uint8_t *data, uint64_t size)
{
	static const uint8_t types[][4] = {{PCAPNG_BLOCK_PACKET}, {PCAPNG_BLOCK_STATISTICS},
		{PCAPNG_BLOCK_INTERFACE}, {0x0a, 0x0d, 0x0d, 0x0a}};
	const struct pcapng ours = {.big_endian = false};
	bool is_ours = false;
	uint64_t length;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		is_ours |= !memcmp(data, types[i], size < 4 ? size : 4);
	if (!is_ours || size < PCAPNG_HEADER_SIZE)
		return is_ours;
	length = get(&ours, data + 4, 4);
	return size < length && length <= PCAPNG_OWN_BLOCK_MAX;
}

/* Whether what follows the last whole block is what a crash or a loss of power leaves of one block.
 * Pages may reach the disk out of order: what is unsound here may have whole blocks behind it. */
static int check_rest(int fd, uint64_t whole, uint64_t size)
{
	uint8_t start[PCAPNG_HEADER_SIZE];
	uint64_t end;
	int r = find_data_end(fd, whole, size, &end);

	if (r < 0 || end == whole)
		return r;
	r = read_at(fd, start, end - whole < sizeof(start) ? end - whole : sizeof(start), whole);
	if (r < 0)
		return r;
	return is_partial(start, end - whole) ? 0 : -EBADMSG;
}

static int measure(unsigned link, int fd, uint64_t size, uint64_t *ret_whole)
{
	const size_t buffer_size = 2 * (size_t)PACKET_RECORD_MAX;
	AUTO_FREE uint8_t *buffer = malloc(buffer_size);
	struct pcapng parser = {0};
	uint64_t whole = 0;
	size_t start = 0, end = 0, length; /* start is the place whole of the file */
	int r;

	*ret_whole = 0;
	if (!buffer)
		return -ENOMEM;
	do {
		size_t rest = end - start;
		uint64_t unread = size - whole - rest;

		if (rest < PACKET_RECORD_MAX && unread) {
			memmove(buffer, buffer + start, rest);
			start = 0;
			end = unread < buffer_size - rest ? rest + unread : buffer_size;
			r = read_at(fd, buffer + rest, end - rest, whole + rest);
			if (r < 0)
				return r;
		}
		r = measure_block(&parser, link, buffer + start, end - start, &length);
		if (r < 0)
			return r;
		start += length;
		whole += length;
	} while (length);
	*ret_whole = whole;
	return check_rest(fd, whole, size);
}

int pcapng_measure(int fd, uint64_t size, uint64_t *ret_whole)
{
	return measure(PCAPNG_LINK_RAW, fd, size, ret_whole);
}

int pcapng_measure_ethernet(int fd, uint64_t size, uint64_t *ret_whole)
{
	return measure(PCAPNG_LINK_ETHERNET, fd, size, ret_whole);
}

int pcapng_first_time(int fd, uint64_t size, uint64_t *ret_ns)
{
	size_t length = size < PACKET_RECORD_MAX ? (size_t)size : PACKET_RECORD_MAX, at = 0, block;
	AUTO_FREE uint8_t *buffer = malloc(length ? length : 1);
	CLEANUP(pcapng_clear) struct pcapng parser = {0};
	enum packet_result result = PACKET_NONE;
	struct captured_packet packet;
	int r = buffer ? read_at(fd, buffer, length, 0) : -ENOMEM;

	if (r < 0)
		return r;
	while (at < length && result == PACKET_NONE) {
		result = pcapng_next(&parser, buffer + at, length - at, &block, &packet);
		if (result == PACKET_READ && !packet.is_timed)
			result = PACKET_NONE;
		at += block < length - at ? block : length - at;
	}
	if (result == PACKET_READ) {
		*ret_ns = packet.timestamp_ns;
		return 0;
	}
	return result == PACKET_NONE && length == size ? -ENOENT : -EBADMSG;
}
