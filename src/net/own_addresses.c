#include "net/own_addresses.h"

#include <stdlib.h>

#include "base/array.h"
#include "net/interface.h"

/* An address with a shorter prefix tells nothing of where hosts are. */
#define NETWORK_MIN_BITS 8

static int compare(const void *a, const void *b)
{
	const struct interface_address *left = a, *right = b;

	return address_compare(&left->address, &right->address);
}

void own_addresses_update(struct own_addresses *own, const struct interface_list *interfaces)
{
	own->count = 0;
	for (size_t i = 0; i < interfaces->addresses.count; i++)
		array_add(own, interfaces->addresses.items[i]);
	if (own->count)
		qsort(own->items, own->count, sizeof(*own->items), compare);
	own->loopback = 0;
	for (size_t i = 0; i < interfaces->count; i++)
		if (interfaces->items[i].flags & IFF_LOOPBACK)
			own->loopback = interfaces->items[i].index;
}

void own_addresses_clear(struct own_addresses *own)
{
	free(own->items);
	*own = (struct own_addresses){0};
}

/* Whether the address is on the network of another interface, and not on one of this interface,
 * which has networks. Every link has its own network of link-local addresses. */
static bool is_on_other_network(
	const struct own_addresses *own, const struct address *source, unsigned ifindex)
{
	bool is_on_other = false, has_network = false;

	if (address_is_link_local(source))
		return false;
	for (size_t i = 0; i < own->count; i++) {
		const struct interface_address *item = &own->items[i];
		struct prefix network = {item->address, item->prefix_length};

		if (item->address.family != source->family || address_is_link_local(&item->address))
			continue;
		has_network |= item->ifindex == ifindex;
		if (item->prefix_length < NETWORK_MIN_BITS || !prefix_contains(&network, source))
			continue;
		if (item->ifindex == ifindex)
			return false;
		is_on_other = true;
	}
	return is_on_other && has_network;
}

/* Several interfaces may have one address: VLANs have the link-local one of the link below. */
enum owner own_addresses_find(
	const struct own_addresses *own, const struct address *source, unsigned ifindex)
{
	struct interface_address key = {.address = *source};
	bool anywhere = !ifindex || ifindex == own->loopback;
	enum owner owner = OWNER_OTHER;
	size_t i = lower_bound(&key, own->items, own->count, sizeof(*own->items), compare);

	for (; i < own->count && address_equal(&own->items[i].address, source); i++) {
		if (anywhere || own->items[i].ifindex == ifindex)
			return OWNER_THIS;
		owner = OWNER_ELSEWHERE;
	}
	if (owner == OWNER_OTHER && !anywhere && is_on_other_network(own, source, ifindex))
		return OWNER_ELSEWHERE_ON_LINK;
	return owner;
}
