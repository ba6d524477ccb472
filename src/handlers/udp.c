/* udp: relays datagrams to a host, a group or a broadcast address, by one way (handlers/forward.h).
 *
 * Relays can form rings, which the sources of datagrams tell (handlers/relayable.h). What comes
 * from a multicast group and goes to a host is relayed without them, since reading them would cost
 * a tenth: of such a ring a later relay, which receives from a host, ends it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "handlers/forward.h"
#include "handlers/relayable.h"

struct udp_settings {
	struct address address;
	int64_t port;
	char *interface;
	int64_t ttl; /* 0: not set */
	bool loop;
	bool keep_source;
	struct address source_address;
	int64_t source_port;
	int64_t dscp;
};

struct udp_handler {
	struct forward *forward;
	struct relayable *relayable;
	struct told told;
};

static const struct key udp_keys[] = {
	{.name = "address",
		.type = KEY_ADDRESS,
		.offset = offsetof(struct udp_settings, address),
		.required = true,
		.help = "Where to send: a host, a group or a broadcast address."},
	{.name = "port",
		.type = KEY_NUMBER,
		.offset = offsetof(struct udp_settings, port),
		.min = 1,
		.max = 65535,
		.required = true,
		.help = "The port to send to."},
	{.name = "interface",
		.type = KEY_STRING,
		.example = "\"eth0\"",
		.offset = offsetof(struct udp_settings, interface),
		.help = "The interface to send out of, by name, alternative name or address. "
			"Default: the kernel's route."},
	{.name = "ttl",
		.type = KEY_NUMBER,
		.offset = offsetof(struct udp_settings, ttl),
		.min = 1,
		.max = 255,
		.help = "The TTL or hop limit to send with, exactly. Default: 64 to a host; one "
			"less than received to a group or broadcast address."},
	{.name = "loop",
		.type = KEY_BOOL,
		.offset = offsetof(struct udp_settings, loop),
		.fallback = "false",
		.help = "Programs of this host receive what is relayed to a group."},
	{.name = "keep_source",
		.type = KEY_BOOL,
		.offset = offsetof(struct udp_settings, keep_source),
		.fallback = "false",
		.help = "Receivers see the address and port of the sender. Needs CAP_NET_RAW."},
	{.name = "source_address",
		.type = KEY_ADDRESS,
		.offset = offsetof(struct udp_settings, source_address),
		.example = "\"192.0.2.1\"",
		.help = "The address of this host to send from. Default: one of the interface."},
	{.name = "source_port",
		.type = KEY_NUMBER,
		.offset = offsetof(struct udp_settings, source_port),
		.min = 1,
		.max = 65535,
		.help = "The port to send from, also one that other programs share. Default: one "
			"that the kernel chooses."},
	{.name = "dscp",
		.type = KEY_NUMBER,
		.offset = offsetof(struct udp_settings, dscp),
		.min = 0,
		.max = 63,
		.fallback = "0",
		.help = "The DSCP in the IP header, like 46 (EF)."},
};

static struct forward_options options_of(const struct udp_settings *wanted)
{
	bool to_group = address_is_multicast(&wanted->address);

	return (struct forward_options){
		.way = {.to = wanted->address,
			.port = (uint16_t)wanted->port,
			.interface = wanted->interface,
			.source = wanted->source_address,
			.source_port = (uint16_t)wanted->source_port,
			.dscp = (int)wanted->dscp},
		.ttl = wanted->ttl ? (int)wanted->ttl
		       : to_group  ? FORWARD_TTL_LESS
				   : FORWARD_TTL_HOST,
		.loop = wanted->loop,
		.keep_source = wanted->keep_source,
	};
}

static unsigned udp_needs(const void *settings)
{
	struct forward_options options = options_of(settings);

	return forward_needs(&options);
}

static void udp_close(void *object)
{
	struct udp_handler *udp = object;

	if (!udp)
		return;
	forward_free(udp->forward);
	relayable_free(udp->relayable);
	free(udp);
}

/* What is missing may come later: it never keeps the daemon from starting. */
static int udp_open(const void *settings, const struct handler_context *context,
	char why[static WHY_MAX], void **ret)
{
	struct forward_options options = options_of(settings);
	struct udp_handler *udp = calloc(1, sizeof(*udp));
	bool to_host = !address_is_multicast(&options.way.to);
	int r;

	(void)why;
	if (!udp)
		return -ENOMEM;
	options.told = &udp->told;
	r = relayable_new(context, to_host, options.keep_source, &udp->relayable);
	r = r < 0 ? r : forward_new(&options, context, &udp->forward);
	if (r < 0) {
		udp_close(udp);
		return r;
	}
	*ret = udp;
	return 0;
}

