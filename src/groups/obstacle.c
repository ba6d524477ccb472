#include "groups/obstacle.h"

#include <stdio.h>
#include <string.h>

#include "net/multicast.h"

/* Whether datagrams to the address can come to this host. Link-local ones are an interface's. */
static bool is_local(const struct address *address, const struct interface_list *interfaces,
	const struct interface *interface)
{
	if (!address_is_multicast(address) && address_needs_scope(address))
		return interface && interface_has_address(interfaces, interface, address);
	return multicast_reach(address) != REACH_NONE;
}

static bool leaves_out(const struct config_group *config)
{
	for (size_t i = 0; i < config->interfaces.count; i++)
		if (*config->interfaces.items[i] == '!')
			return true;
	return false;
}

/* Why no interface matches. Those that match have memberships of their own, unless they are left
 * out. */
static const char *explain_glob(const struct config_group *config, const char *wanted,
	const struct interface_list *interfaces)
{
	if (!address_is_multicast(&config->address))
		return leaves_out(config) ? "no interface matches beside those that are left out"
					  : "no interface matches";
	if (interface_any_matches(interfaces, wanted))
		return "every interface that matches is left out";
	return "no interface with the flag MULTICAST matches; one without it, or a port of a "
	       "bridge, is joined where it is named";
}

const char *obstacle_find(const struct config_group *config, const char *wanted,
	const struct interface_list *interfaces, const struct interface *interface,
	char why[static WHY_MAX])
{
	const struct address *own = &config->address;
	char string[INET6_ADDRSTRLEN];
	struct address address;

	if (!(interface && !(interface->flags & IFF_UP)) && !is_local(own, interfaces, interface)) {
		snprintf(why, WHY_MAX,
			"%s is neither an address of this host nor a broadcast address of its "
			"networks",
			address_format(own, string));
		return why;
	}
	if (!interface && interface_is_glob(wanted))
		return explain_glob(config, wanted, interfaces);
	if (!interface && address_parse(wanted, &address) == 0)
		return "no interface has this address";
	if (!interface)
		return "there is no such interface";
	if (!(interface->flags & IFF_UP))
		return "the interface is down";
	if (interface_has_family(interface, own->family))
		return NULL;
	if (interface->ipv6 == IPV6_ABSENT)
		return "the interface does no IPv6: its MTU is below 1280, or the kernel has none";
	snprintf(why, WHY_MAX,
		"IPv6 is disabled on the interface; sysctl -w net.ipv6.conf.%s.disable_ipv6=0 "
		"enables it",
		interface->name);
	return why;
}

const char *obstacle_explain_left(const struct config_group *config, const char *name,
	const struct interface_list *interfaces, char why[static WHY_MAX])
{
	const struct interface *interface = interface_find(interfaces, name), *master;
	bool is_unicast = !address_is_multicast(&config->address) &&
			  !address_is_everyone(&config->address);
	char string[INET6_ADDRSTRLEN];

	if (!interface || strcmp(interface->name, name))
		return "the interface is gone";
	master = interface->port_of ? interface_by_index(interfaces, interface->port_of) : NULL;
	if (interface->port_of)
		snprintf(why, WHY_MAX, "it is a port of the %s %s", interface->port_kind,
			master ? master->name : "that takes its frames");
	else if (!is_unicast && !(interface->flags & IFF_MULTICAST))
		return "it has no flag MULTICAST any more (ip link set multicast on)";
	else if (is_unicast && !config->interfaces.count && address_is_any(&config->address))
		return "it is down, or has no address any more";
	else if (is_unicast && !config->interfaces.count)
		snprintf(why, WHY_MAX, "%s is not one of its addresses any more",
			address_format(&config->address, string));
	else
		return "it no longer has the name or address by which the configuration means it";
	return why;
}
