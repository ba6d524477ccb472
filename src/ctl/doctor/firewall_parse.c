/* The messages of nf_tables: linux/netfilter/nf_tables.h. Numbers are in network byte order. */
#include <netinet/in.h> /* before linux/netfilter.h, which otherwise brings linux/in.h */

#include <endian.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "ctl/doctor/firewall.h"
#include "ctl/doctor/firewall_graph.h"
#include "net/rtnetlink.h"

/* NFT_NAME_MAXLEN; names of struct firewall_chain are cut. */
#define NAME_SIZE 256

/* What a rule does with the packets that match. */
struct effect {
	bool drops;
	bool is_counted; /* by the last counter, behind which nothing may not match */
	uint64_t packets;
	bool has_map; /* a verdict map: what it leads to is in a set */
	const char *translates; /* to another destination; NULL: it does not */
	bool jumps;
	char jump[NAME_SIZE];
};

static const char *family_name(uint8_t family)
{
	switch (family) {
	case NFPROTO_INET:
		return "inet";
	case NFPROTO_IPV4:
		return "ip";
	case NFPROTO_IPV6:
		return "ip6";
	case NFPROTO_NETDEV:
		return "netdev";
	case NFPROTO_BRIDGE:
		return "bridge";
	}
	return NULL;
}

static uint64_t hash_chain(uint8_t family, const char *table, const char *chain)
{
	uint64_t hash = hash_bytes(HASH_BEGIN, &family, sizeof(family));

	hash = hash_bytes(hash, table, strlen(table) + 1);
	return chain ? hash_bytes(hash, chain, strlen(chain) + 1) : hash;
}

static bool copy32(const struct rtattr *attribute, uint32_t *ret)
{
	uint32_t value;

	if (!rtnetlink_copy(attribute, &value, sizeof(value)))
		return false;
	*ret = be32toh(value);
	return true;
}

static bool copy64(const struct rtattr *attribute, uint64_t *ret)
{
	uint64_t value;

	if (!rtnetlink_copy(attribute, &value, sizeof(value)))
		return false;
	*ret = be64toh(value);
	return true;
}

static struct firewall_graph *graph_of(struct firewall *firewall)
{
	if (!firewall->graph)
		firewall->graph = firewall_graph_new();
	return firewall->graph;
}

/* Numbers of hooks depend on the family. Returns -1 for others. */
static int hook_of(uint8_t family, uint32_t number)
{
	static const int hooks[] = {[NF_INET_PRE_ROUTING] = HOOK_PREROUTING,
		[NF_INET_LOCAL_IN] = HOOK_INPUT,
		[NF_INET_FORWARD] = HOOK_FORWARD,
		[NF_INET_LOCAL_OUT] = HOOK_OUTPUT,
		[NF_INET_POST_ROUTING] = HOOK_POSTROUTING,
		[NF_INET_POST_ROUTING + 1] = HOOK_INGRESS}; /* NF_INET_INGRESS, Linux 5.10 */

	if (family == NFPROTO_NETDEV)
		return number == 0 ? HOOK_INGRESS : number == 1 ? HOOK_EGRESS : -1;
	return number < ARRAY_SIZE(hooks) ? hooks[number] : -1;
}

/* A name, or since Linux 6.16 the beginning of names (NFTA_DEVICE_PREFIX). */
static void read_device(const struct rtattr *attribute, char ret[static 16])
{
	const unsigned prefix = NFTA_DEVICE_NAME + 1;

	rtnetlink_copy_string(attribute, ret, 16);
	if ((attribute->rta_type & NLA_TYPE_MASK) == prefix)
		strcpy(ret + strnlen(ret, 14), "*");
}