static void udp_deliver(void *object, const struct batch *batch, struct outcome *outcome)
{
	struct udp_handler *udp = object;
	struct datagram room[BATCH_MAX];
	const struct datagram *chosen;
	unsigned count;

	if (batch->datagrams->source.any.sa_family == AF_UNSPEC) {
		forward_send(udp->forward, batch->datagrams, batch->count, outcome);
		return;
	}
	chosen = relayable_choose(udp->relayable, batch, room, &count, outcome);
	if (count)
		forward_send(udp->forward, chosen, count, outcome);
}

static void udp_links_changed(void *object, const struct interface_list *interfaces)
{
	struct udp_handler *udp = object;

	forward_links_changed(udp->forward, interfaces);
	relayable_links_changed(udp->relayable);
}

static const char *udp_error(const void *object)
{
	return forward_error(((const struct udp_handler *)object)->forward);
}

/* What is neither a host, a group nor a broadcast address. Linux takes some of these for this host.
 */
static int check_destination(const struct address *to, char why[static WHY_MAX])
{
	bool is_mapped = to->family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&to->v6);
	char string[INET6_ADDRSTRLEN];

	address_format(to, string);
	if (address_is_any(to))
		return because(why, -EINVAL,
			"\"%s\" is no address to send to, write that of a host, as %s for this "
			"one, of a group, or a broadcast address",
			string, to->family == AF_INET ? "127.0.0.1" : "::1");
	if (is_mapped)
		return because(why, -EINVAL, "\"%s\" is an IPv4 address, write %s", string,
			strrchr(string, ':') + 1);
	if (to->family == AF_INET && !(ntohl(to->v4.s_addr) >> 24))
		return because(why, -EINVAL,
			"\"%s\" is no address of a host, write one such as 192.0.2.1", string);
	return 0;
}

static int check_source(const struct address *source, sa_family_t family, char why[static WHY_MAX])
{
	if (source->family != family)
		return because(why, -EINVAL, "is not of the address's family, use an IPv%d address",
			family == AF_INET ? 4 : 6);
	if (address_is_multicast(source))
		return because(why, -EINVAL, "is a group, use an address of this host");
	if (address_is_any(source) || address_is_everyone(source))
		return because(why, -EINVAL, "cannot be sent from, use an address of this host");
	return 0;
}

static int udp_check(const void *settings, const char **ret_key, char why[static WHY_MAX])
{
	const struct udp_settings *wanted = settings;
	const struct address *source = &wanted->source_address;

	*ret_key = "address";
	if (check_destination(&wanted->address, why) < 0)
		return -EINVAL;
	*ret_key = "interface";
	if (wanted->interface && strpbrk(wanted->interface, ",@*?[!/"))
		return because(why, -EINVAL,
			"cannot be an interface: write one name, alternative name or address");
	if (wanted->interface && config_check_interface(wanted->interface, false, why) < 0)
		return -EINVAL;
	if (!wanted->interface && !address_is_multicast(&wanted->address) &&
		address_needs_scope(&wanted->address))
		return because(why, -EINVAL, "must be set, since the address is link-local");
	if (!wanted->interface && address_is_everyone(&wanted->address))
		return because(why, -EINVAL,
			"must be set, since 255.255.255.255 is every host of one link and does not "
			"say which: add one, as interface = \"eth0\";");
	*ret_key = "source_address";
	if (source->family && check_source(source, wanted->address.family, why) < 0)
		return -EINVAL;
	if (!wanted->keep_source)
		return 0;
	if (source->family)
		return because(why, -EINVAL,
			"contradicts keep_source, which sends from the sender's address; remove "
			"one of the two");
	*ret_key = "source_port";
	if (wanted->source_port)
		return because(why, -EINVAL,
			"contradicts keep_source, which sends from the sender's port; remove one "
			"of the two");
	return 0;
}

static bool udp_relays(const void *settings, struct config_relay *ret)
{
	const struct udp_settings *wanted = settings;

	*ret = (struct config_relay){.address = wanted->address,
		.port = wanted->port,
		.interface = wanted->interface,
		.loop = wanted->loop};
	return true;
}

static bool udp_keeps_source(const void *settings)
{
	return ((const struct udp_settings *)settings)->keep_source;
}

static int64_t udp_source_port(const void *settings)
{
	return ((const struct udp_settings *)settings)->source_port;
}

const struct handler_kind udp_kind = {
	.config = {.name = "udp",
		.schema = {udp_keys, ARRAY_SIZE(udp_keys), sizeof(struct udp_settings)},
		.check = udp_check,
		.relays = udp_relays,
		.keeps_source = udp_keeps_source,
		.source_port = udp_source_port},
	.counters = forward_counters,
	.needs = udp_needs,
	.open = udp_open,
	.deliver = udp_deliver,
	.close = udp_close,
	.error = udp_error,
	.links_changed = udp_links_changed,
};
