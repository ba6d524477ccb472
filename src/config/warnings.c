/* What is permitted, but hardly what was meant. Without memory there are fewer warnings, and no
 * error. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/users.h"
#include "config/report.h"
#include "net/interface.h"
#include "net/listen_address.h"
#include "net/multicast.h"

static void PRINTF_LIKE(3, 4)
	warn(struct config *config, const struct config_group *group, const char *format, ...)
{
	struct subject subject = group_subject(group);
	char why[2 * WHY_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, sizeof(why), format, arguments);
	va_end(arguments);
	config_report(&config->warnings, &subject, 0, NULL, "warning: %s", why);
}

/* ---- Multicast addresses with a meaning of their own ---- */

static bool is_in(const struct address *address, const char *prefix_text)
{
	struct prefix prefix;

	return prefix_parse(prefix_text, &prefix) == 0 && prefix_contains(&prefix, address);
}

/* Protocols of their own beside UDP, and those on UDP, that stay on their link (IANA, Local Network
 * Control Block and link-local scope). */
static const struct protocol {
	const char *address, *name;
} without_udp[] = {{"224.0.0.4", "DVMRP"}, {"224.0.0.5", "OSPF"}, {"224.0.0.6", "OSPF"},
	{"224.0.0.10", "EIGRP"}, {"224.0.0.13", "PIM"}, {"224.0.0.18", "VRRP"},
	{"224.0.0.22", "IGMPv3"}, {"224.0.0.106", "Multicast Router Discovery"},
	{"ff02::5", "OSPF"}, {"ff02::6", "OSPF"}, {"ff02::a", "EIGRP"}, {"ff02::d", "PIM"},
	{"ff02::12", "VRRP"}, {"ff02::16", "MLDv2"}, {"ff02::6a", "Multicast Router Discovery"}};
static const struct protocol on_udp[] = {{"224.0.0.9", "RIP"}, {"224.0.0.12", "DHCP"},
	{"224.0.0.102", "HSRP"}, {"224.0.0.107", "PTP"}, {"224.0.0.251", "mDNS"},
	{"224.0.0.252", "LLMNR"}, {"ff02::9", "RIP"}, {"ff02::c", "SSDP"}, {"ff02::6b", "PTP"},
	{"ff02::fb", "mDNS"}, {"ff02::1:2", "DHCP"}, {"ff02::1:3", "LLMNR"}};

/* The name of the protocol; NULL: it is none of these. */
static const char *find_protocol(
	const struct protocol *protocols, size_t count, const struct address *address)
{
	for (size_t i = 0; i < count; i++)
		if (is_in(address, protocols[i].address))
			return protocols[i].name;
	return NULL;
}

/* Where datagrams to the address end. The addresses that IANA assigns there are often taken for any
 * others; who uses ff12:: knows its scope. */
static void check_scope(
	struct config *config, const struct config_group *group, const char *address)
{
	bool is_v4 = group->address.family == AF_INET;
	unsigned scope = is_v4 ? 0 : group->address.v6.s6_addr[1] & 0xf;
	const char *routed = is_v4 ? "239.0.0.0/8" : "ff15::/16";
	bool is_assigned = is_in(&group->address, is_v4 ? "224.0.0.0/24" : "ff02::/16");
	const char *protocol = is_assigned ? find_protocol(without_udp, ARRAY_SIZE(without_udp),
						     &group->address)
					   : NULL;

	if (protocol)
		warn(config, group,
			"%s is used by %s, which does not use UDP: nothing of it arrives at a "
			"port; tcpdump shows it",
			address, protocol);
	else if (!is_v4 && scope == 0)
		warn(config, group,
			"%s has the reserved scope 0: hosts drop what is sent there; use %s",
			address, routed);
	else if (scope == 1)
		warn(config, group, "%s never leaves a host; use %s for a group of several hosts",
			address, routed);
	else if (is_assigned && find_protocol(on_udp, ARRAY_SIZE(on_udp), &group->address))
		return;
	else if ((is_assigned || scope == 2) && group->ttl > 1)
		warn(config, group,
			"%s never crosses a router, not with ttl = %" PRId64
			" either; use %s for a group that is to be routed",
			address, group->ttl, routed);
	else if (is_assigned)
		warn(config, group,
			"%s never crosses a router; use %s for a group that is to be routed",
			address, routed);
}

