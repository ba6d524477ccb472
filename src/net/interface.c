#include "net/interface.h"

#include <fnmatch.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/io.h"
#include "net/rtnetlink.h"

/* The flags that memberships and senders depend on. */
#define FLAGS_USED (IFF_UP | IFF_RUNNING | INTERFACE_LOWER_UP | IFF_MULTICAST | IFF_LOOPBACK)

/* From linux/ipv6.h, which does not go together with netinet/in.h. */
#define DEVCONF_DISABLE_IPV6 26

/* Masters whose ports hand all that they receive to them. A VRF, for one, does not. */
static const char *const port_kinds[] = {"bridge", "bond", "team", "openvswitch"};

/* Queueing disciplines that take or drop a buffer of segments as a whole. Others, as tbf, split it,
 * and report success where a part of it fits. */
static const char *const whole_disciplines[] = {"noqueue", "mq", "pfifo_fast", "fq", "fq_codel"};

/* How many links may lie on each other. */
#define LAYERS_MAX 8

/* The kind of master that an interface is a port of, or NULL. */
static const char *port_kind(const struct rtattr *link_info)
{
	const struct rtattr *info[IFLA_INFO_MAX + 1], *kind;

	if (!link_info)
		return NULL;
	rtnetlink_nested(link_info, info, ARRAY_SIZE(info));
	kind = info[IFLA_INFO_SLAVE_KIND];
	for (size_t i = 0; kind && i < ARRAY_SIZE(port_kinds); i++)
		if (!strncmp(RTA_DATA(kind), port_kinds[i], RTA_PAYLOAD(kind)))
			return port_kinds[i];
	return NULL;
}

static bool splits_runs(const struct rtattr *discipline)
{
	for (size_t i = 0; discipline && i < ARRAY_SIZE(whole_disciplines); i++)
		if (!strncmp(RTA_DATA(discipline), whole_disciplines[i], RTA_PAYLOAD(discipline)))
			return false;
	return discipline;
}

/* The index of the link below. The other end of a veth pair is none. */
static unsigned lower_link(const struct rtattr *const parts[])
{
	const struct rtattr *info[IFLA_INFO_MAX + 1];
	unsigned lower = 0;

	if (!parts[IFLA_LINK] || parts[IFLA_LINK_NETNSID] || !parts[IFLA_LINKINFO])
		return 0;
	rtnetlink_nested(parts[IFLA_LINKINFO], info, ARRAY_SIZE(info));
	if (info[IFLA_INFO_KIND] &&
		!strncmp(RTA_DATA(info[IFLA_INFO_KIND]), "veth", RTA_PAYLOAD(info[IFLA_INFO_KIND])))
		return 0;
	rtnetlink_copy(parts[IFLA_LINK], &lower, sizeof(lower));
	return lower;
}

/* IFLA_AF_SPEC has a part for IPv6 where the interface does IPv6 at all. */
static enum interface_ipv6 read_ipv6(const struct rtattr *families)
{
	const struct rtattr *family[AF_INET6 + 1], *parts[IFLA_INET6_MAX + 1];
	const int32_t *settings;

	if (!families)
		return IPV6_ABSENT;
	rtnetlink_nested(families, family, ARRAY_SIZE(family));
	if (!family[AF_INET6])
		return IPV6_ABSENT;
	rtnetlink_nested(family[AF_INET6], parts, ARRAY_SIZE(parts));
	if (!parts[IFLA_INET6_CONF] ||
		RTA_PAYLOAD(parts[IFLA_INET6_CONF]) <= DEVCONF_DISABLE_IPV6 * sizeof(*settings))
		return IPV6_ENABLED;
	settings = RTA_DATA(parts[IFLA_INET6_CONF]);
	return settings[DEVCONF_DISABLE_IPV6] ? IPV6_DISABLED : IPV6_ENABLED;
}

static int add_alternatives(
	struct interface_list *list, unsigned ifindex, const struct rtattr *properties)
{
	const struct rtattr *item = RTA_DATA(properties);
	int left = (int)RTA_PAYLOAD(properties), r = 0;

