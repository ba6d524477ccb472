#include "groups/wanted.h"

#include <linux/rtnetlink.h>

#include "net/multicast.h"
#include "net/rtnetlink.h"

/* Multicast is not wanted from everywhere that it may be had; other datagrams come in at each
 * interface that is named. */
static struct interface_patterns patterns_of(const struct config_group *config)
{
	const struct address *address = &config->address;

	return (struct interface_patterns){config->interfaces.items, config->interfaces.count,
		.any_link = !address_is_multicast(address) && !address_is_everyone(address)};
}

/* Where the address is of this host, or the broadcast address of a network: the interface that has
 * it, which is lo for addresses without one. */
static int want_owner(const struct config_group *config, const struct interface_list *interfaces,
	want_interface *want, void *argument)
{
	struct interface_patterns patterns = patterns_of(config);
	const struct address *address = &config->address;
	const struct interface *owner = NULL;
	unsigned ifindex;
	int type;

	for (size_t i = 0; i < interfaces->count && !owner; i++)
		if (interface_has_address(interfaces, &interfaces->items[i], address))
			owner = &interfaces->items[i];
	if (!owner) {
		type = rtnetlink_route(address, &ifindex);
		if (type == RTN_LOCAL || type == RTN_BROADCAST)
			owner = interface_by_index(interfaces, ifindex);
	}
	if (owner && interface_is_left_out(interfaces, owner, &patterns))
		owner = NULL;
	return want(argument, owner ? owner->name : "*");
}

static bool may_receive(const struct interface *interface, const struct interface_list *interfaces,
	sa_family_t family)
{
	if (interface_address(interfaces, interface, family))
		return true;
	return interface->flags & IFF_UP && interface_has_family(interface, family);
}

/* Where 0.0.0.0 or :: is received: on each interface that has an address, and on those that are up
 * without: on unnumbered links datagrams come to another address of this host. */
static int want_addressed(const struct config_group *config,
	const struct interface_list *interfaces, want_interface *want, void *argument)
{
	struct interface_patterns patterns = patterns_of(config);
	bool found = false;
	int r = 0;

	for (size_t i = 0; i < interfaces->count && r >= 0; i++) {
		const struct interface *interface = &interfaces->items[i];

		if (interface->port_of || interface_is_left_out(interfaces, interface, &patterns) ||
			!may_receive(interface, interfaces, config->address.family))
			continue;
		found = true;
		r = want(argument, interface->name);
	}
	return found || r < 0 ? r : want(argument, "*");
}

/* Where the configuration names no interface. 255.255.255.255 comes from where multicast does. */
static int want_default(const struct config_group *config, const struct interface_list *interfaces,
	want_interface *want, void *argument)
{
	struct interface_patterns patterns = patterns_of(config);
	const struct address *address = &config->address;

	if (!patterns.any_link)
		return interface_expand(interfaces, &patterns, "*", want, argument);
	if (address_is_any(address))
		return want_addressed(config, interfaces, want, argument);
	return want_owner(config, interfaces, want, argument);
}

int wanted_interfaces(const struct config_group *config, const struct interface_list *interfaces,
	want_interface *want, void *argument)
{
	struct interface_patterns patterns = patterns_of(config);
	int r = interface_select(interfaces, &patterns, want, argument);

	return r ? r : want_default(config, interfaces, want, argument);
}