/* RFC 4607. */
static bool is_ssm(const struct address *group)
{
	const uint8_t *v6 = group->v6.s6_addr;

	if (group->family == AF_INET)
		return is_in(group, "232.0.0.0/8");
	return v6[0] == 0xff && (v6[1] & 0xf0) == 0x30 && !v6[2] && !v6[3];
}

static void check_ssm(struct config *config, const struct config_group *group, const char *address)
{
	bool is_v4 = group->address.family == AF_INET;

	if (is_ssm(&group->address) && !group->sources.count)
		warn(config, group,
			"%s is for source-specific multicast (SSM): networks deliver nothing "
			"there without a source; name the senders, sources = [\"%s\"];",
			address, is_v4 ? "192.0.2.7" : "2001:db8::7");
}

static void check_replies(struct config *config, const struct config_group *group)
{
	if (group->replies && group->source_port)
		warn(config, group,
			"replies with source_port = %" PRId64 " takes what is sent to that port of "
			"this host from other programs, leave out one of the two",
			group->source_port);
}

/* ---- Unicast and broadcast addresses ---- */

/* multicast_reach() does not ask the kernel about link-local addresses: their interface matters. */
static enum reach find_reach(const struct address *address, const char *string)
{
	CLEANUP(interface_list_clear) struct interface_list interfaces = {0};

	if (!address_needs_scope(address))
		return multicast_reach(address);
	return interface_list_read(&interfaces) < 0 || interface_find(&interfaces, string)
		       ? REACH_UNICAST
		       : REACH_NONE;
}

/* What the address is now; the table of the kernel changes while the daemon runs. Nothing is sent
 * to an address of this host. */
static void check_host_address(
	struct config *config, const struct config_group *group, const char *address)
{
	const struct {
		const char *key;
		bool is_set;
	} sending[] = {{"dscp", group->dscp}, {"send_interface", group->send_interface.count},
		{"source_address", group->source_address.family != AF_UNSPEC},
		{"source_port", group->source_port}, {"replies", group->replies},
		{"inputs", group->inputs.count}};
	bool is_v4 = group->address.family == AF_INET;
	enum reach reach = find_reach(&group->address, address);

	if (reach == REACH_NONE)
		warn(config, group,
			"%s is no %saddress of this host now: the group waits until it is", address,
			is_v4 ? "unicast or broadcast " : "");
	for (size_t i = 0; i < ARRAY_SIZE(sending) && reach == REACH_UNICAST; i++)
		if (sending[i].is_set)
			warn(config, group,
				"%s has no effect: %s is an address of this host, and nothing is "
				"sent to it",
				sending[i].key, address);
}

/* What a group relays that comes to a unicast address, its own or that of a leg: on interfaces that
 * are named. On all of them it is an error (check_handlers.c). */
static void check_relays(struct config *config, const struct config_group *group,
	const struct config_group *receiver, const char *address)
{
	for (size_t i = 0; i < group->handlers.count && !receiver->sources.count; i++) {
		const struct config_handler *handler = config_find_handler(
			config, group->handlers.items[i]);
		struct config_relay relay;

		if (handler->kind->relays && !handler->filter.is.sources.count &&
			handler->kind->relays(handler->settings, &relay) &&
			address_is_multicast(&relay.address))
			warn(config, group,
				"\"%s\" sends to a network what anybody on these interfaces sends "
				"to %s; name the senders, sources = [\"%s\"];",
				handler->name, address,
				receiver->address.family == AF_INET ? "192.0.2.7" : "2001:db8::7");
	}
}

static bool may_receive_on(const struct config_group *group, const char *interface)
{
	const struct string_list *list = &group->interfaces;

	for (size_t i = 0; i < list->count; i++)
		if (interface_is_glob(list->items[i]) || !strcmp(list->items[i], interface))
			return true;
	return !list->count;
}

/* The handler that sends to the group so that the group receives it, or NULL. */
static const struct config_handler *find_looped(
	const struct config *config, const struct config_group *group)
{
	for (size_t i = 0; i < config->handler_count; i++) {
		const struct config_handler *handler = &config->handlers[i];
		struct config_relay relay;

		if (handler->kind->relays && handler->kind->relays(handler->settings, &relay) &&
			relay.loop && relay.port == group->port &&
			address_equal(&relay.address, &group->address) &&
			(!relay.interface || may_receive_on(group, relay.interface)))
			return handler;
	}
	return NULL;
}

static bool reads_senders(const struct config_handler *handler)
{
	return handler->filter.is.sources.count || handler->filter.is.block_sources.count ||
	       config_handler_keeps_source(handler);
}

