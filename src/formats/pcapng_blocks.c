#include "formats/pcapng_blocks.h"

#include <arpa/inet.h>
#include <endian.h>
#include <netinet/in.h>

enum option {
	OPTION_END = 0,
	OPTION_COMMENT = 1,
	SECTION_HARDWARE = 2,
	SECTION_SYSTEM = 3,
	SECTION_APPLICATION = 4,
	INTERFACE_NAME = 2,
	INTERFACE_DESCRIPTION = 3,
	INTERFACE_RESOLUTION = 9,
	STATISTICS_START = 2,
	STATISTICS_END = 3,
	STATISTICS_RECEIVED = 4,
	STATISTICS_DROPPED = 5,
	STATISTICS_KERNEL_DROPPED = 7,
	STATISTICS_DELIVERED = 8,
};

#define COMMENT_MAX 100
#define BLOCK_HEAD 28 /* of a datagram's block, before the packet */
#define IP4_SIZE 20
#define IP6_SIZE 40
#define UDP_SIZE 8

/* What the processor adds at once. */
typedef uint64_t lanes __attribute__((vector_size(16)));

static size_t padded(size_t size)
{
	return (size + 3) & ~(size_t)3;
}

static uint8_t *put16(uint8_t *at, uint16_t value)
{
	value = htole16(value);
	memcpy(at, &value, sizeof(value));
	return at + sizeof(value);
}

static uint8_t *put32(uint8_t *at, uint32_t value)
{
	value = htole32(value);
	memcpy(at, &value, sizeof(value));
	return at + sizeof(value);
}

static void put_network16(uint8_t *at, uint16_t value)
{
	value = htons(value);
	memcpy(at, &value, sizeof(value));
}

/* A timestamp, and a time in a statistics block: two halves, the high one first. */
static uint8_t *put_time(uint8_t *at, uint64_t ns)
{
	at = put32(at, (uint32_t)(ns >> 32));
	return put32(at, (uint32_t)ns);
}

static uint8_t *put_option(uint8_t *at, uint16_t code, const void *data, size_t size)
{
	at = put16(at, code);
	at = put16(at, (uint16_t)size);
	memset(at + (size & ~(size_t)3), 0, padded(size) - (size & ~(size_t)3));
	memcpy(at, data, size);
	return at + padded(size);
}

static void append32(struct text *text, uint32_t value)
{
	value = htole32(value);
	text_append(text, &value, sizeof(value));
}

static void append_option(struct text *text, uint16_t code, const void *data, size_t size)
{
	uint8_t *at = (uint8_t *)text_reserve(text, 4 + padded(size));

	if (at)
		text->length += (size_t)(put_option(at, code, data, size) - at);
}

static void append_string(struct text *text, uint16_t code, const char *string)
{
	append_option(text, code, string, strlen(string));
}

static void append_time(struct text *text, uint16_t code, uint64_t ns)
{
	uint8_t data[8];

	put_time(data, ns);
	append_option(text, code, data, sizeof(data));
}

static void append_count(struct text *text, uint16_t code, uint64_t count)
{
	count = htole64(count);
	append_option(text, code, &count, sizeof(count));
}

/* Begins a block with its type and room for its length. Returns where it begins. */
static size_t begin_block(struct text *text, uint32_t type)
{
	size_t start = text->length;

	append32(text, type);
	append32(text, 0);
	return start;
}

/* Ends the block's options and the block. */
static void end_block(struct text *text, size_t start)
{
	uint32_t length;

	append32(text, OPTION_END);
	length = (uint32_t)(text->length - start + 4);
	append32(text, length);
	if (!text_failed(text))
		put32((uint8_t *)text->data + start + 4, length);
}

void pcapng_append_section(
	struct text *text, const char *hardware, const char *system, const char *application)
{
	size_t start = begin_block(text, PCAPNG_SECTION_TYPE);

