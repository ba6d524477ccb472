/* The network interfaces of this namespace and their addresses, as they are at one moment
 * (rtnetlink(7)): links of every kind, with and without a link-layer address, an IP address or the
 * flag MULTICAST. */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "net/address.h"

enum interface_ipv6 {
	IPV6_ABSENT, /* the kernel has no IPv6, or the MTU is below 1280 */
	IPV6_DISABLED, /* the sysctl net.ipv6.conf.NAME.disable_ipv6 */
	IPV6_ENABLED,
};

/* From linux/if.h, which does not go together with net/if.h: there is a carrier. */
#define INTERFACE_LOWER_UP 0x10000

struct interface {
	char name[IF_NAMESIZE];
	unsigned index;
	unsigned flags; /* IFF_UP, INTERFACE_LOWER_UP, IFF_MULTICAST, IFF_LOOPBACK, ...
			   (netdevice(7)) */
	unsigned port_of; /* index of the bridge, bond or team that takes its frames; 0: none */
	const char *port_kind; /* "bridge", ...; NULL: it is no port */
	enum interface_ipv6 ipv6;
	bool has_ipv4; /* it has an IPv4 address */
	uint64_t attachment; /* what it is attached to: a hash of its master, of how often it lost
				its carrier, and of its own ports that have one */
};

struct interface_address {
	unsigned ifindex;
	struct address address; /* its own, also on a point-to-point link */
	bool is_tentative; /* duplicate address detection is not over: it cannot be sent from */
};

/* Alternative names are longer than names (ip-link(8), altname). */
#define INTERFACE_NAME_MAX 128

struct interface_name {
	unsigned ifindex;
	char name[INTERFACE_NAME_MAX];
};

struct interface_list {
	struct interface *items;
	size_t count;
	struct {
		struct interface_address *items;
		size_t count;
	} addresses;
	struct {
		struct interface_name *items;
		size_t count;
	} alternatives;
};

/* Returns 0, or a negative errno. To be freed with interface_list_clear(). */
int interface_list_read(struct interface_list *ret);
void interface_list_clear(struct interface_list *list);

/* The interface of that name, alternative name or address, or NULL. */
const struct interface *interface_find(const struct interface_list *list, const char *name);
const struct interface *interface_by_index(const struct interface_list *list, unsigned index);

/* The first address of a family that the interface can send from; NULL: it has none. For IPv6 a
 * link-local address is as good as any. */
const struct address *interface_address(
	const struct interface_list *list, const struct interface *interface, sa_family_t family);

/* Whether the interface has this address. */
bool interface_has_address(const struct interface_list *list, const struct interface *interface,
	const struct address *address);

/* Whether a configured interface is a pattern ("vlan*") and not the name of one. */
bool interface_is_glob(const char *pattern);

/* Whether a pattern means this interface, by its name or an alternative name. A pattern means
 * interfaces that can do multicast only, but not lo, and no ports of bridges, bonds and teams: what
 * arrives at a port is the bridge's. */
bool interface_matches(
	const struct interface_list *list, const struct interface *interface, const char *pattern);

/* Whether a pattern or name is that of the interface, or an alternative name. */
bool interface_has_name(
	const struct interface_list *list, const struct interface *interface, const char *pattern);

/* The same for what is to be left out: any interface of that name, alternative name or address, or
 * that the pattern matches. */
bool interface_is_excluded(
	const struct interface_list *list, const struct interface *interface, const char *pattern);

/* A configured list: names, alternative names, addresses and globs; with ! in front, those to leave
 * out. */
struct interface_patterns {
	char *const *items;
	size_t count;
	bool any_link; /* globs mean all links but ports, not only what interface_matches() says */
};

/* Whether an item with ! means the interface. */
bool interface_is_left_out(const struct interface_list *list, const struct interface *interface,
	const struct interface_patterns *patterns);

/* Calls want() with the name of each interface that the pattern means and that is not left out. A
 * name, alternative name or address means its interface, whatever the list leaves out. What means
 * none is passed on as it is. Returns 0, or the first negative value of want(). */
int interface_expand(const struct interface_list *list, const struct interface_patterns *patterns,
	const char *pattern, int (*want)(void *argument, const char *name), void *argument);

/* Expands each item without !. Returns their number, or a negative value of want(). */
int interface_select(const struct interface_list *list, const struct interface_patterns *patterns,
	int (*want)(void *argument, const char *name), void *argument);
