#include "net/link_monitor.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "net/interface.h"

/* Delay that gathers a burst of changes: an interface is created, named and set up at once. */
#define SETTLE_US 5000

#define MESSAGE_SIZE 16384

struct link_monitor {
	int fd;
	struct event readable;
	struct event settled;
	link_changed changed;
	void *argument;
	struct {
		unsigned *items;
		size_t count;
	} gone;
};

static void read_messages(struct link_monitor *monitor, const void *data, size_t size)
{
	unsigned left = (unsigned)size;

	for (const struct nlmsghdr *header = data; NLMSG_OK(header, left);
		header = NLMSG_NEXT(header, left)) {
		const struct ifinfomsg *link = NLMSG_DATA(header);

		/* AF_BRIDGE: it only left its bridge. */
		if (header->nlmsg_type == RTM_DELLINK &&
			header->nlmsg_len >= NLMSG_LENGTH(sizeof(*link)) &&
			link->ifi_family == AF_UNSPEC)
			array_add(&monitor->gone, (unsigned)link->ifi_index);
	}
}

static void on_readable(evutil_socket_t fd, short what, void *argument)
{
	static const struct timeval settle = {.tv_usec = SETTLE_US};
	_Alignas(struct nlmsghdr) char data[MESSAGE_SIZE];
	struct link_monitor *monitor = argument;
	ssize_t size;

	(void)what;
	/* After a loss (ENOBUFS) there is more to read. Comparing with the kernel's list of
	 * memberships makes up for what was lost. */
	while ((size = recv(fd, data, sizeof(data), MSG_DONTWAIT)) > 0 ||
		(size < 0 && errno == ENOBUFS))
		if (size > 0)
			read_messages(monitor, data, (size_t)size);
	if (!evtimer_pending(&monitor->settled, NULL))
		evtimer_add(&monitor->settled, &settle);
}

static void on_settled(evutil_socket_t fd, short what, void *argument)
{
	struct link_monitor *monitor = argument;
	struct link_change change = {monitor->gone.items, monitor->gone.count};

	(void)fd, (void)what;
	monitor->changed(monitor->argument, &change);
	monitor->gone.count = 0;
}

static int open_socket(void)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
			     RTMGRP_IPV6_IFINFO};
	AUTO_CLOSE int fd = socket(
		AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return take_fd(fd);
}

int link_monitor_new(
	struct event_base *base, link_changed changed, void *argument, struct link_monitor **ret)
{
	struct link_monitor *monitor;
	int fd = open_socket();

	if (fd < 0)
		return fd;
	monitor = calloc(1, sizeof(*monitor));
	if (!monitor) {
		close(fd);
		return -ENOMEM;
	}
	monitor->fd = fd;
	monitor->changed = changed;
	monitor->argument = argument;
	event_assign(&monitor->readable, base, fd, EV_READ | EV_PERSIST, on_readable, monitor);
	evtimer_assign(&monitor->settled, base, on_settled, monitor);
	event_add(&monitor->readable, NULL);
	*ret = monitor;
	return 0;
}

void link_monitor_free(struct link_monitor *monitor)
{
	if (!monitor)
		return;
	event_del(&monitor->readable);
	evtimer_del(&monitor->settled);
	close(monitor->fd);
	free(monitor->gone.items);
	free(monitor);
}
