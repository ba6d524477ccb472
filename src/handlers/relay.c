/* relay: the block of this name in a group. What arrives on one of the group's interfaces leaves on
 * all others, or on those of "to", and never on the one that it came from.
 *
 * Each outgoing interface has a socket (handlers/forward.h) and an account of its own; a datagram
 * is judged once for all of them (handlers/relayable.h). Interfaces are chosen as groups choose
 * those of their memberships, and again whenever the links change: one that is named and cannot be
 * sent on drops what should leave there, a glob stands for those that can. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "base/text.h"
#include "data/filter.h"
#include "handlers/forward.h"
#include "handlers/handler.h"
#include "handlers/ledger.h"
#include "handlers/relayable.h"
#include "net/interface.h"

struct relay_settings {
	struct string_list to;
	int64_t ttl; /* 0: absent */
	bool keep_source;
	bool loop;
	struct address source_address;
	int64_t source_port;
	int64_t dscp;
	/* The group's. */
	struct address address;
	int64_t port;
	struct string_list interfaces;
};

#define RELAY(member, type) KEY(struct relay_settings, member, type)

static const struct key relay_keys[] = {
	{RELAY(to, KEY_STRINGS), .min = 1, .example = "[\"eth0\"]",
		.help = "The interfaces to send on: names, alternative names, addresses, globs; "
			"with ! in front, those to leave out. Without it: the group's interfaces."},
	{RELAY(ttl, KEY_NUMBER), .min = 1, .max = 255,
		.help = "The TTL or hop limit to send with, exactly. Without it: one less than "
			"received, and at least 1."},
	{RELAY(keep_source, KEY_BOOL), .fallback = "false",
		.help = "Whether receivers see the address and port of the sender. Needs "
			"CAP_NET_RAW."},
	{RELAY(loop, KEY_BOOL), .fallback = "false",
		.help = "Whether receivers on this host get what is relayed; without it they get "
			"what arrives on their own interfaces."},
	{RELAY(source_address, KEY_ADDRESS), .example = "\"192.0.2.1\"",
		.help = "The address of this host to send from. Default: that of the outgoing "
			"interface."},
	{RELAY(source_port, KEY_NUMBER), .min = 1, .max = 65535,
		.help = "The port to send from, also one that other programs share. Default: one "
			"that the kernel chooses."},
	{RELAY(dscp, KEY_NUMBER), .min = 0, .max = 63, .fallback = "0",
		.help = "The DSCP in the IP header, like 46 (EF)."},
	/* Of the group. */
	{RELAY(address, KEY_ADDRESS)},
	{RELAY(port, KEY_NUMBER)},
	{RELAY(interfaces, KEY_STRINGS)},
};

#define GROUP_KEYS 3

static const struct schema relay_schema = {
	relay_keys, ARRAY_SIZE(relay_keys), sizeof(struct relay_settings)};

/* An outgoing interface. */
struct egress {
	struct forward *forward;
	struct ledger_interface *account;
	unsigned ifindex; /* 0: it is absent */
	bool wanted;
	bool is_named; /* not only matched by a glob */
	bool is_only_source; /* datagrams come from nowhere else */
};

struct relay {
	struct handler_context context;
	struct relay_settings settings; /* a copy */
	struct relayable *relayable;
	struct {
		struct egress *items;
		size_t count;
	} egresses;
	const char *error; /* as logged; NULL: none */
	struct told told;
};

static struct forward_options options_of(
	const struct relay_settings *settings, const char *interface)
{
	return (struct forward_options){.way = {.to = settings->address,
						.port = (uint16_t)settings->port,
						.interface = interface,
						.source = settings->source_address,
						.source_port = (uint16_t)settings->source_port,
						.dscp = (int)settings->dscp},
		.ttl = settings->ttl ? (int)settings->ttl : FORWARD_TTL_MIN_1,
		.loop = settings->loop,
		.keep_source = settings->keep_source};
}

static unsigned relay_needs(const void *settings)
{
	struct forward_options options = options_of(settings, NULL);

	return NEED_SOURCE | NEED_OWN | forward_needs(&options);
}

/* ---- The outgoing interfaces ---- */

static void egress_close(struct relay *relay, struct egress *egress)
{
	forward_free(egress->forward);
	ledger_interface_unref(relay->context.ledger, egress->account);
}

struct choice {
	struct relay *relay;
	const struct interface_list *interfaces;
	const struct interface_patterns *patterns;
};

