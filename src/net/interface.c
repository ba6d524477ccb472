#include "net/interface.h"

#include <errno.h>
#include <fnmatch.h>
#include <ifaddrs.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

DEFINE_CLEANUP(struct ifaddrs *, freeifaddrs)

/* getifaddrs(3) has one AF_PACKET entry for each link. */
static bool is_link(const struct ifaddrs *entry)
{
	return entry->ifa_addr && entry->ifa_addr->sa_family == AF_PACKET;
}

int interface_list_read(struct interface_list *ret)
{
	CLEANUP(freeifaddrsp) struct ifaddrs *entries = NULL;
	struct interface_list list = {0};
	size_t count = 0;

	if (getifaddrs(&entries) < 0)
		return -errno;
	for (const struct ifaddrs *entry = entries; entry; entry = entry->ifa_next)
		count += is_link(entry);
	list.items = calloc(count + 1, sizeof(*list.items));
	if (!list.items)
		return -ENOMEM;
	for (const struct ifaddrs *entry = entries; entry; entry = entry->ifa_next) {
		struct interface *interface = &list.items[list.count];

		if (!is_link(entry))
			continue;
		strncpy(interface->name, entry->ifa_name, IF_NAMESIZE - 1);
		interface->index = (unsigned)((struct sockaddr_ll *)entry->ifa_addr)->sll_ifindex;
		interface->flags = entry->ifa_flags;
		list.count++;
	}
	*ret = list;
	return 0;
}

void interface_list_clear(struct interface_list *list)
{
	free(list->items);
	*list = (struct interface_list){0};
}

const struct interface *interface_find(const struct interface_list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (!strcmp(list->items[i].name, name))
			return &list->items[i];
	return NULL;
}

bool interface_is_glob(const char *pattern)
{
	return strpbrk(pattern, "*?[");
}

bool interface_matches(const struct interface *interface, const char *pattern)
{
	if (!interface_is_glob(pattern))
		return !strcmp(interface->name, pattern);
	return interface->flags & IFF_MULTICAST && !(interface->flags & IFF_LOOPBACK) &&
	       !fnmatch(pattern, interface->name, 0);
}
