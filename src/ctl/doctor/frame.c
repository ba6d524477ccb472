#include "ctl/doctor/frame.h"

#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#define TAG_SIZE 4
#define IP4_HEADER_SIZE 20
#define IP6_HEADER_SIZE 40
#define UDP_HEADER_SIZE 8
#define EXTENSION_SIZE 8 /* of a fragment header, and the least of the others */

/* RFC 8200 has no limit; hosts and routers have (RFC 8504, 5.3). */
#define EXTENSIONS_MAX 8

enum { IGMP_QUERY = 0x11, IGMP1_REPORT = 0x12, IGMP2_REPORT = 0x16, IGMP2_LEAVE = 0x17 };
enum { IGMP3_REPORT = 0x22 };
enum { MLD_QUERY = 130, MLD1_REPORT = 131, MLD1_DONE = 132, MLD2_REPORT = 143 };

/* CHANGE_TO_INCLUDE_MODE (RFC 3376, 4.2.12): without sources, it is a leave. */
#define RECORD_TO_INCLUDE 3

/* The rest of a frame, behind the headers so far. */
struct rest {
	const uint8_t *data;
	size_t size; /* captured */
	size_t there; /* on the wire, and as those headers say: what is beyond is padding */
};

static uint16_t get16(const uint8_t *data)
{
	return (uint16_t)(data[0] << 8 | data[1]);
}

static uint32_t get32(const uint8_t *data)
{
	return (uint32_t)get16(data) << 16 | get16(data + 2);
}

static bool has(const struct rest *rest, size_t size)
{
	return rest->size >= size && rest->there >= size;
}

/* Only behind has(). */
static void skip(struct rest *rest, size_t size)
{
	rest->data += size;
	rest->size -= size;
	rest->there -= size;
}

/* Whether all of it was captured. Then there are as many bytes as there. */
static bool is_whole(const struct rest *rest)
{
	return rest->size >= rest->there;
}

/* The sum of RFC 1071, not folded, in the byte order of this host: for what is in memory, that
 * makes no difference. */
static uint64_t sum_of(uint64_t sum, const uint8_t *data, size_t size)
{
	uint32_t word;

	for (; size >= sizeof(word); size -= sizeof(word), data += sizeof(word)) {
		memcpy(&word, data, sizeof(word));
		sum += word;
	}
	word = 0;
	memcpy(&word, data, size);
	return sum + word;
}