/* An address that names the interface may come to it or leave it, where a glob matches it as well.
 */
static int follow_given_name(
	struct relay *relay, struct egress *egress, const struct forward_options *options)
{
	struct forward *forward;
	int r;

	egress->wanted = true;
	if (forward_is_by(egress->forward, options->way.interface))
		return 0;
	r = forward_new(options, &relay->context, &forward);
	if (r < 0)
		return r;
	forward_free(egress->forward);
	egress->forward = forward;
	return 0;
}

/* Marks the interface as wanted, and opens it when it is new. A glob that stands for none is no
 * interface. */
static int want(void *argument, const char *name)
{
	const struct choice *choice = argument;
	struct relay *relay = choice->relay;
	struct forward_options options = options_of(
		&relay->settings, interface_given_name(choice->interfaces, choice->patterns,
					  relay->settings.address.family, name));
	struct egress egress = {.wanted = true};

	options.told = &relay->told;
	if (interface_is_glob(name))
		return 0;
	for (size_t i = 0; i < relay->egresses.count; i++)
		if (!strcmp(relay->egresses.items[i].account->name, name))
			return follow_given_name(relay, &relay->egresses.items[i], &options);
	egress.account = ledger_interface(relay->context.ledger, name);
	if (egress.account && forward_new(&options, &relay->context, &egress.forward) >= 0 &&
		array_add(&relay->egresses, egress) >= 0)
		return 0;
	egress_close(relay, &egress);
	return -ENOMEM;
}

static struct interface_patterns patterns_of(const struct string_list *list)
{
	return (struct interface_patterns){list->items, list->count, .any_link = false};
}

/* Whether copies are for it: where a glob matches what cannot be sent on, they are not. */
static bool is_used(const struct egress *egress)
{
	return egress->is_named || forward_has_link(egress->forward);
}

struct incoming {
	const struct interface_list *interfaces;
	const char *only; /* the only interface that datagrams come from, or "" where there are
			     more; NULL: there is none yet */
};

static int note_incoming(void *argument, const char *name)
{
	struct incoming *incoming = argument;
	const struct interface *interface = interface_find(incoming->interfaces, name);

	if (interface ? !(interface->flags & IFF_UP) : interface_is_glob(name))
		return 0;
	if (incoming->only && strcmp(incoming->only, name))
		incoming->only = "";
	else
		incoming->only = name;
	return 0;
}

/* Why there is nowhere to send; NULL: there is. Marks an interface to which nothing is ever sent,
 * as all comes from there. */
static const char *find_error(struct relay *relay, const struct interface_list *interfaces)
{
	struct interface_patterns from = patterns_of(&relay->settings.interfaces);
	struct incoming incoming = {.interfaces = interfaces};
	unsigned used = 0, left = 0;

	interface_select(interfaces, &from, note_incoming, &incoming);
	for (size_t i = 0; i < relay->egresses.count; i++) {
		struct egress *egress = &relay->egresses.items[i];

		egress->is_only_source = incoming.only &&
					 !strcmp(incoming.only, egress->account->name);
		used += is_used(egress);
		left += is_used(egress) && !egress->is_only_source;
	}
	if (!relay->egresses.count)
		return "nowhere to send: no interface matches yet";
	if (!used)
		return "nowhere to send: no interface that matches can be sent on now";
	if (left)
		return NULL;
	return "nowhere to send: there is no other interface than the one that datagrams come "
	       "from";
}

static void set_error(struct relay *relay, const char *error)
{
	if (error && error != relay->error)
		log_notice("handler %s: %s", relay->context.name, error);
	else if (!error && relay->error)
		log_info("handler %s: relays now", relay->context.name);
	relay->error = error;
}

/* Makes the outgoing interfaces those that the configuration means now. Returns 0 or -ENOMEM. */
static int choose_egresses(struct relay *relay, const struct interface_list *interfaces)
{
	const struct relay_settings *settings = &relay->settings;
	struct interface_patterns patterns = patterns_of(
		settings->to.count ? &settings->to : &settings->interfaces);
	int r;

	for (size_t i = 0; i < relay->egresses.count; i++)
		relay->egresses.items[i].wanted = false;
	r = interface_select(
		interfaces, &patterns, want, &(struct choice){relay, interfaces, &patterns});
	for (size_t i = relay->egresses.count; i-- > 0;) {
		struct egress *egress = &relay->egresses.items[i];
		const struct interface *interface = interface_find(
			interfaces, egress->account->name);

		egress->ifindex = interface ? interface->index : 0;
		egress->is_named = interface_is_named(interfaces, &patterns, egress->account->name);
		if (egress->wanted || r < 0)
			continue;
		egress_close(relay, egress);
		*egress = relay->egresses.items[--relay->egresses.count];
	}
	return r < 0 ? r : 0;
}

