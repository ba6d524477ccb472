#include "formats/dissect.h"

#include <linux/if_ether.h>
#include <linux/ppp_defs.h>
#include <netinet/in.h>
#include <string.h>

#include "base/cleanup.h"

enum link_type {
	LINK_NULL = 0, /* BSD's loopback: an address family in the byte order of the host */
	LINK_ETHERNET = 1,
	LINK_PPP = 9,
	LINK_DLT_RAW = 12, /* see pcapng.h: all interfaces of a file that we wrote but the first */
	LINK_DLT_RAW_OPENBSD = 14,
	LINK_PPP_HDLC = 50,
	LINK_PPP_ETHER = 51,
	LINK_RAW = 101,
	LINK_LOOP = 108, /* the same as LINK_NULL, always big endian */
	LINK_LINUX_SLL = 113,
	LINK_IPV4 = 228,
	LINK_IPV6 = 229,
	LINK_LINUX_SLL2 = 276,
};

#define IP4_HEADER_SIZE 20
#define IP6_HEADER_SIZE 40
#define UDP_HEADER_SIZE 8
#define TAG_SIZE 4
#define LABEL_SIZE 4 /* of MPLS */
#define SNAP_SIZE 8
#define PPPOE_HEADER_SIZE 6
#define IP_PAYLOAD_MAX 65535

/* The rest of a packet, behind the headers so far. */
struct rest {
	const uint8_t *data;
	size_t size; /* captured */
	size_t stated; /* by those headers; what is captured beyond is padding of the link */
};

static uint16_t get16(const uint8_t *data)
{
	return (uint16_t)(data[0] << 8 | data[1]);
}

static uint32_t get32(const uint8_t *data)
{
	return (uint32_t)get16(data) << 16 | get16(data + 2);
}

static bool skip(struct rest *rest, size_t size)
{
	if (size > rest->size)
		return false;
	rest->data += size;
	rest->size -= size;
	rest->stated -= size < rest->stated ? size : rest->stated;
	return true;
}

/* Why a header of that size is not there: the packet says so, or it was not captured. */
static enum dissect_result too_short(const struct rest *rest, size_t size)
{
	return rest->stated < size ? DISSECT_BROKEN : DISSECT_CUT;
}

static bool has(const struct rest *rest, size_t size)
{
	return rest->size >= size && rest->stated >= size;
}

static struct address address_at(const uint8_t *data, sa_family_t family)
{
	struct address address = {.family = family};

	memcpy(&address.v4, data, family == AF_INET ? 4 : 16);
	return address;
}

static enum dissect_result dissect_udp(const struct rest *udp, struct dissected *ret)
{
	size_t length;

	if (!has(udp, UDP_HEADER_SIZE))
		return too_short(udp, UDP_HEADER_SIZE);
	ret->source_port = get16(udp->data);
	ret->destination_port = get16(udp->data + 2);
	/* An event of mcastd, which was never in a network. */
	if (!ret->destination_port)
		return DISSECT_NOT_UDP;
	length = get16(udp->data + 4);
	if (length < UDP_HEADER_SIZE || length > udp->stated)
		return DISSECT_BROKEN;
	if (length > udp->size)
		return DISSECT_CUT;
	ret->data = udp->data + UDP_HEADER_SIZE;
	ret->size = length - UDP_HEADER_SIZE;
	return DISSECT_UDP;
}

/* The rest is the part of an IP packet that ret->fragment describes. */
static enum dissect_result take_fragment(const struct rest *rest, struct dissected *ret)
{
	size_t size = rest->stated;

	if (!size || ret->fragment.offset + size > IP_PAYLOAD_MAX ||
		(ret->fragment.more && size % 8))
		return DISSECT_BROKEN;
	if (size > rest->size)
		return DISSECT_CUT;
	ret->data = rest->data;
	ret->size = size;
	return DISSECT_FRAGMENT;
}

static bool is_extension(uint8_t type)
{
	return type == IPPROTO_HOPOPTS || type == IPPROTO_ROUTING || type == IPPROTO_FRAGMENT ||
	       type == IPPROTO_DSTOPTS || type == IPPROTO_AH;
}