/* Towards a host nothing tells the daemon's own datagrams, unless the senders are read. */
static void check_looped(struct config *config, const struct config_group *group,
	const struct config_group *receiver)
{
	const struct config_handler *looped = find_looped(config, receiver);

	for (size_t i = 0; looped && i < group->handlers.count; i++) {
		const struct config_handler *handler = config_find_handler(
			config, group->handlers.items[i]);
		struct config_relay relay;

		if (handler->kind->relays && handler->kind->relays(handler->settings, &relay) &&
			!address_is_multicast(&relay.address) && !reads_senders(handler))
			warn(config, group,
				"\"%s\" passes on to a host what \"%s\" sends to %s with "
				"loop = true; name the senders in the filter of \"%s\", sources = "
				"[\"%s\"];",
				handler->name, looped->name,
				group == receiver ? "this group" : receiver->name, handler->name,
				receiver->address.family == AF_INET ? "192.0.2.0/24"
								    : "2001:db8::/32");
	}
}

/* Whether both name their interfaces, and none that is the other's. */
static bool are_apart(const struct string_list *a, const struct string_list *b)
{
	for (size_t i = 0; i < a->count; i++)
		for (size_t j = 0; j < b->count; j++)
			if (!strcmp(a->items[i], b->items[j]) || strpbrk(a->items[i], "*?[!") ||
				strpbrk(b->items[j], "*?[!"))
				return false;
	return a->count && b->count;
}

/* By port and family, 0.0.0.0 and :: before other addresses. */
static int compare_unicast(const void *a, const void *b)
{
	const struct config_group *left = *(const struct config_group *const *)a;
	const struct config_group *right = *(const struct config_group *const *)b;
	int order = (left->port > right->port) - (left->port < right->port);

	order = order ? order : address_compare(&left->address, &right->address);
	return order ? order : (left > right) - (left < right);
}

/* Whether one socket is in the way of the other: what is sent to an address of this host is
 * received by one only, so that nobody takes the unicast of another program. */
static bool are_in_the_way(const struct config_group *first, const struct config_group *again)
{
	bool is_same = address_equal(&first->address, &again->address);

	/* Without interfaces a socket is bound to none, and in the way on each. */
	return first->port == again->port && first->address.family == again->address.family &&
	       (is_same || address_is_any(&first->address)) &&
	       !are_apart(&first->interfaces, &again->interfaces);
}

/* The first that is in the way of groups[i]; NULL: none is. Those of all addresses are at the
 * front of those of a port, and those of this address right before it. */
static const struct config_group *find_in_the_way(
	const struct config_group *const *groups, size_t port_begin, size_t i)
{
	for (size_t j = port_begin; j < i && address_is_any(&groups[j]->address); j++)
		if (are_in_the_way(groups[j], groups[i]))
			return groups[j];
	for (size_t j = i;
		j-- > port_begin && address_equal(&groups[j]->address, &groups[i]->address);)
		if (are_in_the_way(groups[j], groups[i]))
			return groups[j];
	return NULL;
}

static void find_shared_ports(struct config *config)
{
	AUTO_FREE const struct config_group **groups = calloc(
		config->group_count + 1, sizeof(struct config_group *));
	size_t count = 0, port_begin = 0;

	for (size_t i = 0; groups && i < config->group_count; i++)
		if (!config_group_is_made_here(&config->groups[i]) &&
			!address_is_multicast(&config->groups[i].address) &&
			!address_is_everyone(&config->groups[i].address))
			groups[count++] = &config->groups[i];
	if (count)
		qsort(groups, count, sizeof(*groups), compare_unicast);
	for (size_t i = 0; i < count; i++) {
		const struct config_group *group = groups[i], *first;

		if (group->port != groups[port_begin]->port ||
			group->address.family != groups[port_begin]->address.family)
			port_begin = i;
		first = find_in_the_way(groups, port_begin, i);
		if (first && multicast_reach(&group->address) != REACH_BROADCAST)
			warn(config, group,
				"group %s receives what is sent to port %" PRId64
				" of this address, and only one of them can be joined; leave one "
				"out, or name other interfaces",
				first->name, group->port);
	}
}

/* ---- What is relayed, and with whose source ---- */

/* Searches whose answers go to the address and the port that they were sent from (UPnP Device
 * Architecture, section 1.3.3; WS-Discovery, section 3.2.2; RFC 4795, section 2.3; RFC 7252,
 * section 8.2). */
