#include "ctl/doctor/filter.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "ctl/doctor/tally.h"

/* Comparisons are made one by one. */
#define KEYS_MAX 200

/* Offsets from the network header. */
#define NET(offset) ((uint32_t)(SKF_NET_OFF + (offset)))

/* Numbers to compare with, without repetitions. */
struct keys {
	uint32_t items[KEYS_MAX];
	size_t count;
	bool too_many;
};

struct builder {
	struct filter program;
	bool failed;
};

static void add(struct builder *builder, struct sock_filter instruction)
{
	if (array_add(&builder->program, instruction) < 0)
		builder->failed = true;
}

static void load(struct builder *builder, uint16_t size, uint32_t offset)
{
	add(builder, (struct sock_filter)BPF_STMT((uint16_t)(BPF_LD | size | BPF_ABS), offset));
}

/* The number of bytes is in memory. */
static void begin_program(struct builder *builder, const struct filter_snap *snap)
{
	if (snap->samples) {
		add(builder, (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, snap->some));
		add(builder, (struct sock_filter)BPF_STMT(BPF_ST, 0));
		load(builder, BPF_W, (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM));
		add(builder, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0xf, 2, 0));
	}
	add(builder, (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, snap->whole));
	add(builder, (struct sock_filter)BPF_STMT(BPF_ST, 0));
}

static void accept_it(struct builder *builder)
{
	add(builder, (struct sock_filter)BPF_STMT(BPF_LD | BPF_MEM, 0));
	add(builder, (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0));
}

static void reject_it(struct builder *builder)
{
	add(builder, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0));
}

/* A jump reaches 255 instructions at most, so none goes over more than what accepts. */
static void accept_if(struct builder *builder, uint32_t value)
{
	add(builder, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 2));
	accept_it(builder);
}

static void accept_any_of(struct builder *builder, const struct keys *keys)
{
	for (size_t i = 0; i < keys->count && !keys->too_many; i++)
		accept_if(builder, keys->items[i]);
	if (keys->too_many)
		accept_it(builder);
}

/* Where the value is another one, goes on behind the instructions that follow; returns what
 * end_if() needs. */
static size_t begin_if(struct builder *builder, uint32_t value)
{
	add(builder, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0));
	add(builder, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 0));
	return builder->program.count;
}

static void end_if(struct builder *builder, size_t begin)
{
	if (!builder->failed)
		builder->program.items[begin - 1].k = (uint32_t)(builder->program.count - begin);
}

static void add_key(struct keys *keys, uint32_t key)
{
	for (size_t i = 0; i < keys->count; i++)
		if (keys->items[i] == key)
			return;
	if (keys->count == KEYS_MAX)
		keys->too_many = true;
	else
		keys->items[keys->count++] = key;
}

/* What to compare with, of the groups of one family. */
struct wanted {
	struct keys macs; /* the bits of a multicast MAC address that come from the IP address */
	struct keys addresses; /* others: all of IPv4, the last four bytes of IPv6 */
	struct keys ports;
	struct keys any_ports; /* of groups for all addresses of this host */
};

static uint32_t low_bits(const struct address *address)
{
	return ntohl(address->family == AF_INET ? address->v4.s_addr : address->v6.s6_addr32[3]);
}

static void collect(
	const struct wire_group *groups, size_t count, sa_family_t family, struct wanted *ret)
{
	for (size_t i = 0; i < count; i++) {
		const struct address *address = &groups[i].address;

		if (address->family != family)
			continue;
		add_key(&ret->ports, groups[i].port);
		if (address_is_any(address))
			add_key(&ret->any_ports, groups[i].port);
		else if (address_is_multicast(address))
			add_key(&ret->macs, (uint32_t)multicast_mac_key(address));
		else
			add_key(&ret->addresses, low_bits(address));
	}
}

/* Ports to be compared. What comes to other addresses of the ports of groups is of interest in
 * whole frames only, and where there are not too many ports. */
static const struct keys *compared_ports(
	const struct wanted *wanted, const struct filter_snap *snap)
{
	return snap->samples || wanted->ports.too_many ? &wanted->any_ports : &wanted->ports;
}

static void add_ip4(struct builder *builder, const struct wanted *wanted, const struct keys *ports)
{
	load(builder, BPF_B, NET(9)); /* protocol */
	accept_if(builder, IPPROTO_IGMP);
	add(builder, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 1, 0));
	reject_it(builder);
	if (ports->count) {
		add(builder, (struct sock_filter)BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, NET(0)));
		add(builder, (struct sock_filter)BPF_STMT(BPF_LD | BPF_H | BPF_IND, NET(2)));
		accept_any_of(builder, ports);
	}
	load(builder, BPF_W, NET(16)); /* destination */
	accept_any_of(builder, &wanted->addresses);
	/* 224.0.0.0 and above */
	add(builder, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0xe0000000, 1, 0));
	reject_it(builder);
	add(builder, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x7fffff));
	accept_any_of(builder, &wanted->macs);
	reject_it(builder);
}

/* MLD has a hop-by-hop header in front (RFC 3810, 5). Of datagrams with other extension headers,
 * those with a fragment header and with options for the destination are let through. */
static void add_ip6(struct builder *builder, const struct wanted *wanted, const struct keys *ports)
{
	static const uint32_t with_udp[] = {IPPROTO_UDP, IPPROTO_FRAGMENT, IPPROTO_DSTOPTS};

	load(builder, BPF_B, NET(6)); /* next header */
	accept_if(builder, IPPROTO_HOPOPTS);
	for (size_t i = 0; i < ARRAY_SIZE(with_udp); i++)
		add(builder, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, with_udp[i],
				     (uint8_t)(ARRAY_SIZE(with_udp) - i), 0));
	reject_it(builder);
	if (ports->count) {
		load(builder, BPF_H, NET(40 + 2));
		accept_any_of(builder, ports);
	}
	load(builder, BPF_W, NET(24 + 12)); /* the last four bytes of the destination */
	accept_any_of(builder, &wanted->addresses);
	accept_any_of(builder, &wanted->macs);
	reject_it(builder);
}

/* With two tags, the network header is that of the second one. */
static void add_tagged(struct builder *builder)
{
	static const uint16_t tags[] = {ETH_P_8021Q, ETH_P_8021AD, ETH_P_QINQ1};

	for (size_t i = 0; i < ARRAY_SIZE(tags); i++) {
		size_t begin = begin_if(builder, tags[i]);

		load(builder, BPF_B, 0);
		add(builder, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 1, 0, 2));
		accept_it(builder);
		reject_it(builder);
		end_if(builder, begin);
	}
}

int filter_build(const struct wire_group *groups, size_t count, const struct filter_snap *snap,
	struct filter *ret)
{
	struct builder builder = {0};
	struct wanted *wanted = calloc(2, sizeof(*wanted));
	size_t begin;

	if (!wanted)
		return -ENOMEM;
	collect(groups, count, AF_INET, &wanted[0]);
	collect(groups, count, AF_INET6, &wanted[1]);
	begin_program(&builder, snap);
	load(&builder, BPF_H, (uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL));
	begin = begin_if(&builder, ETH_P_IP);
	add_ip4(&builder, &wanted[0], compared_ports(&wanted[0], snap));
	end_if(&builder, begin);
	begin = begin_if(&builder, ETH_P_IPV6);
	add_ip6(&builder, &wanted[1], compared_ports(&wanted[1], snap));
	end_if(&builder, begin);
	add_tagged(&builder);
	reject_it(&builder);
	free(wanted);
	if (builder.failed) {
		free(builder.program.items);
		return -ENOMEM;
	}
	*ret = builder.program;
	return 0;
}