/* The kernel names the first one for itself, too. */
static void read_devices(const struct rtattr *const hook[], struct firewall_chain *chain)
{
	const struct rtattr *list = hook[NFTA_HOOK_DEVS];
	const struct rtattr *at = list ? RTA_DATA(list) : hook[NFTA_HOOK_DEV];
	int left = list ? (int)RTA_PAYLOAD(list) : 0;

	if (!list && at) {
		rtnetlink_copy_string(at, chain->devices[chain->device_count++], 16);
		return;
	}
	for (; at && RTA_OK(at, left); at = RTA_NEXT(at, left)) {
		chain->has_more_devices = chain->device_count == FIREWALL_DEVICES_MAX;
		if (chain->has_more_devices)
			return;
		read_device(at, chain->devices[chain->device_count++]);
	}
}

/* Whether iptables-nft would find it as one of its own: its tables, and the names of its chains. */
static bool is_of_iptables(uint8_t family, const char *table, const char *chain)
{
	static const char *const tables[] = {"filter", "raw", "mangle", "security"};
	static const char *const chains[] = {
		"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"};
	bool is_table = false, is_chain = false;

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		is_table |= !strcmp(table, tables[i]);
	for (size_t i = 0; i < ARRAY_SIZE(chains); i++)
		is_chain |= !strcmp(chain, chains[i]);
	return is_table && is_chain && (family == NFPROTO_IPV4 || family == NFPROTO_IPV6);
}

static void read_policy(const struct rtattr *const parts[], struct firewall_chain *chain)
{
	const struct rtattr *counters[NFTA_COUNTER_PACKETS + 1];
	uint32_t policy = NF_ACCEPT;

	copy32(parts[NFTA_CHAIN_POLICY], &policy);
	chain->drops_by_policy = policy == NF_DROP;
	if (!chain->drops_by_policy || !parts[NFTA_CHAIN_COUNTERS])
		return;
	rtnetlink_nested(parts[NFTA_CHAIN_COUNTERS], counters, ARRAY_SIZE(counters));
	copy64(counters[NFTA_COUNTER_PACKETS], &chain->policy_drops);
}

/* Chains of type nat only see the first packet of a flow, and rules there translate. */
static bool may_drop(const struct rtattr *type)
{
	char name[16] = "filter";

	if (type)
		rtnetlink_copy_string(type, name, sizeof(name));
	return !strcmp(name, "filter") || !strcmp(name, "route");
}

static int add_chain(struct firewall *firewall, const struct firewall_chain *chain, uint64_t hash)
{
	struct {
		struct firewall_chain *items;
		size_t count;
	} chains = {firewall->chains, firewall->chain_count};
	struct firewall_graph *graph = graph_of(firewall);
	int r = graph ? array_add(&chains, *chain) : -ENOMEM;

	if (r < 0)
		return r;
	firewall->chains = chains.items;
	r = firewall_graph_add_base(graph, hash);
	if (r >= 0)
		firewall->chain_count = chains.count;
	return r;
}

static int add_translation(struct firewall *firewall, uint8_t family, const char *table,
	const char *chain, const char *what, uint64_t handle)
{
	struct firewall_translation item = {.handle = handle};
	struct {
		struct firewall_translation *items;
		size_t count;
	} list = {firewall->translations, firewall->translation_count};
	int r;

	snprintf(item.family, sizeof(item.family), "%s", family_name(family));
	snprintf(item.table, sizeof(item.table), "%.*s", (int)sizeof(item.table) - 1, table);
	snprintf(item.chain, sizeof(item.chain), "%.*s", (int)sizeof(item.chain) - 1, chain);
	snprintf(item.what, sizeof(item.what), "%s", what);
	r = array_add(&list, item);
	if (r < 0)
		return r;
	firewall->translations = list.items;
	firewall->translation_count = list.count;
	return 0;
}

static bool is_coming_in(int hook)
{
	return hook == HOOK_INGRESS || hook == HOOK_PREROUTING || hook == HOOK_INPUT;
}