static const struct search {
	int64_t port;
	const char *address; /* NULL: any */
	const char *name;
} searches[] = {{1900, NULL, "SSDP"}, {3702, NULL, "WS-Discovery"}, {5355, "224.0.0.252", "LLMNR"},
	{5355, "ff02::1:3", "LLMNR"}, {5683, "224.0.1.187", "CoAP"}, {5683, "ff02::fd", "CoAP"},
	{5683, "ff05::fd", "CoAP"}};

/* The name of the protocol; NULL: it is none of these. */
static const char *find_search(const struct config_group *group)
{
	for (size_t i = 0; i < ARRAY_SIZE(searches); i++)
		if (group->port == searches[i].port &&
			(!searches[i].address || is_in(&group->address, searches[i].address)))
			return searches[i].name;
	return NULL;
}

/* What is sent to a group of one link comes from a link-local address (RFC 6724, section 5, rule
 * 2).
 */
static void check_searches(struct config *config, const struct config_group *group,
	const struct config_handler *handler, const char *address)
{
	const char *protocol = find_search(group);
	char fix[160] = "set keep_source = true in it";

	if (address_needs_scope(&group->address))
		snprintf(fix, sizeof(fix),
			"keep_source does not help, as who searches at %s has a link-local "
			"address: relay the searches of IPv4",
			address);
	if (protocol)
		warn(config, group,
			"\"%s\" sends %s searches from an address of this host, and the answers do "
			"not come back to who searches; %s",
			handler->name, protocol, fix);
}

/* Answers that were not sent from port 5353 are ignored, and questions of other networks (RFC 6762,
 * sections 6 and 11). */
#define MDNS_PORT 5353

static bool is_mdns(const struct config_group *group)
{
	return group->port == MDNS_PORT &&
	       (is_in(&group->address, "224.0.0.251") || is_in(&group->address, "ff02::fb"));
}

/* Of a relay, receivers are those of the group itself: they name its senders. */
static void check_own_source(struct config *config, const struct config_group *group,
	const struct config_handler *handler, const char *address)
{
	if (is_ssm(&group->address) && handler->kind->block.count)
		warn(config, group,
			"\"%s\" sends what is relayed of %s from an address of this host, and "
			"receivers of SSM get only what comes from the sender that they name; set "
			"keep_source = true in it, or have them name this host",
			handler->name, address);
	if (is_mdns(group) && handler->kind->source_port(handler->settings) != MDNS_PORT)
		warn(config, group,
			"\"%s\" sends what is relayed of %s from a port of its own, "
			"and mDNS ignores answers that are not from port %d; set "
			"source_port = %d in it",
			handler->name, address, MDNS_PORT, MDNS_PORT);
	check_searches(config, group, handler, address);
}

/* Whether it sends to a host, as to one that collects or records. */
static bool is_to_host(const struct config_handler *handler)
{
	struct config_relay relay;

	return handler->kind->relays && handler->kind->relays(handler->settings, &relay) &&
	       !address_is_multicast(&relay.address);
}

static void check_kept_source(struct config *config, const struct config_group *group,
	const struct config_handler *handler, const char *address)
{
	if (is_mdns(group) && !is_to_host(handler))
		warn(config, group,
			"\"%s\" keeps the sources of %s, and mDNS ignores questions that come "
			"from another network; set source_port = %d in it instead of keep_source",
			handler->name, address, MDNS_PORT);
	else if (address_needs_scope(&group->address))
		warn(config, group,
			"\"%s\" cannot keep the sources of %s: they are link-local addresses, "
			"which mean nothing in another network and are dropped as loop; relay a "
			"group of IPv4 or of a larger scope, or set keep_source = false in it",
			handler->name, address);
}

static void check_sources(
	struct config *config, const struct config_group *group, const char *address)
{
	for (size_t i = 0; i < group->handlers.count; i++) {
		const struct config_handler *handler = config_find_handler(
			config, group->handlers.items[i]);

		if (!handler->kind->keeps_source)
			continue;
		if (config_handler_keeps_source(handler))
			check_kept_source(config, group, handler, address);
		else
			check_own_source(config, group, handler, address);
	}
}

/* ---- Filters ---- */

/* For other groups the handler may be right. */
static void check_filters(struct config *config, const struct config_group *group)
{
	for (size_t i = 0; i < group->handlers.count; i++) {
		const struct config_handler *handler = config_find_handler(
			config, group->handlers.items[i]);

		if (config_filter_misses(config, group, handler))
			warn(config, group,
				"\"%s\" gets nothing of this group: no sender that its "
				"filter.sources names is of the group's family; leave it out, or "
				"name others",
				handler->name);
	}
}

