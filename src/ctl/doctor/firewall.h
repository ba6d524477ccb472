/* The packet filter of this namespace, for who may read it (CAP_NET_ADMIN): base chains of
 * nf_tables with their hooks and policies, and the rules that drop and count, by netlink
 * (nfnetlink, NFT_MSG_GETCHAIN, NFT_MSG_GETRULE); whether iptables-legacy has tables
 * (/proc/net/ip_tables_names). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/address.h"

enum firewall_hook {
	HOOK_INGRESS,
	HOOK_PREROUTING,
	HOOK_INPUT,
	HOOK_OUTPUT,
	HOOK_POSTROUTING,
	HOOK_EGRESS,
	HOOK_FORWARD
};

#define FIREWALL_DEVICES_MAX 32

/* A base chain of type filter or route: it may drop, by its policy or by rules. */
struct firewall_chain {
	char family[8]; /* as nft(8) says it: "ip", "ip6", "inet", "netdev", "bridge" */
	char table[64], name[64];
	char devices[FIREWALL_DEVICES_MAX][16]; /* of ingress and egress; a * at the end of one is
						   for the rest of names */
	size_t device_count; /* 0: all */
	bool has_more_devices; /* than there is room for: those are not known */
	enum firewall_hook hook;
	int priority;
	bool drops_by_policy;
	size_t dropping_rules; /* that end in drop, reject or queue, also in chains that it jumps
				  to; and verdict maps, which may have such verdicts */
	uint64_t policy_drops; /* not counted by the kernel without a counter: 0 */
	bool is_iptables; /* iptables-nft made it: iptables(8) is the way to change it */
};

/* A rule that drops, with a counter of what it drops: nothing that may not match is behind it. It
 * is here once for each base chain that leads there. */
struct firewall_rule {
	size_t chain; /* index of that base chain */
	char table_chain[64]; /* the chain that it stands in */
	uint64_t handle;
	uint64_t packets; /* counted so far */
};

/* A rule that sends elsewhere what comes in, by another destination; or, without what, a chain of
 * type nat. */
struct firewall_translation {
	char family[8], table[64], chain[64];
	uint64_t handle;
	char what[12]; /* "redirect", "dnat", "tproxy", "set" */
};

/* How chains lead to others. */
struct firewall_graph;

struct firewall {
	bool is_readable;
	bool is_cut; /* there are more rules than are read (FIREWALL_BYTES_MAX) */
	struct firewall_chain *chains;
	size_t chain_count;
	struct firewall_rule *rules;
	size_t rule_count;
	struct firewall_translation *translations; /* in base chains that packets come in by */
	size_t translation_count;
	bool has_legacy; /* tables of iptables-legacy or ip6tables-legacy */
	struct firewall_graph *graph; /* until firewall_resolve() */
};

/* Of each of the two dumps, in bytes: some 8,000 rules. */
#define FIREWALL_BYTES_MAX (4 * 1024 * 1024)

/* The pure part: takes the messages of the two dumps; then firewall_resolve() finds out which rules
 * a base chain leads to. Return 0 or -ENOMEM; what is not understood is left out. */
struct nlmsghdr;
int firewall_take_chain(struct firewall *firewall, const struct nlmsghdr *message);
int firewall_take_rule(struct firewall *firewall, const struct nlmsghdr *message);
int firewall_resolve(struct firewall *firewall);

/* Never fails: without the privilege or nf_tables, is_readable is false. To be freed with
 * firewall_clear(). */
void firewall_read(struct firewall *ret);
void firewall_clear(struct firewall *firewall);

/* Whether packets of an interface may pass the chain, as far as its devices are known. */
bool firewall_has_device(const struct firewall_chain *chain, const char *interface);

/* The rule that has dropped most between two readings, in the chains that are wanted; NULL: none
 * has. *ret_packets is by how much its counter grew. */
typedef bool firewall_wants(const void *argument, const struct firewall_chain *chain);
const struct firewall_rule *firewall_grown(const struct firewall *before,
	const struct firewall *after, firewall_wants *wants, const void *argument,
	uint64_t *ret_packets);

/* The command that has a chain let through what goes to a group and port; and that for reports of
 * IGMP or MLD, as the family says, or without out for queries. Empty where a chain of this family
 * never sees it, where nft(8) could not read a name of it, or where there is no room. */
#define FIREWALL_COMMAND_MAX 512
void firewall_accept_command(const struct firewall_chain *chain, const struct address *group,
	uint16_t port, char *ret, size_t size);
void firewall_pass_command(const struct firewall_translation *rule, const struct address *group,
	uint16_t port, char *ret, size_t size);
void firewall_accept_fragments_command(
	const struct firewall_chain *chain, const struct address *group, char *ret, size_t size);
void firewall_accept_reports_command(
	const struct firewall_chain *chain, sa_family_t family, bool out, char *ret, size_t size);
