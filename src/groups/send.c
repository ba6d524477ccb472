/* Sending to a group: which interface, how far, and what to say when it does not work. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "groups/group.h"
#include "net/interface.h"

/* The interface to send out of, 0 for the kernel's route; a configured one may have come up since
 * the last look. */
static int outgoing(struct group *group, const char *interface, unsigned *ret_ifindex)
{
	const char *name = interface ? interface : group->config->send_interface;

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
	if ((r = senders_get(
		     group->owner.context->senders, config->address.family, ifindex, ret_busy)) < 0)
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

static void explain(
	int r, const struct group *group, const char *interface, char why[static WHY_MAX])
{
	const char *name = interface ? interface : group->config->send_interface;
	bool v4 = group->config->address.family == AF_INET;

	switch (-r) {
	case ENETUNREACH:
		snprintf(why, WHY_MAX,
			"no route for %s: set send_interface, or add a multicast route (ip %s dev "
			"IFACE)",
			group->config->name,
			v4 ? "route add 224.0.0.0/4"
			   : "-6 route add multicast ff00::/8 table local");
		break;
	case ENODEV:
	case ENXIO:
		snprintf(why, WHY_MAX, "there is no interface %s", name ? name : "to send out of");
		break;
	case EADDRNOTAVAIL:
		snprintf(why, WHY_MAX, "the interface has no %s address to send from",
			v4 ? "IPv4" : "IPv6");
		break;
	case EINVAL:
		snprintf(why, WHY_MAX,
			"%s: a link-local group needs an interface: set send_interface, or send "
			"with one",
			strerror(-r));
		break;
	case EMSGSIZE:
		snprintf(why, WHY_MAX, "the datagram is too large for the interface's path");
		break;
	case EPERM:
		snprintf(why, WHY_MAX, "%s: a firewall on this host refuses it", strerror(-r));
		break;
	default:
		snprintf(why, WHY_MAX, "%s", strerror(-r));
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
	explain(r, group, options->interface, why);
	return r;
}

int group_send_batch(
	struct group *group, const struct iovec *vectors, unsigned count, struct sender **ret_busy)
{
	static const struct send_options configured = {.ttl = -1};

	return send_vectors(group, vectors, count, &configured, ret_busy);
}