/* ---- Addresses with one MAC address ---- */

struct mapped {
	const struct config_group *group;
	uint8_t mac[6];
};

/* RFC 1112, section 6.4, and RFC 2464, section 7. */
static void set_mac(struct mapped *mapped)
{
	const struct address *address = &mapped->group->address;
	bool is_v4 = address->family == AF_INET;

	memcpy(mapped->mac, is_v4 ? "\x01\x00\x5e" : "\x33\x33", 3);
	if (is_v4)
		memcpy(mapped->mac + 3, (const uint8_t *)&address->v4 + 1, 3);
	else
		memcpy(mapped->mac + 2, &address->v6.s6_addr[12], 4);
	if (is_v4)
		mapped->mac[3] &= 0x7f;
}

/* Groups lie in one array, in the order of the files. */
static int compare_mapped(const void *a, const void *b)
{
	const struct mapped *left = a, *right = b;
	int order = memcmp(left->mac, right->mac, sizeof(left->mac));

	if (!order)
		order = address_compare(&left->group->address, &right->group->address);
	return order ? order : (left->group > right->group) - (left->group < right->group);
}

static void report_shared_mac(
	struct config *config, const struct mapped *other, const struct mapped *mapped)
{
	char address[INET6_ADDRSTRLEN], shares[INET6_ADDRSTRLEN];
	const uint8_t *mac = mapped->mac;

	warn(config, mapped->group,
		"%s and %s of group %s share the MAC address "
		"%02x:%02x:%02x:%02x:%02x:%02x: network cards and switches cannot tell them apart, "
		"use an address with other low %d bits",
		address_format(&mapped->group->address, address),
		address_format(&other->group->address, shares), other->group->name, mac[0], mac[1],
		mac[2], mac[3], mac[4], mac[5], mapped->group->address.family == AF_INET ? 23 : 32);
}

/* One warning for each address that is not the first of its MAC address. Takes n log n. */
static void find_shared_macs(struct config *config)
{
	AUTO_FREE struct mapped *mapped = calloc(config->group_count + 1, sizeof(*mapped));
	const struct mapped *other = NULL; /* the last one of the address before */
	const struct address *reported = NULL;
	size_t count = 0;

	for (size_t i = 0; mapped && i < config->group_count; i++)
		if (address_is_multicast(&config->groups[i].address)) {
			mapped[count].group = &config->groups[i];
			set_mac(&mapped[count++]);
		}
	if (count)
		qsort(mapped, count, sizeof(*mapped), compare_mapped);
	for (size_t i = 1; i < count; i++) {
		const struct address *address = &mapped[i].group->address;

		if (!address_equal(&mapped[i - 1].group->address, address))
			other = &mapped[i - 1];
		if (!other || memcmp(other->mac, mapped[i].mac, sizeof(other->mac)) ||
			(reported && address_equal(reported, address)) ||
			are_apart(&other->group->interfaces, &mapped[i].group->interfaces))
			continue;
		report_shared_mac(config, other, &mapped[i]);
		reported = address;
	}
}

/* ---- Permissions ---- */

/* Who is named lets all others that the kernel shows with the same number. */
static void check_principal(struct config *config, const struct config_group *group,
	const char *key, const struct principal *named)
{
	char name[ACCOUNT_NAME_MAX];

	if (named->kind == PRINCIPAL_USER && is_uid_of_many(named->id))
		name_user(named->id, name);
	else if (named->kind == PRINCIPAL_GROUP && is_gid_of_many(named->id))
		name_group(named->id, name);
	else
		return;
	warn(config, group,
		"%s lets every %s of the host that this user namespace does not map, as each of "
		"them is %s here; map the one that is meant, and name it",
		key, named->kind == PRINCIPAL_USER ? "user" : "group", name);
}

static void check_permissions(struct config *config, const struct config_group *group)
{
	for (size_t i = 0; i < group->allow_send.count; i++)
		check_principal(config, group, "allow_send", &group->allow_send.items[i]);
	for (size_t i = 0; i < group->allow_receive.count; i++)
		check_principal(config, group, "allow_receive", &group->allow_receive.items[i]);
	check_principal(config, group, "socket_group", &group->socket_group);
}