/* The fragment header at the front, 8 bytes, which may be that of a packet that is whole: RFC 6946.
 */
static struct fragment fragment_at(const uint8_t *data, bool is_routed)
{
	uint16_t place = get16(data + 2);

	return (struct fragment){
		.identification = get32(data + 4),
		.offset = place & 0xfff8U,
		.more = place & 1,
		.protocol = data[0],
		.is_routed = is_routed,
	};
}

/* What follows the header of IP, or of a fragment: headers of which the first has this type. */
static enum dissect_result dissect_headers(struct rest *ip, uint8_t type, struct dissected *ret)
{
	bool is_routed = ret->fragment.is_routed;

	while (is_extension(type)) {
		size_t size = 8;
		bool is_fragment = type == IPPROTO_FRAGMENT;

		if (!has(ip, size))
			return too_short(ip, size);
		if (is_fragment)
			ret->fragment = fragment_at(ip->data, is_routed);
		else if (type == IPPROTO_AH) /* RFC 4302, 2.2 */
			size = ((size_t)ip->data[1] + 2) * 4;
		else
			size *= (size_t)ip->data[1] + 1;
		if (type == IPPROTO_ROUTING && ip->data[3]) /* segments left */
			is_routed = true;
		type = ip->data[0];
		if (!has(ip, size))
			return too_short(ip, size);
		skip(ip, size);
		if (is_fragment && (ret->fragment.more || ret->fragment.offset))
			return is_extension(type) || type == IPPROTO_UDP ? take_fragment(ip, ret)
									 : DISSECT_NOT_UDP;
	}
	return type == IPPROTO_UDP ? dissect_udp(ip, ret) : DISSECT_NOT_UDP;
}

static enum dissect_result dissect_ip4(struct rest *ip, struct dissected *ret)
{
	size_t header_size, total;
	uint16_t flags;
	uint8_t protocol;

	if (!has(ip, IP4_HEADER_SIZE))
		return too_short(ip, IP4_HEADER_SIZE);
	header_size = (size_t)(ip->data[0] & 0x0f) * 4;
	total = get16(ip->data + 2);
	flags = get16(ip->data + 6);
	protocol = ip->data[9];
	if (ip->data[0] >> 4 != 4 || header_size < IP4_HEADER_SIZE || total < header_size)
		return DISSECT_BROKEN;
	if (protocol != IPPROTO_UDP && protocol != IPPROTO_AH)
		return DISSECT_NOT_UDP;
	ret->source = address_at(ip->data + 12, AF_INET);
	ret->destination = address_at(ip->data + 16, AF_INET);
	ret->fragment = (struct fragment){
		.identification = get16(ip->data + 4),
		.offset = (flags & 0x1fffU) * 8,
		.more = flags & 0x2000,
		.protocol = protocol,
	};
	ip->stated = total;
	if (!skip(ip, header_size))
		return DISSECT_CUT;
	return ret->fragment.more || ret->fragment.offset ? take_fragment(ip, ret)
							  : dissect_headers(ip, protocol, ret);
}

static enum dissect_result dissect_ip6(struct rest *ip, struct dissected *ret)
{
	uint8_t type;

	if (!has(ip, IP6_HEADER_SIZE))
		return too_short(ip, IP6_HEADER_SIZE);
	if (ip->data[0] >> 4 != 6)
		return DISSECT_BROKEN;
	ret->source = address_at(ip->data + 8, AF_INET6);
	ret->destination = address_at(ip->data + 24, AF_INET6);
	ip->stated = IP6_HEADER_SIZE + (size_t)get16(ip->data + 4);
	type = ip->data[6];
	skip(ip, IP6_HEADER_SIZE);
	ret->fragment = (struct fragment){0};
	return dissect_headers(ip, type, ret);
}

/* The sum of RFC 1071. An odd byte at the end is padded with zero. */
static uint64_t add_words(uint64_t sum, const uint8_t *data, size_t size)
{
	for (size_t i = 0; i + 1 < size; i += 2)
		sum += get16(data + i);
	return size % 2 ? sum + ((uint64_t)data[size - 1] << 8) : sum;
}

