/* A group's traffic: the outlets that get what arrives, and sending to the group. */
#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "groups/group.h"
#include "net/interface.h"

static void apply_needs(struct group *group)
{
	unsigned needs = 0;

	for (size_t i = 0; i < group->outlets.count; i++)
		needs |= NEED_DATAGRAMS | group->outlets.items[i]->needs;
	if (needs == group->needs)
		return;
	group->needs = needs;
	for (size_t i = 0; i < group->memberships.count; i++)
		membership_apply_needs(group->memberships.items[i], false);
}

int group_attach(struct group *group, struct outlet *outlet)
{
	int r = array_add(&group->outlets, outlet);

	apply_needs(group);
	return r;
}

void group_detach(struct group *group, struct outlet *outlet)
{
	struct outlet **items = group->outlets.items;

	for (size_t i = 0; i < group->outlets.count; i++) {
		if (items[i] != outlet)
			continue;
		items[i] = items[--group->outlets.count];
		break;
	}
	apply_needs(group);
}

uint64_t group_kernel_dropped(struct group *group)
{
	for (size_t i = 0; i < group->memberships.count; i++)
		membership_count_drops(group->memberships.items[i]);
	return group->counters->kernel_dropped;
}

/* The interface to send out of, 0 for the kernel's route. A configured one may be up by now that
 * was not at the last reconciliation. */
static int outgoing(struct group *group, const char *interface, unsigned *ret_ifindex)
{
	const char *name = interface ? interface : group->config->send_interface.count ? group->config->send_interface.items[0] : NULL;

	if (!interface && group->send_ifindex)
		*ret_ifindex = group->send_ifindex;
	else
		*ret_ifindex = name ? if_nametoindex(name) : 0;
	return name && !*ret_ifindex ? -ENODEV : 0;
}

static int send_vectors(struct group *group, const struct iovec *vectors, unsigned count,
	const struct send_options *options, struct sender **ret_busy)
{
	const struct config_group *config = group->config;
	struct send_target target = {
		.ttl = options->ttl < 0 ? (int)config->ttl : options->ttl, .loop = config->loop};
	unsigned ifindex;
	int r;

	if ((r = outgoing(group, options->interface, &ifindex)) < 0)
		return r;
	if ((r = senders_get(group->context->senders, config->address.family, ifindex, ret_busy)) <
		0)
		return r;
	target.to_length = address_to_endpoint(
		&config->address, (uint16_t)config->port, ifindex, &target.to);
	r = sender_send(*ret_busy, &target, vectors, count);
	for (int i = 0; i < r; i++)
		group->counters->sent_bytes += vectors[i].iov_len;
	if (r > 0)
		group->counters->sent += (uint64_t)r;
	return r;
}

static int explain(
	int r, const struct group *group, const char *interface, char why[static WHY_MAX])
{
	const char *name = interface;
	bool v4 = group->config->address.family == AF_INET;

	switch (-r) {
	case ENETUNREACH:
		return because(why, r,
			"no route for %s: set send_interface, or add a multicast route (ip %s dev "
			"IFACE)",
			group->config->name,
			v4 ? "route add 224.0.0.0/4"
			   : "-6 route add multicast ff00::/8 table local");
	case ENODEV:
	case ENXIO:
		return because(why, r, "there is no interface %s", name ? name : "to send out of");
	case EADDRNOTAVAIL:
		return because(why, r, "the interface has no %s address to send from",
			v4 ? "IPv4" : "IPv6");
	case EINVAL:
		return because(why, r,
			"%s: a link-local group needs an interface: set send_interface, or send "
			"with one",
			strerror(-r));
	case EMSGSIZE:
		return because(why, r, "the datagram is too large for the interface's path");
	case EPERM:
		return because(why, r, "%s: a firewall on this host refuses it", strerror(-r));
	default:
		return because(why, r, "%s", strerror(-r));
	}
}

int group_send(struct group *group, const void *payload, size_t size,
	const struct send_options *options, char why[static WHY_MAX], struct sender **ret_busy)
{
	struct iovec vector = {(void *)payload, size};
	int r = send_vectors(group, &vector, 1, options, ret_busy);

	if (r >= 0)
		return 0;
	if (r != -EAGAIN)
		group->counters->send_failed++;
	return explain(r, group, options->interface, why);
}

int group_send_batch(
	struct group *group, const struct iovec *vectors, unsigned count, struct sender **ret_busy)
{
	static const struct send_options configured = {.ttl = -1};

	return send_vectors(group, vectors, count, &configured, ret_busy);
}