static void relay_links_changed(void *object, const struct interface_list *interfaces)
{
	struct relay *relay = object;

	relayable_links_changed(relay->relayable);
	if (choose_egresses(relay, interfaces) < 0)
		log_error("handler %s: choosing interfaces: out of memory", relay->context.name);
	for (size_t i = 0; i < relay->egresses.count; i++)
		forward_links_changed(relay->egresses.items[i].forward, interfaces);
	set_error(relay, find_error(relay, interfaces));
}

/* Where it can send to no interface at all, that of the first. */
static const char *relay_error(const void *object)
{
	const struct relay *relay = object;
	const char *first = NULL;

	for (size_t i = 0; i < relay->egresses.count && !relay->error; i++) {
		const struct egress *egress = &relay->egresses.items[i];
		const char *error = forward_error(egress->forward);

		if (!is_used(egress) || egress->is_only_source)
			continue;
		if (!error)
			return NULL;
		first = first ? first : error;
	}
	return relay->error ? relay->error : first;
}

static const char *relay_interface_error(const void *object, const char *name)
{
	const struct relay *relay = object;

	for (size_t i = 0; i < relay->egresses.count; i++)
		if (!strcmp(relay->egresses.items[i].account->name, name))
			return forward_error(relay->egresses.items[i].forward);
	return NULL;
}

/* ---- Life ---- */

static void relay_close(void *object)
{
	struct relay *relay = object;

	if (!relay)
		return;
	for (size_t i = 0; i < relay->egresses.count; i++)
		egress_close(relay, &relay->egresses.items[i]);
	free(relay->egresses.items);
	relayable_free(relay->relayable);
	schema_clear(&relay_schema, &relay->settings);
	free(relay);
}

static int relay_open(const void *settings, const struct handler_context *context,
	char why[static WHY_MAX], void **ret)
{
	const struct relay_settings *wanted = settings;
	CLEANUP(interface_list_clear) struct interface_list interfaces = {0};
	struct relay *relay = calloc(1, sizeof(*relay));
	int r = relay ? schema_copy(&relay_schema, &relay->settings, settings) : -ENOMEM;

	if (r >= 0) {
		relay->context = *context;
		r = relayable_new(context, false, wanted->keep_source, &relay->relayable);
	}
	if (r >= 0 && (r = interface_list_read(&interfaces)) < 0)
		because(why, r, "listing the network interfaces: %s", strerror(-r));
	r = r < 0 ? r : choose_egresses(relay, &interfaces);
	if (r < 0) {
		relay_close(relay);
		return r;
	}
	set_error(relay, find_error(relay, &interfaces));
	*ret = relay;
	return r;
}

/* ---- Datagrams ---- */

/* Whether a copy of what has this origin is for it, and not where it came from. The index tells
 * also where a name was changed, the name where the interface is absent now. */
static bool is_for(const struct egress *egress, const struct origin *origin)
{
	return egress->ifindex != origin->ifindex &&
	       strcmp(egress->account->name, origin->interface) != 0 && is_used(egress);
}

static unsigned relay_copies(
	void *object, const struct origin *origin, const struct filtered *filtered)
{
	const struct relay *relay = object;
	unsigned copies = 0;

	for (size_t i = 0; i < relay->egresses.count; i++) {
		const struct egress *egress = &relay->egresses.items[i];

		if (!is_for(egress, origin))
			continue;
		ledger_interface_filtered(egress->account, filtered);
		copies++;
	}
	return copies;
}

static void relay_deliver(void *object, const struct batch *batch, struct outcome *outcome)
{
	struct relay *relay = object;
	struct datagram room[BATCH_MAX];
	const struct datagram *chosen = NULL;
	struct outcome refused = {0};
	bool is_judged = false;
	unsigned count = 0;

	for (size_t i = 0; i < relay->egresses.count; i++) {
		const struct egress *egress = &relay->egresses.items[i];
		struct outcome copies;

		if (!is_for(egress, batch->origin))
			continue;
		/* Not before there is one: the guard takes what may be relayed for relayed. */
		if (!is_judged)
			chosen = relayable_choose(relay->relayable, batch, room, &count, &refused);
		is_judged = true;
		copies = refused;
		if (count)
			forward_send(egress->forward, chosen, count, &copies);
		ledger_interface_received(egress->account, batch->count, &copies);
		outcome_add(outcome, &copies);
	}
}

