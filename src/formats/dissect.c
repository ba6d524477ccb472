#include "formats/dissect.h"

#include <linux/if_ether.h>
#include <netinet/in.h>
#include <stdbool.h>

enum link_type {
	LINK_ETHERNET = 1,
	LINK_DLT_RAW = 12, /* see pcapng.h: all interfaces of a file that we wrote but the first */
	LINK_RAW = 101,
	LINK_LINUX_SLL = 113,
	LINK_IPV4 = 228,
	LINK_IPV6 = 229,
	LINK_LINUX_SLL2 = 276,
};

#define IP4_HEADER_SIZE 20
#define IP6_HEADER_SIZE 40
#define UDP_HEADER_SIZE 8

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

static enum dissect_result dissect_udp(const struct rest *udp, struct payload *ret)
{
	size_t length;

	if (!has(udp, UDP_HEADER_SIZE))
		return too_short(udp, UDP_HEADER_SIZE);
	/* An event of mcastd, which was never in a network. */
	if (!get16(udp->data + 2))
		return DISSECT_NOT_UDP;
	length = get16(udp->data + 4);
	if (length < UDP_HEADER_SIZE || length > udp->stated)
		return DISSECT_BROKEN;
	if (length > udp->size)
		return DISSECT_CUT;
	*ret = (struct payload){udp->data + UDP_HEADER_SIZE, length - UDP_HEADER_SIZE};
	return DISSECT_UDP;
}

static enum dissect_result dissect_ip4(struct rest *ip, struct payload *ret)
{
	size_t header_size, total;
	uint8_t protocol;

	if (!has(ip, IP4_HEADER_SIZE))
		return too_short(ip, IP4_HEADER_SIZE);
	header_size = (size_t)(ip->data[0] & 0x0f) * 4;
	total = get16(ip->data + 2);
	protocol = ip->data[9];
	if (ip->data[0] >> 4 != 4 || header_size < IP4_HEADER_SIZE || total < header_size)
		return DISSECT_BROKEN;
	if (get16(ip->data + 6) & 0x3fff) /* more fragments, or an offset */
		return protocol == IPPROTO_UDP ? DISSECT_FRAGMENT : DISSECT_NOT_UDP;
	if (protocol != IPPROTO_UDP)
		return DISSECT_NOT_UDP;
	ip->stated = total;
	return skip(ip, header_size) ? dissect_udp(ip, ret) : DISSECT_CUT;
}

/* The extension header at the front: its size, and whether it makes the packet a fragment. */
static size_t extension_size(const struct rest *rest, uint8_t type, bool *ret_fragment)
{
	*ret_fragment = type == IPPROTO_FRAGMENT && get16(rest->data + 2) & 0xfff9;
	return type == IPPROTO_FRAGMENT ? 8 : 8 * ((size_t)rest->data[1] + 1);
}

static bool is_extension(uint8_t type)
{
	return type == IPPROTO_HOPOPTS || type == IPPROTO_ROUTING || type == IPPROTO_FRAGMENT ||
	       type == IPPROTO_DSTOPTS;
}

static enum dissect_result dissect_ip6(struct rest *ip, struct payload *ret)
{
	uint8_t type;
	bool fragment;

	if (!has(ip, IP6_HEADER_SIZE))
		return too_short(ip, IP6_HEADER_SIZE);
	if (ip->data[0] >> 4 != 6)
		return DISSECT_BROKEN;
	ip->stated = IP6_HEADER_SIZE + (size_t)get16(ip->data + 4);
	type = ip->data[6];
	skip(ip, IP6_HEADER_SIZE);
	while (is_extension(type)) {
		size_t size = 8;
		uint8_t next;

		if (!has(ip, size))
			return too_short(ip, size);
		next = ip->data[0];
		size = extension_size(ip, type, &fragment);
		if (fragment)
			return DISSECT_FRAGMENT;
		if (!has(ip, size))
			return too_short(ip, size);
		skip(ip, size);
		type = next;
	}
	return type == IPPROTO_UDP ? dissect_udp(ip, ret) : DISSECT_NOT_UDP;
}

/* IPv4 or IPv6, as the first byte says. */
static enum dissect_result dissect_raw(struct rest *rest, struct payload *ret)
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

/* What follows a link header, where type is its ethertype. */
static enum dissect_result dissect_ethertype(struct rest *rest, uint16_t type, struct payload *ret)
{
	while (type == ETH_P_8021Q || type == ETH_P_8021AD || type == ETH_P_QINQ1) {
		if (rest->size < 4)
			return DISSECT_CUT;
		type = get16(rest->data + 2);
		skip(rest, 4);
	}
	if (type == ETH_P_IP)
		return dissect_ip4(rest, ret);
	return type == ETH_P_IPV6 ? dissect_ip6(rest, ret) : DISSECT_NOT_UDP;
}

/* A link header of that size, with the ethertype at an offset. */
static enum dissect_result dissect_link(
	struct rest *rest, size_t header_size, size_t type_offset, struct payload *ret)
{
	uint16_t type;

	if (rest->size < header_size)
		return DISSECT_CUT;
	type = get16(rest->data + type_offset);
	skip(rest, header_size);
	return dissect_ethertype(rest, type, ret);
}

enum dissect_result dissect(
	uint16_t link_type, const uint8_t *packet, size_t size, struct payload *ret)
{
	struct rest rest = {.data = packet, .size = size, .stated = SIZE_MAX};

	switch (link_type) {
	case LINK_ETHERNET:
		return dissect_link(&rest, 14, 12, ret);
	case LINK_LINUX_SLL:
		return dissect_link(&rest, 16, 14, ret);
	case LINK_LINUX_SLL2:
		return dissect_link(&rest, 20, 0, ret);
	case LINK_DLT_RAW:
	case LINK_RAW:
	case LINK_IPV4:
	case LINK_IPV6:
		return dissect_raw(&rest, ret);
	}
	return DISSECT_LINK;
}