/* With the checksum in it, the sum of what is right is all ones. */
static bool is_right(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

/* RFC 768; RFC 8200, 8.1. */
static uint64_t pseudo_header(const struct frame *frame, uint8_t protocol, size_t size)
{
	const uint8_t rest[8] = {(uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8),
		(uint8_t)size, 0, 0, 0, protocol};
	size_t length = frame->source.family == AF_INET ? 4 : 16;
	uint64_t sum = sum_of(0, rest, sizeof(rest));

	sum = sum_of(sum, (const uint8_t *)&frame->source.v4, length);
	return sum_of(sum, (const uint8_t *)&frame->destination.v4, length);
}

static struct address address_at(const uint8_t *data, sa_family_t family)
{
	struct address address = {.family = family};

	memcpy(&address.v4, data, family == AF_INET ? 4 : 16);
	return address;
}

static bool is_bad_checksum(const struct rest *udp, size_t length,
	const struct frame_context *context, const struct frame *frame)
{
	if (context->checksum_not_ready || length > udp->size)
		return false;
	if (!get16(udp->data + 6))
		return frame->source.family == AF_INET6;
	return !is_right(sum_of(pseudo_header(frame, IPPROTO_UDP, length), udp->data, length));
}

static void parse_udp(struct rest *udp, const struct frame_context *context, struct frame *ret)
{
	size_t length;

	/* A fragment may be shorter than the header. */
	if (ret->kind == FRAME_UDP && udp->there < UDP_HEADER_SIZE)
		ret->bad_udp_length = true;
	if (!has(udp, UDP_HEADER_SIZE))
		return;
	ret->source_port = get16(udp->data);
	ret->destination_port = get16(udp->data + 2);
	length = get16(udp->data + 4);
	if (ret->kind == FRAME_UDP)
		ret->bad_udp_length |= length < UDP_HEADER_SIZE || length > udp->there;
	if (ret->kind == FRAME_UDP && !ret->bad_udp_length)
		ret->bad_udp_checksum = is_bad_checksum(udp, length, context, ret);
	skip(udp, UDP_HEADER_SIZE);
	ret->payload = udp->data;
	ret->payload_size = udp->size < udp->there ? udp->size : udp->there;
	if (length >= UDP_HEADER_SIZE && ret->payload_size > length - UDP_HEADER_SIZE)
		ret->payload_size = length - UDP_HEADER_SIZE;
}

/* One that asks for no group asks for all. */
static void add_query(
	struct frame *frame, struct address group, uint8_t version, uint32_t answer_ms)
{
	frame->kind = FRAME_QUERY;
	frame->version = version;
	frame->answer_ms = answer_ms;
	if (address_is_any(&group))
		return;
	frame->records[frame->record_count++] = (struct frame_record){.group = group};
}

static void add_report(struct frame *frame, struct address group, uint8_t version, bool is_leave)
{
	frame->kind = FRAME_REPORT;
	frame->version = version;
	frame->records[frame->record_count++] = (struct frame_record){
		.group = group, .is_leave = is_leave};
}

/* Reports of IGMPv3 (RFC 3376, 4.2) and MLDv2 (RFC 3810, 5.2) are alike but for the addresses. */
static void add_records(
	struct frame *frame, struct rest *message, uint8_t version, sa_family_t family)
{
	size_t length = family == AF_INET ? 4 : 16, left = get16(message->data + 6);

	frame->kind = FRAME_REPORT;
	frame->version = version;
	skip(message, 8);
	for (; left && frame->record_count < FRAME_RECORDS_MAX && has(message, 4 + length);
		left--) {
		size_t sources = get16(message->data + 2);
		size_t size = 4 + length + sources * length + (size_t)message->data[1] * 4;
		uint8_t type = message->data[0];

		frame->records[frame->record_count++] = (struct frame_record){
			.group = address_at(message->data + 4, family),
			.type = type,
			.is_leave = type == RECORD_TO_INCLUDE && !sources,
			.source_count = (uint16_t)sources,
		};
		if (!has(message, size))
			return;
		skip(message, size);
	}
}

/* The version of a query: RFC 3376, 7.1. */
static uint8_t igmp_query_version(const struct rest *igmp)
{
	if (igmp->there >= 12)
		return 3;
	return igmp->data[1] ? 2 : 1;
}

/* In tenths of a second; large ones as mantissa and exponent (RFC 3376, 4.1.1). IGMPv1 says none.
 */
static uint32_t igmp_answer_ms(const struct rest *igmp)
{
	uint32_t code = igmp->data[1];

	if (igmp_query_version(igmp) == 3 && code >= 128)
		code = ((code & 0xf) | 0x10) << (((code >> 4) & 7) + 3);
	return code ? code * 100 : 10000;
}

/* In milliseconds; large ones of MLDv2 as mantissa and exponent (RFC 3810, 5.1.3). */
static uint32_t mld_answer_ms(const struct rest *icmp)
{
	uint32_t code = get16(icmp->data + 4);

	if (icmp->there >= 28 && code >= 32768)
		code = ((code & 0xfff) | 0x1000) << (((code >> 12) & 7) + 3);
	return code;
}

static void parse_igmp(struct rest *igmp, struct frame *ret)
{
	struct address group;

	if (!has(igmp, 8) || (is_whole(igmp) && !is_right(sum_of(0, igmp->data, igmp->there))))
		return;
	group = address_at(igmp->data + 4, AF_INET);
	switch (igmp->data[0]) {
	case IGMP_QUERY:
		add_query(ret, group, igmp_query_version(igmp), igmp_answer_ms(igmp));
		break;
	case IGMP1_REPORT:
		add_report(ret, group, 1, false);
		break;
	case IGMP2_REPORT:
		add_report(ret, group, 2, false);
		break;
	case IGMP2_LEAVE:
		add_report(ret, group, 2, true);
		break;
	case IGMP3_REPORT:
		add_records(ret, igmp, 3, AF_INET);
		break;
	}
}

static bool is_right_icmp6(const struct rest *icmp, const struct frame *frame)
{
	uint64_t sum = pseudo_header(frame, IPPROTO_ICMPV6, icmp->there);

	return !is_whole(icmp) || is_right(sum_of(sum, icmp->data, icmp->there));
}

/* RFC 2710, 3; RFC 3810, 5. */
static void parse_icmp6(struct rest *icmp, struct frame *ret)
{
	uint8_t type;

	if (!has(icmp, 8) || !is_right_icmp6(icmp, ret))
		return;
	type = icmp->data[0];
	if (type == MLD2_REPORT)
		add_records(ret, icmp, 2, AF_INET6);
	else if (!has(icmp, 24))
		return;
	else if (type == MLD_QUERY)
		add_query(ret, address_at(icmp->data + 8, AF_INET6), icmp->there >= 28 ? 2 : 1,
			mld_answer_ms(icmp));
	else if (type == MLD1_REPORT || type == MLD1_DONE)
		add_report(ret, address_at(icmp->data + 8, AF_INET6), 1, type == MLD1_DONE);
}

/* What an IP packet carries. Of fragments, only those of UDP are of interest. */
static void parse_transport(struct rest *rest, uint8_t protocol, bool is_fragment,
	const struct frame_context *context, struct frame *ret)
{
	if (protocol == IPPROTO_UDP) {
		ret->kind = is_fragment ? FRAME_FRAGMENT : FRAME_UDP;
		ret->fragment_size = is_fragment ? rest->there : 0;
		if (!ret->fragment_offset)
			parse_udp(rest, context, ret);
	} else if (!is_fragment && protocol == IPPROTO_IGMP && ret->source.family == AF_INET) {
		parse_igmp(rest, ret);
	} else if (!is_fragment && protocol == IPPROTO_ICMPV6 && ret->source.family == AF_INET6) {
		parse_icmp6(rest, ret);
	}
}

/* What follows ends where the packet says. Where it says more than was on the wire, its datagram
 * is cut. */
static void limit(struct rest *rest, size_t size, struct frame *ret)
{
	ret->size = size;
	if (size > rest->there)
		ret->bad_udp_length = true;
	else
		rest->there = size;
}

static void parse_ip4(struct rest *ip, const struct frame_context *context, struct frame *ret)
{
	const uint8_t *data = ip->data;
	size_t header_size;

	if (!has(ip, IP4_HEADER_SIZE) || data[0] >> 4 != 4)
		return;
	header_size = (size_t)(data[0] & 0x0f) * 4;
	if (header_size < IP4_HEADER_SIZE || get16(data + 2) < header_size || !has(ip, header_size))
		return;
	ret->source = address_at(data + 12, AF_INET);
	ret->destination = address_at(data + 16, AF_INET);
	ret->ttl = data[8];
	ret->identification = get16(data + 4);
	ret->fragment_offset = (get16(data + 6) & 0x1fffU) * 8;
	ret->more_fragments = data[6] & 0x20;
	ret->bad_ip_checksum = !is_right(sum_of(0, data, header_size));
	limit(ip, get16(data + 2), ret);
	skip(ip, header_size);
	parse_transport(ip, data[9], ret->fragment_offset || ret->more_fragments, context, ret);
	if (ret->kind != FRAME_UDP)
		ret->bad_udp_length = false;
}

/* A header in front of another: RFC 8200, 4. Returns whether it was one, and whole. */
static bool skip_extension(struct rest *rest, uint8_t *type, bool *is_fragment, struct frame *ret)
{
	size_t size = EXTENSION_SIZE;
	uint8_t next;

	if (!has(rest, size))
		return false;
	next = rest->data[0];
	switch (*type) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
		size = ((size_t)rest->data[1] + 1) * 8;
		break;
	case IPPROTO_FRAGMENT:
		ret->fragment_offset = get16(rest->data + 2) & 0xfff8U;
		ret->more_fragments = rest->data[3] & 1;
		ret->identification = get32(rest->data + 4);
		*is_fragment = ret->fragment_offset || ret->more_fragments;
		break;
	default:
		return false;
	}
	if (!has(rest, size))
		return false;
	skip(rest, size);
	*type = next;
	return true;
}