int firewall_take_chain(struct firewall *firewall, const struct nlmsghdr *message)
{
	const struct nfgenmsg *fixed = rtnetlink_fixed(message, sizeof(*fixed));
	const struct rtattr *parts[NFTA_CHAIN_COUNTERS + 1], *hook[NFTA_HOOK_DEVS + 1];
	struct firewall_chain chain = {0};
	char table[NAME_SIZE], name[NAME_SIZE];
	uint32_t number, priority;
	int found;

	if (!fixed || !family_name(fixed->nfgen_family))
		return 0;
	rtnetlink_attributes(message, sizeof(*fixed), parts, ARRAY_SIZE(parts));
	if (!parts[NFTA_CHAIN_TABLE] || !parts[NFTA_CHAIN_NAME] || !parts[NFTA_CHAIN_HOOK])
		return 0;
	rtnetlink_nested(parts[NFTA_CHAIN_HOOK], hook, ARRAY_SIZE(hook));
	if (!copy32(hook[NFTA_HOOK_HOOKNUM], &number) ||
		!copy32(hook[NFTA_HOOK_PRIORITY], &priority))
		return 0;
	found = hook_of(fixed->nfgen_family, number);
	if (found < 0)
		return 0;
	rtnetlink_copy_string(parts[NFTA_CHAIN_TABLE], table, sizeof(table));
	rtnetlink_copy_string(parts[NFTA_CHAIN_NAME], name, sizeof(name));
	if (!may_drop(parts[NFTA_CHAIN_TYPE]))
		return is_coming_in(found)
			       ? add_translation(firewall, fixed->nfgen_family, table, name, "", 0)
			       : 0;
	strcpy(chain.family, family_name(fixed->nfgen_family));
	rtnetlink_copy_string(parts[NFTA_CHAIN_TABLE], chain.table, sizeof(chain.table));
	rtnetlink_copy_string(parts[NFTA_CHAIN_NAME], chain.name, sizeof(chain.name));
	read_devices(hook, &chain);
	chain.hook = (enum firewall_hook)found;
	chain.priority = (int)priority;
	chain.is_iptables = is_of_iptables(fixed->nfgen_family, table, name);
	read_policy(parts, &chain);
	return add_chain(firewall, &chain, hash_chain(fixed->nfgen_family, table, name));
}

static void read_counter(const struct rtattr *data, struct effect *effect)
{
	const struct rtattr *parts[NFTA_COUNTER_PACKETS + 1];

	rtnetlink_nested(data, parts, ARRAY_SIZE(parts));
	effect->is_counted = copy64(parts[NFTA_COUNTER_PACKETS], &effect->packets);
}

static void read_verdict(const struct rtattr *data, struct effect *effect)
{
	const struct rtattr *parts[NFTA_IMMEDIATE_DATA + 1], *value[NFTA_DATA_VERDICT + 1];
	const struct rtattr *verdict[NFTA_VERDICT_CHAIN + 1];
	uint32_t code;

	rtnetlink_nested(data, parts, ARRAY_SIZE(parts));
	if (!parts[NFTA_IMMEDIATE_DATA])
		return;
	rtnetlink_nested(parts[NFTA_IMMEDIATE_DATA], value, ARRAY_SIZE(value));
	if (!value[NFTA_DATA_VERDICT])
		return;
	rtnetlink_nested(value[NFTA_DATA_VERDICT], verdict, ARRAY_SIZE(verdict));
	if (!copy32(verdict[NFTA_VERDICT_CODE], &code))
		return;
	effect->drops |= code == NF_DROP || (code & NF_VERDICT_MASK) == NF_QUEUE;
	effect->jumps = (code == (uint32_t)NFT_JUMP || code == (uint32_t)NFT_GOTO) &&
			verdict[NFTA_VERDICT_CHAIN];
	if (effect->jumps)
		rtnetlink_copy_string(
			verdict[NFTA_VERDICT_CHAIN], effect->jump, sizeof(effect->jump));
}

/* Of the destination: an address of IPv4 or IPv6, or the port. */
static bool sets_destination(const struct rtattr *data)
{
	const struct rtattr *parts[NFTA_PAYLOAD_SREG + 1];
	uint32_t base, offset;

	rtnetlink_nested(data, parts, ARRAY_SIZE(parts));
	if (!parts[NFTA_PAYLOAD_SREG] || !copy32(parts[NFTA_PAYLOAD_BASE], &base) ||
		!copy32(parts[NFTA_PAYLOAD_OFFSET], &offset))
		return false;
	if (base == NFT_PAYLOAD_TRANSPORT_HEADER)
		return offset == 2;
	return base == NFT_PAYLOAD_NETWORK_HEADER && (offset == 16 || offset == 24);
}

