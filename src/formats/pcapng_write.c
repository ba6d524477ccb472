#include "formats/pcapng.h"

#include <arpa/inet.h>
#include <endian.h>
#include <linux/if_ether.h>
#include <netinet/in.h>

#define COMMENT_MAX 100
#define STRING_MAX 252 /* of the strings about a section or an interface */
#define BLOCK_ROOM 1024 /* for any block without a packet; the longest has three strings */
#define PACKET_HEAD 28 /* of a datagram's block, before the packet */
#define IP4_SIZE 20
#define IP6_SIZE 40
#define UDP_SIZE 8
#define ETHERNET_SIZE 14
#define ETHERNET_SOURCE 6 /* where it begins */
#define ETHERNET_TYPE 12

_Static_assert(PACKET_HEAD + sizeof(((struct pcapng_flow *)0)->head) + DATAGRAM_MAX + 3 +
			       sizeof(((struct pcapng_flow *)0)->options) + PCAPNG_TRAILER_SIZE <=
		       PCAPNG_OWN_BLOCK_MAX,
	"the largest datagram fits");
_Static_assert(BLOCK_ROOM <= PCAPNG_OWN_BLOCK_MAX, "blocks without a packet are smaller");

/* Added at once. */
typedef uint64_t lanes __attribute__((vector_size(16)));

/* Little endian. */
static inline uint8_t *put(uint8_t *at, uint64_t value, size_t size)
{
	value = htole64(value);
	memcpy(at, &value, size);
	return at + size;
}

static void put_network16(uint8_t *at, uint16_t value)
{
	value = htons(value);
	memcpy(at, &value, sizeof(value));
}

/* Times have their high half first. */
static uint64_t swap_halves(uint64_t ns)
{
	return ns >> 32 | ns << 32;
}

static uint8_t *put_option(uint8_t *at, uint16_t code, const void *data, size_t size)
{
	at = put(at, code, 2);
	at = put(at, size, 2);
	memset(at + (size & ~(size_t)3), 0, pcapng_padded(size) - (size & ~(size_t)3));
	memcpy(at, data, size);
	return at + pcapng_padded(size);
}

static uint8_t *put_string(uint8_t *at, uint16_t code, const char *string)
{
	return put_option(at, code, string, strnlen(string, STRING_MAX));
}

static uint8_t *put_number(uint8_t *at, uint16_t code, uint64_t number)
{
	number = htole64(number);
	return put_option(at, code, &number, sizeof(number));
}

/* Begins a block without a packet. Returns where its body begins, or NULL without memory. */
static uint8_t *begin_block(struct text *text, uint32_t type)
{
	uint8_t *at = (uint8_t *)text_reserve(text, BLOCK_ROOM);

	return at ? put(at, type, 4) + 4 : NULL;
}

/* Ends the block's options and the block. */
static void end_block(struct text *text, uint8_t *at)
{
	uint8_t *start = (uint8_t *)text->data + text->length;
	uint32_t length = (uint32_t)(at - start) + 4 + PCAPNG_TRAILER_SIZE;

	at = put(at, PCAPNG_OPTION_END, 4);
	put(at, length, 4);
	put(start + 4, length, 4);
	text->length += length;
}

void pcapng_append_section(
	struct text *text, const char *hardware, const char *system, const char *application)
{
	uint8_t *at = begin_block(text, PCAPNG_BLOCK_SECTION);

	if (!at)
		return;
	at = put(at, PCAPNG_BYTE_ORDER, 4);
	at = put(at, 1, 4); /* version 1.0 */
	at = put(at, UINT64_MAX, 8); /* the section's length, which is not known yet */
	at = put_string(at, PCAPNG_SECTION_HARDWARE, hardware);
	at = put_string(at, PCAPNG_SECTION_SYSTEM, system);
	at = put_string(at, PCAPNG_SECTION_APPLICATION, application);
	end_block(text, at);
}

static void append_interface(
	struct text *text, uint32_t link, const char *name, const char *description)
{
	static const uint8_t nanoseconds = 9;
	uint8_t *at = begin_block(text, PCAPNG_BLOCK_INTERFACE);

	if (!at)
		return;
	at = put(at, link, 4);
	at = put(at, PCAPNG_SNAP_LENGTH, 4);
	at = put_string(at, PCAPNG_INTERFACE_NAME, name);
	at = put_string(at, PCAPNG_INTERFACE_DESCRIPTION, description);
	at = put_option(at, PCAPNG_INTERFACE_RESOLUTION, &nanoseconds, 1);
	end_block(text, at);
}

void pcapng_append_interface(
	struct text *text, bool is_first, const char *name, const char *description)
{
	append_interface(
		text, is_first ? PCAPNG_LINK_RAW : PCAPNG_LINK_RAW_AGAIN, name, description);
}

void pcapng_append_ethernet_interface(struct text *text, const char *name, const char *description)
{
	append_interface(text, PCAPNG_LINK_ETHERNET, name, description);
}

void pcapng_append_statistics(struct text *text, uint32_t interface, uint64_t timestamp_ns,
	const struct pcapng_counts *counts)
{
	uint8_t *at = begin_block(text, PCAPNG_BLOCK_STATISTICS);

	if (!at)
		return;
	at = put(at, interface, 4);
	at = put(at, swap_halves(timestamp_ns), 8);
	at = put_number(at, PCAPNG_STATISTICS_START, swap_halves(counts->start_ns));
	at = put_number(at, PCAPNG_STATISTICS_END, swap_halves(timestamp_ns));
	at = put_number(at, PCAPNG_STATISTICS_RECEIVED, counts->received);
	at = put_number(at, PCAPNG_STATISTICS_DROPPED, counts->dropped);
	at = put_number(at, PCAPNG_STATISTICS_KERNEL_DROPPED, counts->kernel_dropped);
	at = put_number(at, PCAPNG_STATISTICS_DELIVERED, counts->delivered);
	end_block(text, at);
}

