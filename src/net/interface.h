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
	bool splits_runs; /* its queueing discipline, or that of a link below, may split a buffer
			     of segments (udp(7), UDP_SEGMENT), and drop a part of it unseen */
	unsigned lower; /* index of the link below it, as of a VLAN; 0: none */
	uint64_t attachment; /* what it is attached to: a hash of its master, of how often it lost
				its carrier, and of its own ports that have one */
	uint64_t digest; /* a hash of all of this, of its addresses and its alternative names; of
			    the flags only those that are used */
};

struct interface_address {
	unsigned ifindex;
	struct address address; /* its own, also on a point-to-point link */
	uint8_t prefix_length; /* of the network that it is on, in bits */
	bool is_tentative; /* duplicate address detection is not over: it cannot be sent from */
	bool is_duplicate; /* it has found another host with it: it stays tentative */
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
	bool splits_runs; /* one of them does */
};

/* Returns 0, or a negative errno. To be freed with interface_list_clear(). */
int interface_list_read(struct interface_list *ret);
void interface_list_clear(struct interface_list *list);

/* The interfaces that are not the same in two lists. */
struct interface_changes {
	const struct interface_list *before, *after;
	unsigned *items; /* indexes, also of those that are only in one of the lists */
	size_t count;
};

/* Compares two lists, which must stay; indexes of also are added, each once. ret is zeroed before,
 * its items are to be freed. Returns 0 or -ENOMEM. */
int interface_list_compare(const struct interface_list *before, const struct interface_list *after,
	const unsigned *also, size_t also_count, struct interface_changes *ret);

/* Whether a name, alternative name, address or pattern stands for one that has changed, or did
 * before. */
bool interface_changes_concern(const struct interface_changes *changes, const char *pattern);

/* The interface of that name, alternative name or address, or NULL. */
const struct interface *interface_find(const struct interface_list *list, const char *name);
const struct interface *interface_by_index(const struct interface_list *list, unsigned index);

/* Whether a configured name of an interface is an address of the family. */
bool interface_name_is_address(const char *name, sa_family_t family, struct address *ret);

/* Whether an interface can send at all now: without a carrier the kernel drops what is sent, and
 * does not tell. True where there is no such interface. */
bool interface_has_carrier(unsigned index);

/* The number that the sysctl net.FAMILY.conf.INTERFACE.KEY has, "ipv4" or "ipv6"; the interface may
 * be "all". 0 where there is none. */
int interface_sysctl(const char *family, const char *interface, const char *key);

/* Reads anew whether an interface splits_runs, by its index. */
bool interface_splits_runs(unsigned index);

/* Whether it can have addresses of the family. */
static inline bool interface_has_family(const struct interface *interface, sa_family_t family)
{
	return family == AF_INET || interface->ipv6 == IPV6_ENABLED;
}

/* The first address of a family that the interface can send from; NULL: it has none. For IPv6 a
 * link-local address is as good as any. */
const struct address *interface_address(
	const struct interface_list *list, const struct interface *interface, sa_family_t family);

/* Whether the interface has this address. */
bool interface_has_address(const struct interface_list *list, const struct interface *interface,
	const struct address *address);

/* Whether it is for a missing link that a socket to send from could not be opened, with this
 * negative errno: the interface is absent, down or without an address. Where the configuration has
 * a source address, that one may be missing, which is no matter of the link. */
bool interface_is_missing(int failure, const struct address *source);

/* Whether a configured interface is a pattern ("vlan*") and not the name of one. */
bool interface_is_glob(const char *pattern);

/* Whether a pattern means this interface, by its name or an alternative name. A pattern means
 * interfaces that can do multicast only, but not lo, and no ports of bridges, bonds and teams: what
 * arrives at a port is the bridge's. */
bool interface_matches(
	const struct interface_list *list, const struct interface *interface, const char *pattern);

/* Whether a pattern means any interface. */
bool interface_any_matches(const struct interface_list *list, const char *pattern);

/* Whether what is to be left out means it: any interface of that name, alternative name or address,
 * or that the pattern matches. */
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

/* Whether an item without ! names the interface of this name, and does not only match it. */
bool interface_is_named(const struct interface_list *list,
	const struct interface_patterns *patterns, const char *name);

/* What an interface of this name is sent by: the first item that is an address of it, of the
 * family, and then is what it is sent from; else its name. name: NULL is returned as it is. */
const char *interface_given_name(const struct interface_list *list,
	const struct interface_patterns *patterns, sa_family_t family, const char *name);

/* Calls want() with the name of each interface that the pattern means and that is not left out. A
 * name, alternative name or address means its interface, whatever the list leaves out. What means
 * none is passed on as it is. Returns 0, or the first negative value of want(). */
int interface_expand(const struct interface_list *list, const struct interface_patterns *patterns,
	const char *pattern, int (*want)(void *argument, const char *name), void *argument);

/* Expands each item without !. Returns their number, or a negative value of want(). */
int interface_select(const struct interface_list *list, const struct interface_patterns *patterns,
	int (*want)(void *argument, const char *name), void *argument);