static bool is_dnat(const struct rtattr *data)
{
	const struct rtattr *parts[NFTA_NAT_TYPE + 1];
	uint32_t type;

	rtnetlink_nested(data, parts, ARRAY_SIZE(parts));
	return copy32(parts[NFTA_NAT_TYPE], &type) && type == NFT_NAT_DNAT;
}

static void read_translation(const char *name, const struct rtattr *data, struct effect *effect)
{
	if (!strcmp(name, "redir"))
		effect->translates = "redirect";
	else if (!strcmp(name, "tproxy"))
		effect->translates = "tproxy";
	else if (!strcmp(name, "nat") && is_dnat(data))
		effect->translates = "dnat";
	else if (!strcmp(name, "payload") && sets_destination(data))
		effect->translates = "set";
}

/* A target of iptables that nf_tables has no expression for. */
static void read_target(const struct rtattr *data, struct effect *effect)
{
	const struct rtattr *parts[NFTA_TARGET_NAME + 1];
	char name[32];

	rtnetlink_nested(data, parts, ARRAY_SIZE(parts));
	if (!parts[NFTA_TARGET_NAME])
		return;
	rtnetlink_copy_string(parts[NFTA_TARGET_NAME], name, sizeof(name));
	effect->drops |= !strcmp(name, "DROP") || !strcmp(name, "REJECT") ||
			 !strcmp(name, "NFQUEUE");
	if (!strcmp(name, "DNAT"))
		effect->translates = "dnat";
	else if (!strcmp(name, "REDIRECT"))
		effect->translates = "redirect";
}

/* One whose result is a verdict, not a number in a register. */
static bool is_verdict_map(const struct rtattr *data)
{
	const struct rtattr *parts[NFTA_LOOKUP_DREG + 1];
	uint32_t destination;

	rtnetlink_nested(data, parts, ARRAY_SIZE(parts));
	return copy32(parts[NFTA_LOOKUP_DREG], &destination) && destination == NFT_REG_VERDICT;
}

static void read_expression(const struct rtattr *expression, struct effect *effect)
{
	const struct rtattr *parts[NFTA_EXPR_DATA + 1];
	static const struct rtattr none = {.rta_len = sizeof(none)};
	const struct rtattr *data;
	char name[32];

	rtnetlink_nested(expression, parts, ARRAY_SIZE(parts));
	if (!parts[NFTA_EXPR_NAME])
		return;
	data = parts[NFTA_EXPR_DATA] ? parts[NFTA_EXPR_DATA] : &none;
	rtnetlink_copy_string(parts[NFTA_EXPR_NAME], name, sizeof(name));
	if (!strcmp(name, "counter"))
		read_counter(data, effect);
	else if (!strcmp(name, "immediate"))
		read_verdict(data, effect);
	else if (!strcmp(name, "target"))
		read_target(data, effect);
	else if (!strcmp(name, "reject") || !strcmp(name, "queue"))
		effect->drops = true;
	else if (strcmp(name, "log") && !effect->drops)
		effect->is_counted = false; /* this one may not match what was counted */
	read_translation(name, data, effect);
	if (!strcmp(name, "lookup"))
		effect->has_map |= is_verdict_map(data);
}

static struct effect read_effect(const struct rtattr *expressions)
{
	const struct rtattr *at = RTA_DATA(expressions);
	int left = (int)RTA_PAYLOAD(expressions);
	struct effect effect = {0};

	for (; RTA_OK(at, left); at = RTA_NEXT(at, left))
		if ((at->rta_type & NLA_TYPE_MASK) == NFTA_LIST_ELEM)
			read_expression(at, &effect);
	return effect;
}