	append32(text, PCAPNG_BYTE_ORDER);
	append32(text, 1); /* version 1.0 */
	append32(text, UINT32_MAX); /* the section's length, which is not known yet */
	append32(text, UINT32_MAX);
	append_string(text, SECTION_HARDWARE, hardware);
	append_string(text, SECTION_SYSTEM, system);
	append_string(text, SECTION_APPLICATION, application);
	end_block(text, start);
}

void pcapng_append_interface(
	struct text *text, bool is_first, const char *name, const char *description)
{
	static const uint8_t nanoseconds = 9;
	size_t start = begin_block(text, PCAPNG_INTERFACE_TYPE);

	append32(text, is_first ? PCAPNG_LINK_RAW : PCAPNG_LINK_RAW_AGAIN);
	append32(text, PCAPNG_SNAP_LENGTH);
	append_string(text, INTERFACE_NAME, name);
	append_string(text, INTERFACE_DESCRIPTION, description);
	append_option(text, INTERFACE_RESOLUTION, &nanoseconds, 1);
	end_block(text, start);
}

void pcapng_append_statistics(struct text *text, uint32_t interface, uint64_t timestamp_ns,
	const struct pcapng_counts *counts)
{
	size_t start = begin_block(text, PCAPNG_STATISTICS_TYPE);

	append32(text, interface);
	append32(text, (uint32_t)(timestamp_ns >> 32));
	append32(text, (uint32_t)timestamp_ns);
	append_time(text, STATISTICS_START, counts->start_ns);
	append_time(text, STATISTICS_END, timestamp_ns);
	append_count(text, STATISTICS_RECEIVED, counts->received);
	append_count(text, STATISTICS_DROPPED, counts->dropped);
	append_count(text, STATISTICS_KERNEL_DROPPED, counts->kernel_dropped);
	append_count(text, STATISTICS_DELIVERED, counts->delivered);
	end_block(text, start);
}

/* Adds 32 bits at a time, the even ones and the odd ones of each 64 by themselves: the order of the
 * bytes does not matter to the sum, nor how many are added at once (RFC 1071, section 2). 64 bits
 * are more than any datagram fills. */
uint64_t pcapng_sum(uint64_t sum, const void *data, size_t size)
{
	lanes even = {0}, odd = {0}, words;
	const uint8_t *at = data;

	for (; size >= sizeof(words); at += sizeof(words), size -= sizeof(words)) {
		memcpy(&words, at, sizeof(words));
		even += words & UINT32_MAX;
		odd += words >> 32;
	}
	words = (lanes){0};
	memcpy(&words, at, size);
	even += odd + (words & UINT32_MAX) + (words >> 32);
	return sum + even[0] + even[1];
}

uint16_t pcapng_fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Headers with zeros where each datagram has something of its own. The identification stays zero:
 * which one it had is not known, and it means nothing in a datagram that must not be fragmented
 * (RFC 6864, section 4.1). */
static void init_headers(struct pcapng_flow *flow, const struct address *group)
{
	if (group->family == AF_INET) {
		flow->head[0] = 0x45;
		flow->head[6] = 0x40; /* do not fragment */
		flow->head[9] = IPPROTO_UDP;
		memcpy(flow->head + 16, &group->v4, sizeof(group->v4));
		flow->head_size = IP4_SIZE + UDP_SIZE;
	} else {
		flow->head[0] = 0x60;
		flow->head[6] = IPPROTO_UDP;
		memcpy(flow->head + 24, &group->v6, sizeof(group->v6));
		flow->head_size = IP6_SIZE + UDP_SIZE;
	}
}

void pcapng_flow_init(
	struct pcapng_flow *flow, const struct address *group, uint16_t port, const char *comment)
{
	size_t size = strlen(comment);

