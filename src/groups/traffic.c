/* A group's traffic: the outlets that get what arrives, and sending to the group. */
#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "groups/group.h"
#include "net/interface.h"

void group_apply_needs(struct group *group)
{
	unsigned needs = group->outgoing.echoes ? NEED_DATAGRAMS | NEED_SOURCE : 0;

	for (size_t i = 0; i < group->outlets.count; i++)
		needs |= NEED_DATAGRAMS | group->outlets.items[i]->needs;
	if (needs == group->needs)
		return;
	group->needs = needs;
	for (size_t i = 0; i < group->memberships.count; i++)
		membership_apply_needs(group->memberships.items[i], false);
	outgoing_apply_needs(group);
}

int group_attach(struct group *group, struct outlet *outlet)
{
	int r = array_add(&group->outlets, outlet);

	group_apply_needs(group);
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
	group_apply_needs(group);
}

uint64_t group_kernel_dropped(struct group *group)
{
	for (size_t i = 0; i < group->memberships.count; i++)
		membership_count_drops(group->memberships.items[i]);
	group->counters->kernel_dropped += outgoing_count_drops(group);
	return group->counters->kernel_dropped;
}

int group_explain(
	const struct group *group, int r, const struct unsent *unsent, char why[static WHY_MAX])
{
	const struct way *way = unsent->way;
	bool v4 = group->config->address.family == AF_INET;
	const char *interface = way ? way->interface : NULL;

	if (way && way->failure < 0)
		return because(why, r, "%s", way->error ? way->error : strerror(-r));
	switch (-r) {
	case ENETUNREACH:
		if (interface)
			return because(why, r, "%s is down, or has no multicast route", interface);
		return because(why, r,
			"no route for %s: set send_interface, or add a multicast route (ip %s dev "
			"IFACE)",
			group->config->name,
			v4 ? "route add 224.0.0.0/4"
			   : "-6 route add multicast ff00::/8 table local");
	case ENODEV:
	case ENXIO:
		return because(why, r, "there is no interface %s",
			interface ? interface : "to send out of");
	case EADDRNOTAVAIL:
		return because(why, r, "%s has no %s address to send from",
			interface ? interface : "the interface", v4 ? "IPv4" : "IPv6");
	case EINVAL:
		if (interface)
			return because(why, r, "%s: %s no longer has the address to send from",
				strerror(-r), interface);
		return because(why, r,
			"%s: a link-local group needs an interface: set send_interface, or send "
			"with one",
			strerror(-r));
	case EMSGSIZE:
		return because(why, r, "the datagram is larger than %u bytes, or than %s takes",
			datagram_max(group->config->address.family),
			interface ? interface : "the interface");
	case ENOBUFS:
		return because(
			why, r, "the queue of %s is full", interface ? interface : "the interface");
	case EPERM:
		return because(why, r, "%s: a firewall on this host refuses it", strerror(-r));
	default:
		return because(why, r, "%s", strerror(-r));
	}
}

static int send_by(struct group *group, const struct ways *ways, int ttl,
	const struct iovec *vectors, unsigned count, struct unsent *ret)
{
	uint64_t bytes = 0;
	int r = outgoing_send(group, ways, ttl, vectors, count, &ret->way, &ret->count);

	for (int i = 0; i < r; i++)
		bytes += vectors[i].iov_len;
	group->counters->sent_bytes += bytes;
	group->counters->sent += r > 0 ? (uint64_t)r : 0;
	return r;
}

/* By the ways that the configuration names. */
static int send_configured(struct group *group, int ttl, const struct iovec *vectors,
	unsigned count, struct unsent *ret)
{
	if (!group->outgoing.usable)
		outgoing_examine(group);
	return send_by(group, &group->outgoing.ways, ttl, vectors, count, ret);
}

static int send_chosen(struct group *group, const struct send_options *options,
	const struct iovec *vector, struct unsent *ret)
{
	struct way *way;
	int r = outgoing_choose(group, options->interface, &way);

	ret->way = NULL;
	return r < 0 ? r : send_by(group, &(struct ways){&way, 1}, options->ttl, vector, 1, ret);
}

int group_send(struct group *group, const void *payload, size_t size,
	const struct send_options *options, struct unsent *ret)
{
	struct iovec vector = {(void *)payload, size};
	int r = options->interface ? send_chosen(group, options, &vector, ret)
				   : send_configured(group, options->ttl, &vector, 1, ret);

	if (r < 0 && r != -EAGAIN)
		group->counters->send_failed++;
	return r < 0 ? r : 0;
}

int group_send_batch(
	struct group *group, const struct iovec *vectors, unsigned count, struct unsent *ret)
{
	return send_configured(group, -1, vectors, count, ret);
}