/* What a verdict map leads to is in its set, which is not read: any chain of the table. */
static int add_effect(struct firewall_graph *graph, uint8_t family, const char *table,
	const char *chain, const struct effect *effect, const struct firewall_rule *rule)
{
	uint64_t hash = hash_chain(family, table, chain), any = hash_chain(family, table, NULL);
	int r = 0;

	if (effect->drops || effect->jumps || effect->has_map)
		r = firewall_graph_add_jump(graph, any, hash);
	if (r >= 0 && (effect->drops || effect->has_map))
		r = firewall_graph_add_drop(graph, hash, effect->drops && effect->is_counted, rule);
	if (r >= 0 && effect->jumps)
		r = firewall_graph_add_jump(graph, hash, hash_chain(family, table, effect->jump));
	if (r >= 0 && effect->has_map)
		r = firewall_graph_add_jump(graph, hash, any);
	return r;
}

int firewall_take_rule(struct firewall *firewall, const struct nlmsghdr *message)
{
	const struct nfgenmsg *fixed = rtnetlink_fixed(message, sizeof(*fixed));
	const struct rtattr *parts[NFTA_RULE_EXPRESSIONS + 1];
	char table[NAME_SIZE], chain[NAME_SIZE];
	struct firewall_rule rule = {0};
	struct effect effect;

	if (!fixed || !family_name(fixed->nfgen_family))
		return 0;
	rtnetlink_attributes(message, sizeof(*fixed), parts, ARRAY_SIZE(parts));
	if (!parts[NFTA_RULE_TABLE] || !parts[NFTA_RULE_CHAIN] || !parts[NFTA_RULE_EXPRESSIONS])
		return 0;
	if (!graph_of(firewall))
		return -ENOMEM;
	rtnetlink_copy_string(parts[NFTA_RULE_TABLE], table, sizeof(table));
	rtnetlink_copy_string(parts[NFTA_RULE_CHAIN], chain, sizeof(chain));
	rtnetlink_copy_string(parts[NFTA_RULE_CHAIN], rule.table_chain, sizeof(rule.table_chain));
	copy64(parts[NFTA_RULE_HANDLE], &rule.handle);
	effect = read_effect(parts[NFTA_RULE_EXPRESSIONS]);
	rule.packets = effect.packets;
	if (effect.translates && add_translation(firewall, fixed->nfgen_family, table, chain,
					 effect.translates, rule.handle) < 0)
		return -ENOMEM;
	return add_effect(firewall->graph, fixed->nfgen_family, table, chain, &effect, &rule);
}

/* Whether a base chain that packets come in by has the rule. */
static bool translates_in(const struct firewall *firewall, const struct firewall_translation *rule)
{
	for (size_t i = 0; i < firewall->chain_count; i++) {
		const struct firewall_chain *chain = &firewall->chains[i];

		if (!strcmp(chain->name, rule->chain) && !strcmp(chain->table, rule->table) &&
			!strcmp(chain->family, rule->family))
			return is_coming_in((int)chain->hook);
	}
	for (size_t i = 0; i < firewall->translation_count; i++) {
		const struct firewall_translation *chain = &firewall->translations[i];

		if (!*chain->what && !chain->handle && !strcmp(chain->chain, rule->chain) &&
			!strcmp(chain->table, rule->table) && !strcmp(chain->family, rule->family))
			return true;
	}
	return false;
}

/* Chains go, and rules stay that are in one of them. */
static void resolve_translations(struct firewall *firewall)
{
	size_t count = 0;

	for (size_t i = 0; i < firewall->translation_count; i++)
		if (*firewall->translations[i].what &&
			!translates_in(firewall, &firewall->translations[i]))
			memset(firewall->translations[i].what, 0,
				sizeof(firewall->translations[i].what));
	for (size_t i = 0; i < firewall->translation_count; i++)
		if (*firewall->translations[i].what)
			firewall->translations[count++] = firewall->translations[i];
	firewall->translation_count = count;
}

int firewall_resolve(struct firewall *firewall)
{
	int r = firewall->graph ? firewall_graph_resolve(firewall->graph, firewall) : 0;

	firewall_graph_free(take(firewall->graph));
	resolve_translations(firewall);
	return r;
}