	*flow = (struct pcapng_flow){0};
	init_headers(flow, group);
	put_network16(flow->head + flow->head_size - UDP_SIZE + 2, port);
	if (size > COMMENT_MAX)
		size = COMMENT_MAX;
	put_option(flow->options, OPTION_COMMENT, comment, size);
	flow->options_size = (unsigned)(4 + padded(size) + 4); /* the end of the options is zeros */
}

/* RFC 791. Returns the sum of what the UDP checksum has of it. */
static uint64_t finish_v4(uint8_t *ip, size_t packet_size, const struct datagram *datagram)
{
	uint16_t checksum;

	put_network16(ip + 2, (uint16_t)packet_size);
	ip[8] = datagram->ttl;
	memcpy(ip + 12, &datagram->source.v4.sin_addr, 4);
	checksum = pcapng_fold(pcapng_sum(0, ip, IP4_SIZE));
	memcpy(ip + 10, &checksum, sizeof(checksum));
	return pcapng_sum(0, ip + 12, 8);
}

/* RFC 8200. */
static uint64_t finish_v6(uint8_t *ip, size_t packet_size, const struct datagram *datagram)
{
	put_network16(ip + 4, (uint16_t)(packet_size - IP6_SIZE));
	ip[7] = datagram->ttl;
	memcpy(ip + 8, &datagram->source.v6.sin6_addr, 16);
	return pcapng_sum(0, ip + 8, 32);
}

/* RFC 768; sum is that of the addresses. A sum of zero is sent as all ones, since zero says that
 * there is none. */
static void finish_udp(uint8_t *udp, uint64_t sum, const struct datagram *datagram)
{
	uint16_t size = (uint16_t)(UDP_SIZE + datagram->size), checksum;

	put_network16(udp, endpoint_port(&datagram->source));
	put_network16(udp + 4, size);
	sum = pcapng_sum(sum + htons(IPPROTO_UDP) + htons(size), udp, UDP_SIZE);
	checksum = pcapng_fold(pcapng_sum(sum, datagram->payload, datagram->size));
	if (!checksum)
		checksum = 0xffff;
	memcpy(udp + 6, &checksum, sizeof(checksum));
}

static void put_packet(uint8_t *ip, size_t packet_size, const struct pcapng_flow *flow,
	const struct datagram *datagram)
{
	uint8_t *udp = ip + flow->head_size - UDP_SIZE;
	uint64_t sum;

	memcpy(ip, flow->head, flow->head_size);
	sum = flow->head_size == IP4_SIZE + UDP_SIZE ? finish_v4(ip, packet_size, datagram)
						     : finish_v6(ip, packet_size, datagram);
	finish_udp(udp, sum, datagram);
	memcpy(udp + UDP_SIZE, datagram->payload, datagram->size);
	memset(ip + packet_size, 0, padded(packet_size) - packet_size);
}

void pcapng_append_datagram(struct text *text, const struct pcapng_flow *flow, uint32_t interface,
	const struct datagram *datagram)
{
	size_t packet_size = flow->head_size + datagram->size;
	size_t block_size = BLOCK_HEAD + padded(packet_size) + flow->options_size + 4;
	uint8_t *at = (uint8_t *)text_reserve(text, block_size);

	if (!at)
		return;
	at = put32(at, PCAPNG_DATAGRAM_TYPE);
	at = put32(at, (uint32_t)block_size);
	at = put32(at, interface);
	at = put_time(at, datagram->timestamp_ns);
	at = put32(at, (uint32_t)packet_size); /* captured, and */
	at = put32(at, (uint32_t)packet_size); /* original */
	put_packet(at, packet_size, flow, datagram);
	at += padded(packet_size);
	memcpy(at, flow->options, flow->options_size);
	put32(at + flow->options_size, (uint32_t)block_size);
	text->length += block_size;
}

struct pcapng_block pcapng_read_block(const void *data)
{
	uint32_t words[3];

	memcpy(words, data, sizeof(words));
	return (struct pcapng_block){le32toh(words[0]), le32toh(words[1]), le32toh(words[2])};
}
