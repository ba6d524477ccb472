/* The network interfaces of this namespace, as they are at one moment. */
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

/* Returns 0, or a negative errno. To be freed with interface_list_clear(). */
int interface_list_read(struct interface_list *ret);
void interface_list_clear(struct interface_list *list);

/* The interface of that name, or NULL. */
const struct interface *interface_find(const struct interface_list *list, const char *name);

/* Whether a configured interface is a pattern ("vlan*") and not the name of one. */
bool interface_is_glob(const char *pattern);

/* Whether the pattern means this interface. A pattern only means interfaces that can do multicast;
 * a name means just that one, also lo, which can although it has no IFF_MULTICAST. */
bool interface_matches(const struct interface *interface, const char *pattern);