/* Adds 32 bits at a time, the even and the odd ones of each 64 separately: the sum depends neither
 * on the byte order nor on the number of bits added at once (RFC 1071, section 2). No datagram
 * overflows 64 bits. */
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

/* Headers with zeros where datagrams differ. The identification stays zero: the original is not
 * known, and it has no meaning in a datagram that must not be fragmented (RFC 6864, section 4.1).
 */
static void init_headers(struct pcapng_flow *flow, const struct address *group, uint16_t port)
{
	uint8_t *ip = flow->head + flow->link_size;

	if (group->family == AF_INET) {
		ip[0] = 0x45;
		ip[6] = 0x40; /* do not fragment */
		ip[9] = IPPROTO_UDP;
		memcpy(ip + 16, &group->v4, sizeof(group->v4));
		flow->head_size = IP4_SIZE + UDP_SIZE;
	} else {
		ip[0] = 0x60;
		ip[6] = IPPROTO_UDP;
		memcpy(ip + 24, &group->v6, sizeof(group->v6));
		flow->head_size = IP6_SIZE + UDP_SIZE;
	}
	put_network16(ip + flow->head_size - UDP_SIZE + 2, port);
}

/* A locally administered address (IEEE 802) that tells hosts apart; low is the last 32 bits of the
 * IP address. */
static void put_host(uint8_t *at, const void *low)
{
	at[0] = 0x02;
	at[1] = 0x00;
	memcpy(at + 2, low, 4);
}

static void put_v4_destination(uint8_t *at, const struct address *group)
{
	const uint8_t *ip = (const uint8_t *)&group->v4;

	if (address_is_everyone(group)) {
		memset(at, 0xff, ETH_ALEN);
	} else if (address_is_multicast(group)) {
		memcpy(at, "\x01\x00\x5e", 3);
		at[3] = ip[1] & 0x7f;
		memcpy(at + 4, ip + 2, 2);
	} else {
		put_host(at, ip);
	}
}

/* Source and destination are filled in for each datagram, and once. */
static void init_ethernet(struct pcapng_flow *flow, const struct address *group)
{
	uint8_t *at = flow->head;

	flow->link_size = ETHERNET_SIZE;
	if (group->family == AF_INET) {
		put_v4_destination(at, group);
	} else {
		put_host(at, group->v6.s6_addr + 12);
		if (address_is_multicast(group))
			at[0] = at[1] = 0x33;
	}
	put_network16(at + ETHERNET_TYPE, group->family == AF_INET ? ETH_P_IP : ETH_P_IPV6);
}

static void init_flow(
	struct pcapng_flow *flow, const struct address *group, uint16_t port, const char *comment)
{
	size_t size = strnlen(comment, COMMENT_MAX);

	init_headers(flow, group, port);
	put_option(flow->options, PCAPNG_OPTION_COMMENT, comment, size);
	flow->options_size = (unsigned)(4 + pcapng_padded(size) +
					4); /* the end of the options is zeros */
}

void pcapng_flow_init(
	struct pcapng_flow *flow, const struct address *group, uint16_t port, const char *comment)
{
	*flow = (struct pcapng_flow){0};
	init_flow(flow, group, port, comment);
}

void pcapng_flow_init_ethernet(
	struct pcapng_flow *flow, const struct address *group, uint16_t port, const char *comment)
{
	*flow = (struct pcapng_flow){0};
	init_ethernet(flow, group);
	init_flow(flow, group, port, comment);
}

/* RFC 791. Returns the sum of the part that the UDP checksum covers. */
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

/* RFC 768; sum is that of the addresses. A checksum of zero is sent as all ones, since zero means
 * no checksum. */
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

static void put_packet(uint8_t *at, size_t packet_size, const struct pcapng_flow *flow,
	const struct datagram *datagram)
{
	bool is_v4 = flow->head_size == IP4_SIZE + UDP_SIZE;
	uint8_t *ip = at + flow->link_size;
	uint8_t *udp = ip + flow->head_size - UDP_SIZE;
	size_t ip_size = packet_size - flow->link_size;
	uint64_t sum;

	memcpy(at, flow->head, flow->link_size + flow->head_size);
	sum = is_v4 ? finish_v4(ip, ip_size, datagram) : finish_v6(ip, ip_size, datagram);
	if (flow->link_size)
		put_host(at + ETHERNET_SOURCE, ip + (is_v4 ? 12 : 20));
	finish_udp(udp, sum, datagram);
	memcpy(udp + UDP_SIZE, datagram->payload, datagram->size);
	memset(at + packet_size, 0, pcapng_padded(packet_size) - packet_size);
}

void pcapng_append_datagram(struct text *text, const struct pcapng_flow *flow, uint32_t interface,
	const struct datagram *datagram)
{
	size_t packet_size = flow->link_size + flow->head_size + datagram->size;
	size_t block_size = PACKET_HEAD + pcapng_padded(packet_size) + flow->options_size + 4;
	uint8_t *at = (uint8_t *)text_reserve(text, block_size);

	if (!at)
		return;
	at = put(at, PCAPNG_BLOCK_PACKET, 4);
	at = put(at, block_size, 4);
	at = put(at, interface, 4);
	at = put(at, swap_halves(datagram->timestamp_ns), 8);
	at = put(at, packet_size, 4); /* captured, and */
	at = put(at, packet_size, 4); /* original */
	put_packet(at, packet_size, flow, datagram);
	at += pcapng_padded(packet_size);
	memcpy(at, flow->options, flow->options_size);
	put(at + flow->options_size, block_size, 4);
	text->length += block_size;
}