/* ---- The configuration ---- */

/* Whether a list names anything, and not only what to leave out. */
static bool names_any(const struct string_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (*list->items[i] != '!')
			return true;
	return false;
}

static int check_to(
	const struct relay_settings *settings, const char **ret_key, char why[static WHY_MAX])
{
	const struct string_list *to = settings->to.count ? &settings->to : &settings->interfaces;
	const struct string_list *from = &settings->interfaces;

	for (size_t i = 0; i < settings->to.count; i++)
		if (config_check_interface(settings->to.items[i], true, why) < 0)
			return -EINVAL;
	if (!names_any(to))
		return because(why, -EINVAL, "only leaves interfaces out, name those to send on");
	if (to->count != 1 || from->count != 1 || interface_is_glob(to->items[0]) ||
		strcmp(to->items[0], from->items[0]) != 0)
		return 0;
	if (!settings->to.count)
		*ret_key = NULL;
	return because(why, -EINVAL,
		"has no other interface than %s, which the datagrams come from: name others%s",
		to->items[0], settings->to.count ? "" : " in interfaces or in to");
}

static int check_source(const struct relay_settings *settings, char why[static WHY_MAX])
{
	const struct address *source = &settings->source_address;

	if (source->family && source->family != settings->address.family)
		return because(why, -EINVAL, "is not of the group's family, use an IPv%d address",
			settings->address.family == AF_INET ? 4 : 6);
	if (source->family && address_is_multicast(source))
		return because(why, -EINVAL, "is a group, use an address of this host");
	if (source->family && (address_is_any(source) || address_is_everyone(source)))
		return because(why, -EINVAL, "cannot be sent from, use an address of this host");
	if (source->family && settings->keep_source)
		return because(
			why, -EINVAL, "has no effect with keep_source = true, remove one of them");
	return 0;
}

static int relay_check(const void *object, const char **ret_key, char why[static WHY_MAX])
{
	const struct relay_settings *settings = object;
	char text[INET6_ADDRSTRLEN];

	*ret_key = NULL;
	if (settings->address.family == AF_UNSPEC)
		return because(why, -EINVAL, "cannot relay a group that has no address");
	if (!address_is_multicast(&settings->address) && !address_is_everyone(&settings->address))
		return because(why, -EINVAL,
			"cannot relay %s, which is no multicast address: use a handler of type "
			"udp, which sends to one",
			address_format(&settings->address, text));
	if (!names_any(&settings->interfaces))
		return because(why, -EINVAL,
			"a relay on default interfaces would relay into VPN, WAN and docker0: name "
			"them, interfaces = [\"eth0\", \"eth1\"];");
	*ret_key = "to";
	if (check_to(settings, ret_key, why) < 0)
		return -EINVAL;
	*ret_key = "source_address";
	if (check_source(settings, why) < 0)
		return -EINVAL;
	*ret_key = "source_port";
	if (settings->source_port && settings->keep_source)
		return because(
			why, -EINVAL, "has no effect with keep_source = true, remove one of them");
	return 0;
}

/* It never sends on the interface that a datagram came from: what it sends feeds no group of this
 * host by itself. */
static bool relay_relays(const void *settings, struct config_relay *ret)
{
	(void)settings, (void)ret;
	return false;
}

static bool relay_keeps_source(const void *settings)
{
	return ((const struct relay_settings *)settings)->keep_source;
}

static int64_t relay_source_port(const void *settings)
{
	return ((const struct relay_settings *)settings)->source_port;
}

const struct handler_kind relay_kind = {
	.config = {.name = "relay",
		.schema = {relay_keys, ARRAY_SIZE(relay_keys), sizeof(struct relay_settings)},
		.block = {relay_keys, ARRAY_SIZE(relay_keys) - GROUP_KEYS,
			sizeof(struct relay_settings)},
		.check = relay_check,
		.relays = relay_relays,
		.keeps_source = relay_keeps_source,
		.source_port = relay_source_port},
	.counters = forward_counters,
	.needs = relay_needs,
	.open = relay_open,
	.deliver = relay_deliver,
	.close = relay_close,
	.copies = relay_copies,
	.error = relay_error,
	.interface_error = relay_interface_error,
	.links_changed = relay_links_changed,
};