	for (; RTA_OK(item, left) && r >= 0; item = RTA_NEXT(item, left)) {
		struct interface_name name = {.ifindex = ifindex};

		if ((item->rta_type & NLA_TYPE_MASK) != IFLA_ALT_IFNAME)
			continue;
		rtnetlink_copy_string(item, name.name, sizeof(name.name));
		r = array_add(&list->alternatives, name);
	}
	return r;
}

static int read_link(void *argument, const struct nlmsghdr *message)
{
	const struct ifinfomsg *link = rtnetlink_fixed(message, sizeof(*link));
	const struct rtattr *parts[IFLA_PROP_LIST + 1];
	struct interface_list *list = argument;
	struct interface interface = {0};
	uint32_t carrier_losses = 0;
	int r;

	if (message->nlmsg_type != RTM_NEWLINK || !link)
		return 0;
	rtnetlink_attributes(message, sizeof(*link), parts, ARRAY_SIZE(parts));
	if (parts[IFLA_IFNAME])
		rtnetlink_copy_string(parts[IFLA_IFNAME], interface.name, sizeof(interface.name));
	if (!*interface.name)
		return 0;
	interface.index = (unsigned)link->ifi_index;
	interface.flags = link->ifi_flags;
	interface.ipv6 = read_ipv6(parts[IFLA_AF_SPEC]);
	interface.port_kind = port_kind(parts[IFLA_LINKINFO]);
	if (interface.port_kind)
		rtnetlink_copy(parts[IFLA_MASTER], &interface.port_of, sizeof(interface.port_of));
	rtnetlink_copy(parts[IFLA_CARRIER_DOWN_COUNT], &carrier_losses, sizeof(carrier_losses));
	interface.attachment = (uint64_t)carrier_losses << 32 | interface.port_of;
	interface.splits_runs = splits_runs(parts[IFLA_QDISC]);
	interface.lower = lower_link(parts);
	list->splits_runs |= interface.splits_runs;
	r = array_add(list, interface);
	if (r < 0 || !parts[IFLA_PROP_LIST])
		return r;
	return add_alternatives(list, interface.index, parts[IFLA_PROP_LIST]);
}

/* On a point-to-point link IFA_ADDRESS is the other end's. */
static int read_address(void *argument, const struct nlmsghdr *message)
{
	const struct ifaddrmsg *fixed = rtnetlink_fixed(message, sizeof(*fixed));
	const struct rtattr *parts[IFA_FLAGS + 1];
	struct interface_address address = {0};
	struct interface_list *list = argument;
	uint32_t flags;

	if (message->nlmsg_type != RTM_NEWADDR || !fixed ||
		(fixed->ifa_family != AF_INET && fixed->ifa_family != AF_INET6))
		return 0;
	address.ifindex = fixed->ifa_index;
	address.address.family = fixed->ifa_family;
	address.prefix_length = fixed->ifa_prefixlen;
	flags = fixed->ifa_flags;
	rtnetlink_attributes(message, sizeof(*fixed), parts, ARRAY_SIZE(parts));
	if (!rtnetlink_copy(parts[IFA_LOCAL] ? parts[IFA_LOCAL] : parts[IFA_ADDRESS],
		    &address.address.v4,
		    fixed->ifa_family == AF_INET ? sizeof(address.address.v4)
						 : sizeof(address.address.v6)))
		return 0;
	rtnetlink_copy(parts[IFA_FLAGS], &flags, sizeof(flags));
	address.is_tentative = flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED) &&
			       !(flags & IFA_F_OPTIMISTIC);
	address.is_duplicate = flags & IFA_F_DADFAILED;
	return array_add(&list->addresses, address);
}

static void forget_links(void *argument)
{
	struct interface_list *list = argument;

	list->count = 0;
	list->splits_runs = false;
	list->alternatives.count = 0;
}

static void forget_addresses(void *argument)
{
	((struct interface_list *)argument)->addresses.count = 0;
}

static struct interface *by_index(const struct interface_list *list, unsigned index)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].index == index)
			return &list->items[i];
	return NULL;
}

