/* A snapshot of the network interfaces of this namespace. */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

struct interface {
	char name[IF_NAMESIZE];
	unsigned index;
	unsigned flags; /* IFF_UP, IFF_MULTICAST, IFF_LOOPBACK, ... (netdevice(7)) */
};

struct interface_list {
	struct interface *items;
	size_t count;
};

/* Returns 0 or a negative errno. Free it with interface_list_clear(). */
int interface_list_read(struct interface_list *ret);
void interface_list_clear(struct interface_list *list);

/* The interface of that name, or NULL. */
const struct interface *interface_find(const struct interface_list *list, const char *name);

/* Whether a configured interface is a pattern ("vlan*") and not a name. */
bool interface_is_glob(const char *pattern);

/* Whether the pattern matches this interface. A pattern only matches interfaces with IFF_MULTICAST;
 * a name matches any, also lo, which can do multicast without that flag. */
bool interface_matches(const struct interface *interface, const char *pattern);