/* Of the socket file, which then has no say: one rule holds through every door. */
static void check_file_permissions(struct config *config, const struct config_group *group)
{
	if (config_asks_socket(&group->allow_receive) || config_asks_socket(&group->allow_send))
		return;
	if (group->socket_mode != GROUP_SOCKET_MODE || group->socket_group.kind != PRINCIPAL_NONE)
		warn(config, group,
			"socket_mode and socket_group have no effect, as no list of who may has "
			"\"socket\"; remove them, or add it to allow_receive");
}

/* ---- The HTTP server ---- */

static void PRINTF_LIKE(2, 3) warn_http(struct config *config, const char *format, ...)
{
	const struct subject subject = {config->http.place, "http", NULL};
	char why[2 * WHY_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, sizeof(why), format, arguments);
	va_end(arguments);
	config_report(&config->warnings, &subject, 0, "listen", "warning: %s", why);
}

/* It neither encrypts nor asks who reads. The daemon may listen on an address that is yet to come.
 */
static void check_http(struct config *config)
{
	const struct string_list *list = &config->http.listen;

	for (size_t i = 0; i < list->count; i++) {
		struct listen_address address;
		union endpoint endpoint;
		char why[WHY_MAX];

		if (listen_address_parse(list->items[i], &address, why) < 0 || address.path ||
			listen_address_is_loopback(&address))
			continue;
		warn_http(config,
			"\"%s\" can be reached from other hosts, without a password and "
			"unencrypted; use 127.0.0.1, or a proxy in front of it",
			list->items[i]);
		address_to_endpoint(&address.address, 0, 0, &endpoint);
		if (!address_is_any(&address.address) && !endpoint_is_local(&endpoint))
			warn_http(config,
				"\"%s\" is no address of this host now: nobody can connect until "
				"it is",
				list->items[i]);
	}
}

static void check_stream(struct config *config, const struct config_group *group)
{
	size_t length = strlen(config->run_directory) + strlen("/groups/" STREAM_SUFFIX) +
			strlen(group->name);

	if (group->socket && length > SOCKET_PATH_MAX)
		warn(config, group,
			"it has no socket %s" STREAM_SUFFIX ": that path would have %zu bytes, and "
			"may have %d: shorten the name or run_directory",
			group->name, length, SOCKET_PATH_MAX);
}

/* What other programs and files call all interfaces, and hardly anybody one. */
static void check_interfaces(struct config *config, const struct config_group *group)
{
	static const char *const all[] = {"any", "all", "default"};

	for (size_t i = 0; i < group->interfaces.count; i++)
		for (size_t j = 0; j < ARRAY_SIZE(all); j++)
			if (!strcmp(group->interfaces.items[i], all[j]))
				warn(config, group,
					"\"%s\" is taken for the name of an interface; \"*\" means "
					"all that can do multicast",
					all[j]);
}

/* What is to be said of the handlers of a merged group for what they get from its legs. */
static void check_legs(struct config *config, const struct config_group *group)
{
	char address[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < group->merge.count; i++) {
		const struct config_group *leg = config_find_group(config, group->merge.items[i]);

		if (!leg)
			continue;
		check_looped(config, group, leg);
		if (address_is_multicast(&leg->address) || address_is_everyone(&leg->address))
			continue;
		check_relays(config, group, leg, address_format(&leg->address, address));
	}
}

/* What is to be said of a group alone. */
static void check_group(struct config *config, const struct config_group *group)
{
	char address[INET6_ADDRSTRLEN];

	check_permissions(config, group);
	check_file_permissions(config, group);
	check_stream(config, group);
	check_filters(config, group);
	check_interfaces(config, group);
	check_legs(config, group);
	if (config_group_is_made_here(group))
		return;
	address_format(&group->address, address);
	check_sources(config, group, address);
	check_looped(config, group, group);
	if (address_is_multicast(&group->address)) {
		check_scope(config, group, address);
		check_ssm(config, group, address);
	} else if (!address_is_everyone(&group->address)) {
		check_host_address(config, group, address);
		check_relays(config, group, group, address);
		return;
	}
	check_replies(config, group);
}

void config_find_group_warnings(
	const struct config *config, const struct config_group *group, struct errors *warnings)
{
	struct config beside = *config;

	beside.warnings = *warnings;
	check_group(&beside, group);
	*warnings = beside.warnings;
}

void config_find_warnings(struct config *config)
{
	for (size_t i = 0; i < config->group_count; i++)
		check_group(config, &config->groups[i]);
	check_permissions(config, &config->events);
	check_file_permissions(config, &config->events);
	check_stream(config, &config->events);
	check_http(config);
	find_shared_ports(config);
	find_shared_macs(config);
}