/* Of a datagram with its header at data. RFC 768; RFC 8200, 8.1. */
static bool is_checksum_right(const uint8_t *data, size_t size, const struct dissected *datagram)
{
	size_t length = datagram->source.family == AF_INET ? 4 : 16;
	uint64_t sum = IPPROTO_UDP + size;

	sum = add_words(sum, (const uint8_t *)&datagram->source.v4, length);
	sum = add_words(sum, (const uint8_t *)&datagram->destination.v4, length);
	sum = add_words(sum, data, size);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

enum dissect_result dissect_whole(const uint8_t *data, size_t size, struct dissected *ret)
{
	struct rest rest = {data, size, size};
	enum dissect_result result = dissect_headers(&rest, ret->fragment.protocol, ret);
	const uint8_t *udp;

	ret->is_verified = false;
	if (result != DISSECT_UDP)
		return result == DISSECT_NOT_UDP ? result : DISSECT_FRAGMENT;
	udp = ret->data - UDP_HEADER_SIZE;
	if (!get16(udp + 6) || ret->fragment.is_routed)
		return DISSECT_UDP;
	ret->is_verified = is_checksum_right(udp, UDP_HEADER_SIZE + ret->size, ret);
	return ret->is_verified ? DISSECT_UDP : DISSECT_FRAGMENT;
}

/* IPv4 or IPv6, as the first byte says. */
static enum dissect_result dissect_raw(struct rest *rest, struct dissected *ret)
{
	if (!rest->size)
		return DISSECT_CUT;
	switch (rest->data[0] >> 4) {
	case 4:
		return dissect_ip4(rest, ret);
	case 6:
		return dissect_ip6(rest, ret);
	}
	return DISSECT_NOT_UDP;
}

/* Behind the label that says that it is the last one. What the labels are for, only routers know:
 * the packet's own first byte says what it is, as routers guess it, too (RFC 4928). RFC 3032. */
static enum dissect_result dissect_mpls(struct rest *rest, struct dissected *ret)
{
	bool is_last = false;

	while (!is_last) {
		if (rest->size < LABEL_SIZE)
			return DISSECT_CUT;
		ret->place = ret->place << 20 | get32(rest->data) >> 12;
		is_last = rest->data[2] & 1;
		skip(rest, LABEL_SIZE);
	}
	return dissect_raw(rest, ret);
}

/* Address and control fields may be left out, and the protocol may have one byte: RFC 1661, 6.5
 * and 6.6. */
static enum dissect_result dissect_ppp(struct rest *rest, struct dissected *ret)
{
	uint16_t protocol;

	if (rest->size >= 2 && rest->data[0] == PPP_ALLSTATIONS && rest->data[1] == PPP_UI)
		skip(rest, 2);
	if (rest->size < 2)
		return DISSECT_CUT;
	protocol = rest->data[0] & 1 ? rest->data[0] : get16(rest->data);
	skip(rest, rest->data[0] & 1 ? 1 : 2);
	if (protocol == PPP_IP)
		return dissect_ip4(rest, ret);
	if (protocol == PPP_MPLS_UC || protocol == PPP_MPLS_MC)
		return dissect_mpls(rest, ret);
	return protocol == PPP_IPV6 ? dissect_ip6(rest, ret) : DISSECT_NOT_UDP;
}

static enum dissect_result dissect_pppoe(struct rest *rest, struct dissected *ret)
{
	return skip(rest, PPPOE_HEADER_SIZE) ? dissect_ppp(rest, ret) : DISSECT_CUT;
}

static bool is_tag(uint16_t type)
{
	return type == ETH_P_8021Q || type == ETH_P_8021AD || type == ETH_P_QINQ1;
}

/* Behind a length in the place of an ethertype: LLC and SNAP of RFC 1042, with an ethertype.
 * Returns DISSECT_UDP where that is there. */
static enum dissect_result take_snap(struct rest *rest, uint16_t *ret_type)
{
	static const uint8_t snap[] = {0xaa, 0xaa, 0x03, 0, 0, 0};

	if (rest->size < SNAP_SIZE)
		return DISSECT_CUT;
	if (memcmp(rest->data, snap, sizeof(snap)))
		return DISSECT_NOT_UDP;
	*ret_type = get16(rest->data + sizeof(snap));
	skip(rest, SNAP_SIZE);
	return DISSECT_UDP;
}

/* What follows a link header, where type is its ethertype, or the length of IEEE 802.3. */
static enum dissect_result dissect_ethertype(
	struct rest *rest, uint16_t type, struct dissected *ret)
{
	while (is_tag(type) || type < ETH_P_802_3_MIN) {
		enum dissect_result result = DISSECT_UDP;

		if (!is_tag(type)) {
			result = take_snap(rest, &type);
		} else if (rest->size < TAG_SIZE) {
			result = DISSECT_CUT;
		} else {
			ret->place = ret->place << 12 | (get16(rest->data) & 0x0fff);
			type = get16(rest->data + 2);
			skip(rest, TAG_SIZE);
		}
		if (result != DISSECT_UDP)
			return result;
	}
	switch (type) {
	case ETH_P_IP:
		return dissect_ip4(rest, ret);
	case ETH_P_IPV6:
		return dissect_ip6(rest, ret);
	case ETH_P_MPLS_UC:
	case ETH_P_MPLS_MC:
		return dissect_mpls(rest, ret);
	case ETH_P_PPP_SES:
		return dissect_pppoe(rest, ret);
	}
	return DISSECT_NOT_UDP;
}

/* A link header of that size, with the ethertype at an offset. */
static enum dissect_result dissect_link(
	struct rest *rest, size_t header_size, size_t type_offset, struct dissected *ret)
{
	uint16_t type;

	if (rest->size < header_size)
		return DISSECT_CUT;
	type = get16(rest->data + type_offset);
	skip(rest, header_size);
	return dissect_ethertype(rest, type, ret);
}

/* Systems have numbers of their own for IPv6, and those with little endian write them so. */
static enum dissect_result dissect_loopback(struct rest *rest, struct dissected *ret)
{
	static const uint32_t linux_ip6 = 10, netbsd_ip6 = 24, freebsd_ip6 = 28, macos_ip6 = 30;
	uint32_t family;

	if (rest->size < sizeof(family))
		return DISSECT_CUT;
	family = get32(rest->data);
	if (family >> 16)
		family = __builtin_bswap32(family);
	skip(rest, sizeof(family));
	if (family == AF_INET)
		return dissect_ip4(rest, ret);
	return family == linux_ip6 || family == netbsd_ip6 || family == freebsd_ip6 ||
			       family == macos_ip6
		       ? dissect_ip6(rest, ret)
		       : DISSECT_NOT_UDP;
}

enum dissect_result dissect(const struct captured_packet *packet, struct dissected *ret)
{
	struct rest rest = {.data = packet->data, .size = packet->size, .stated = SIZE_MAX};

	ret->place = 0;
	switch (packet->link_type) {
	case LINK_ETHERNET:
		return dissect_link(&rest, 14, 12, ret);
	case LINK_LINUX_SLL:
		if (rest.size >= 2) /* the direction */
			ret->place = get16(rest.data);
		return dissect_link(&rest, 16, 14, ret);
	case LINK_LINUX_SLL2:
		if (rest.size >= 11) /* interface and direction */
			ret->place = (uint64_t)get32(rest.data + 4) << 8 | rest.data[10];
		return dissect_link(&rest, 20, 0, ret);
	case LINK_DLT_RAW:
	case LINK_DLT_RAW_OPENBSD:
	case LINK_RAW:
	case LINK_IPV4:
	case LINK_IPV6:
		return dissect_raw(&rest, ret);
	case LINK_NULL:
	case LINK_LOOP:
		return dissect_loopback(&rest, ret);
	case LINK_PPP:
	case LINK_PPP_HDLC:
		return dissect_ppp(&rest, ret);
	case LINK_PPP_ETHER:
		return dissect_pppoe(&rest, ret);
	}
	return DISSECT_LINK;
}
