/* The packet filter of this namespace, for who may read it (CAP_NET_ADMIN): base chains of
 * nf_tables with their hooks and policies, and the rules that drop and count, by netlink
 * (nfnetlink, NFT_MSG_GETCHAIN, NFT_MSG_GETRULE); whether iptables-legacy has tables
 * (/proc/net/ip_tables_names). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum firewall_hook {
	HOOK_INGRESS,
	HOOK_PREROUTING,
	HOOK_INPUT,
	HOOK_OUTPUT,
	HOOK_POSTROUTING,
	HOOK_EGRESS,
	HOOK_FORWARD
};

/* A base chain that may drop: of type filter, by its policy or by rules. */
struct firewall_chain {
	char family[8]; /* as nft(8) says it: "ip", "ip6", "inet", "netdev", "bridge" */
	char table[64], name[64];
	char device[16]; /* of netdev; empty: all, or another family */
	enum firewall_hook hook;
	int priority;
	bool drops_by_policy;
	size_t dropping_rules; /* that end in drop or reject, also in chains that it jumps to */
	uint64_t policy_drops; /* not counted by the kernel without a counter: 0 */
	bool is_iptables; /* iptables-nft made it: iptables(8) is the way to change it */
};

/* A rule that drops, with a counter. */
struct firewall_rule {
	size_t chain; /* index of the base chain that leads there */
	char table_chain[64]; /* the chain that it stands in */
	uint64_t handle;
	uint64_t packets; /* counted so far */
};

struct firewall {
	bool is_readable;
	struct firewall_chain *chains;
	size_t chain_count;
	struct firewall_rule *rules;
	size_t rule_count;
	bool has_legacy; /* tables of iptables-legacy or ip6tables-legacy */
};

/* The pure part: takes the messages of the two dumps. Return 0 or -ENOMEM; what is not understood
 * is left out. */
struct nlmsghdr;
int firewall_take_chain(struct firewall *firewall, const struct nlmsghdr *message);
int firewall_take_rule(struct firewall *firewall, const struct nlmsghdr *message);

/* Never fails: without the privilege or nf_tables, is_readable is false. To be freed with
 * firewall_clear(). */
void firewall_read(struct firewall *ret);
void firewall_clear(struct firewall *firewall);

/* The rule that has dropped most between two readings at a hook; NULL: none has. *ret_packets is by
 * how much its counter grew. */
const struct firewall_rule *firewall_grown(const struct firewall *before,
	const struct firewall *after, enum firewall_hook hook, uint64_t *ret_packets);