/* Sets splits_runs also where a link below has it. */
static void look_below(struct interface_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		struct interface *interface = &list->items[i];
		const struct interface *lower = interface;

		for (int layer = 0; lower && !interface->splits_runs && layer < LAYERS_MAX;
			layer++) {
			lower = lower->lower ? by_index(list, lower->lower) : NULL;
			interface->splits_runs = lower && lower->splits_runs;
		}
	}
}

static uint64_t digest_of(const struct interface_list *list, const struct interface *interface)
{
	const struct interface *master = by_index(list, interface->port_of);
	unsigned flags = interface->flags & FLAGS_USED;
	uint64_t hash = hash_bytes(HASH_BEGIN, interface->name, sizeof(interface->name));

	hash = hash_bytes(hash, &flags, sizeof(flags));
	hash = hash_bytes(hash, &interface->splits_runs, sizeof(interface->splits_runs));
	hash = hash_bytes(hash, &interface->ipv6, sizeof(interface->ipv6));
	hash = hash_bytes(hash, &interface->attachment, sizeof(interface->attachment));
	if (interface->port_kind)
		hash = hash_bytes(hash, interface->port_kind, strlen(interface->port_kind));
	if (master)
		hash = hash_bytes(hash, master->name, strlen(master->name));
	for (size_t i = 0; i < list->addresses.count; i++) {
		const struct interface_address *item = &list->addresses.items[i];

		if (item->ifindex != interface->index)
			continue;
		hash = address_hash(hash, &item->address);
		hash = hash_bytes(hash, &item->prefix_length, sizeof(item->prefix_length));
		hash = hash_bytes(hash, &item->is_tentative, sizeof(item->is_tentative));
		hash = hash_bytes(hash, &item->is_duplicate, sizeof(item->is_duplicate));
	}
	for (size_t i = 0; i < list->alternatives.count; i++)
		if (list->alternatives.items[i].ifindex == interface->index)
			hash = hash_bytes(hash, list->alternatives.items[i].name,
				strlen(list->alternatives.items[i].name) + 1);
	return hash;
}

/* What the messages say of other interfaces than their own. */
static void relate(struct interface_list *list)
{
	struct interface *interface;

	for (size_t i = 0; i < list->addresses.count; i++)
		if (list->addresses.items[i].address.family == AF_INET &&
			(interface = by_index(list, list->addresses.items[i].ifindex)))
			interface->has_ipv4 = true;
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].port_of && list->items[i].flags & INTERFACE_LOWER_UP &&
			(interface = by_index(list, list->items[i].port_of)))
			interface->attachment = hash_bytes(interface->attachment,
				&list->items[i].index, sizeof(list->items[i].index));
	for (size_t i = 0; i < list->count; i++)
		list->items[i].digest = digest_of(list, &list->items[i]);
}

int interface_list_read(struct interface_list *ret)
{
	struct interface_list list = {0};
	int r = rtnetlink_dump(RTM_GETLINK, read_link, forget_links, &list);

	if (r >= 0)
		r = rtnetlink_dump(RTM_GETADDR, read_address, forget_addresses, &list);
	if (r < 0) {
		interface_list_clear(&list);
		return r;
	}
	if (list.splits_runs)
		look_below(&list);
	relate(&list);
	*ret = list;
	return 0;
}

void interface_list_clear(struct interface_list *list)
{
	free(list->items);
	free(list->addresses.items);
	free(list->alternatives.items);
	*list = (struct interface_list){0};
}

static bool contains(const struct interface_changes *changes, unsigned index)
{
	for (size_t i = 0; i < changes->count; i++)
		if (changes->items[i] == index)
			return true;
	return false;
}

/* Two lists are mostly in the same order: behind the one found last is the first that is tried. */
static const struct interface *find_behind(
	const struct interface_list *list, unsigned index, size_t *behind)
{
	const struct interface *found = *behind < list->count && list->items[*behind].index == index
						? &list->items[*behind]
						: by_index(list, index);

	if (found)
		*behind = (size_t)(found - list->items) + 1;
	return found;
}