static void parse_ip6(struct rest *ip, const struct frame_context *context, struct frame *ret)
{
	const uint8_t *data = ip->data;
	bool is_fragment = false;
	uint8_t type;

	if (!has(ip, IP6_HEADER_SIZE) || data[0] >> 4 != 6)
		return;
	ret->source = address_at(data + 8, AF_INET6);
	ret->destination = address_at(data + 24, AF_INET6);
	ret->ttl = data[7];
	type = data[6];
	limit(ip, IP6_HEADER_SIZE + (size_t)get16(data + 4), ret);
	skip(ip, IP6_HEADER_SIZE);
	/* Behind the header of a later fragment there are no more headers. */
	for (int i = 0; i < EXTENSIONS_MAX && !ret->fragment_offset; i++)
		if (!skip_extension(ip, &type, &is_fragment, ret))
			break;
	parse_transport(ip, type, is_fragment, context, ret);
	if (ret->kind != FRAME_UDP)
		ret->bad_udp_length = false;
}

static bool is_tag(uint16_t type)
{
	return type == ETH_P_8021Q || type == ETH_P_8021AD || type == ETH_P_QINQ1;
}

/* Returns the ethertype of what follows; 0: it was cut off before that. */
static uint16_t parse_ethernet(struct rest *rest, struct frame *ret)
{
	uint16_t type;

	if (!has(rest, ETH_HLEN))
		return 0;
	memcpy(ret->to_mac, rest->data, ETH_ALEN);
	memcpy(ret->from_mac, rest->data + ETH_ALEN, ETH_ALEN);
	type = get16(rest->data + 2 * ETH_ALEN);
	skip(rest, ETH_HLEN);
	while (is_tag(type)) {
		if (!has(rest, TAG_SIZE))
			return 0;
		if (ret->vlan < 0)
			ret->vlan = get16(rest->data) & 0x0fff;
		type = get16(rest->data + 2);
		skip(rest, TAG_SIZE);
	}
	return type;
}

/* Of a link without Ethernet's header, the first four bits tell. */
static uint16_t type_of(const struct rest *rest)
{
	if (!has(rest, 1))
		return 0;
	switch (rest->data[0] >> 4) {
	case 4:
		return ETH_P_IP;
	case 6:
		return ETH_P_IPV6;
	}
	return 0;
}

void frame_parse(
	const void *data, size_t size, const struct frame_context *context, struct frame *ret)
{
	struct rest rest = {data, size, context->wire_size > size ? context->wire_size : size};
	uint16_t type;

	/* The records are most of it, and of most frames not used. */
	memset(ret, 0, offsetof(struct frame, records));
	ret->record_count = 0;
	ret->vlan = context->vlan;
	type = context->has_ethernet ? parse_ethernet(&rest, ret) : type_of(&rest);
	if (type == ETH_P_IP)
		parse_ip4(&rest, context, ret);
	else if (type == ETH_P_IPV6)
		parse_ip6(&rest, context, ret);
}