int interface_list_compare(const struct interface_list *before, const struct interface_list *after,
	const unsigned *also, size_t also_count, struct interface_changes *ret)
{
	const struct interface *other;
	size_t behind = 0;
	int r = 0;

	ret->before = before;
	ret->after = after;
	for (size_t i = 0; i < before->count && r >= 0; i++) {
		other = find_behind(after, before->items[i].index, &behind);
		if (!other || other->digest != before->items[i].digest)
			r = array_add(ret, before->items[i].index);
	}
	behind = 0;
	for (size_t i = 0; i < after->count && r >= 0; i++)
		if (!find_behind(before, after->items[i].index, &behind))
			r = array_add(ret, after->items[i].index);
	for (size_t i = 0; i < also_count && r >= 0; i++)
		if (!contains(ret, also[i]))
			r = array_add(ret, also[i]);
	return r;
}

/* Whether a pattern or name is that of the interface, or an alternative name. */
static bool has_name(
	const struct interface_list *list, const struct interface *interface, const char *pattern)
{
	if (!fnmatch(pattern, interface->name, 0))
		return true;
	for (size_t i = 0; i < list->alternatives.count; i++)
		if (list->alternatives.items[i].ifindex == interface->index &&
			!fnmatch(pattern, list->alternatives.items[i].name, 0))
			return true;
	return false;
}

static bool is_changed(const struct interface_changes *changes, const struct interface_list *list,
	const char *pattern)
{
	const struct interface *interface;

	if (!interface_is_glob(pattern)) {
		interface = interface_find(list, pattern);
		return interface && contains(changes, interface->index);
	}
	for (size_t i = 0; i < changes->count; i++) {
		interface = by_index(list, changes->items[i]);
		if (interface && has_name(list, interface, pattern))
			return true;
	}
	return false;
}

bool interface_changes_concern(const struct interface_changes *changes, const char *pattern)
{
	return is_changed(changes, changes->before, pattern) ||
	       is_changed(changes, changes->after, pattern);
}

const struct interface *interface_by_index(const struct interface_list *list, unsigned index)
{
	return by_index(list, index);
}

bool interface_has_carrier(unsigned index)
{
	AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {.ifr_ifindex = (int)index};

	return ioctl(fd, SIOCGIFNAME, &request) < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0 ||
	       request.ifr_flags & IFF_RUNNING;
}

int interface_sysctl(const char *family, const char *interface, const char *key)
{
	char path[128];

	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", family, interface, key);
	return (int)read_number(path, 0);
}

bool interface_splits_runs(unsigned index)
{
	struct interface_list list = {0};
	bool splits = false;

	for (int layer = 0; index && !splits && layer < LAYERS_MAX; layer++) {
		forget_links(&list);
		if (rtnetlink_link(index, RTEXT_FILTER_SKIP_STATS, read_link, &list) < 0 ||
			!list.count)
			break;
		splits = list.items[0].splits_runs;
		index = list.items[0].lower;
	}
	interface_list_clear(&list);
	return splits;
}

const struct interface *interface_find(const struct interface_list *list, const char *name)
{
	struct address address;

	for (size_t i = 0; i < list->count; i++)
		if (!strcmp(list->items[i].name, name))
			return &list->items[i];
	for (size_t i = 0; i < list->alternatives.count; i++)
		if (!strcmp(list->alternatives.items[i].name, name))
			return interface_by_index(list, list->alternatives.items[i].ifindex);
	if (address_parse(name, &address) < 0)
		return NULL;
	for (size_t i = 0; i < list->addresses.count; i++)
		if (address_equal(&list->addresses.items[i].address, &address))
			return interface_by_index(list, list->addresses.items[i].ifindex);
	return NULL;
}

bool interface_name_is_address(const char *name, sa_family_t family, struct address *ret)
{
	return address_parse(name, ret) == 0 && ret->family == family;
}

const struct address *interface_address(
	const struct interface_list *list, const struct interface *interface, sa_family_t family)
{
	for (size_t i = 0; i < list->addresses.count; i++) {
		const struct interface_address *item = &list->addresses.items[i];

		if (item->ifindex == interface->index && item->address.family == family &&
			!item->is_tentative)
			return &item->address;
	}
	return NULL;
}

bool interface_has_address(const struct interface_list *list, const struct interface *interface,
	const struct address *address)
{
	for (size_t i = 0; i < list->addresses.count; i++)
		if (list->addresses.items[i].ifindex == interface->index &&
			address_equal(&list->addresses.items[i].address, address))
			return true;
	return false;
}

bool interface_is_missing(int failure, const struct address *source)
{
	return failure == -ENODEV || failure == -ENETDOWN ||
	       (failure == -EADDRNOTAVAIL && source->family == AF_UNSPEC);
}

bool interface_is_glob(const char *pattern)
{
	return strpbrk(pattern, "*?[");
}

bool interface_matches(
	const struct interface_list *list, const struct interface *interface, const char *pattern)
{
	return interface->flags & IFF_MULTICAST && !(interface->flags & IFF_LOOPBACK) &&
	       !interface->port_of && has_name(list, interface, pattern);
}

bool interface_any_matches(const struct interface_list *list, const char *pattern)
{
	for (size_t i = 0; i < list->count; i++)
		if (interface_matches(list, &list->items[i], pattern))
			return true;
	return false;
}

bool interface_is_excluded(
	const struct interface_list *list, const struct interface *interface, const char *pattern)
{
	struct address address;

	if (has_name(list, interface, pattern))
		return true;
	return address_parse(pattern, &address) == 0 &&
	       interface_has_address(list, interface, &address);
}

bool interface_is_left_out(const struct interface_list *list, const struct interface *interface,
	const struct interface_patterns *patterns)
{
	for (size_t i = 0; i < patterns->count; i++)
		if (*patterns->items[i] == '!' &&
			interface_is_excluded(list, interface, patterns->items[i] + 1))
			return true;
	return false;
}

int interface_expand(const struct interface_list *list, const struct interface_patterns *patterns,
	const char *pattern, int (*want)(void *argument, const char *name), void *argument)
{
	const struct interface *named = interface_find(list, pattern);
	bool matched = false;
	int r = 0;

	if (!interface_is_glob(pattern))
		return want(argument, named ? named->name : pattern);
	for (size_t i = 0; i < list->count && r >= 0; i++) {
		const struct interface *interface = &list->items[i];
		bool matches = patterns->any_link
				       ? !interface->port_of && has_name(list, interface, pattern)
				       : interface_matches(list, interface, pattern);

		if (!matches || interface_is_left_out(list, interface, patterns))
			continue;
		matched = true;
		r = want(argument, interface->name);
	}
	return matched || r < 0 ? r : want(argument, pattern);
}

bool interface_is_named(const struct interface_list *list,
	const struct interface_patterns *patterns, const char *name)
{
	for (size_t i = 0; i < patterns->count; i++) {
		const char *item = patterns->items[i];
		const struct interface *interface = interface_find(list, item);

		if (interface ? !strcmp(interface->name, name)
			      : !interface_is_glob(item) && !strcmp(item, name))
			return true;
	}
	return false;
}

const char *interface_given_name(const struct interface_list *list,
	const struct interface_patterns *patterns, sa_family_t family, const char *name)
{
	struct address address;

	for (size_t i = 0; name && i < patterns->count; i++) {
		const char *item = patterns->items[i];
		const struct interface *interface;

		if (!interface_name_is_address(item, family, &address))
			continue;
		interface = interface_find(list, item);
		if (interface && !strcmp(interface->name, name))
			return item;
	}
	return name;
}

int interface_select(const struct interface_list *list, const struct interface_patterns *patterns,
	int (*want)(void *argument, const char *name), void *argument)
{
	int named = 0, r = 0;

	for (size_t i = 0; i < patterns->count && r >= 0; i++) {
		if (*patterns->items[i] == '!')
			continue;
		named++;
		r = interface_expand(list, patterns, patterns->items[i], want, argument);
	}
	return r < 0 ? r : named;
}
