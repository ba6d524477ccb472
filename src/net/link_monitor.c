#include "net/link_monitor.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"

/* Changes come in bursts: an interface that is made, named and set up is looked at once. */
#define SETTLE_US 5000

#define MESSAGE_SIZE 16384

struct link_monitor {
	int fd;
	struct event readable;
	struct event settled;
	link_changed changed;
	void *argument;
	unsigned *gone; /* grown as needed, up to as many interfaces as there can be */
	unsigned gone_count, gone_room;
};

bool link_change_is_new(const struct link_change *change, unsigned index)
{
	for (unsigned i = 0; i < change->gone_count; i++)
		if (change->gone[i] == index)
			return true;
	return false;
}

static void note_gone(struct link_monitor *monitor, unsigned index)
{
	if (monitor->gone_count == monitor->gone_room) {
		unsigned room = monitor->gone_room ? 2 * monitor->gone_room : 64;
		unsigned *grown = reallocarray(monitor->gone, room, sizeof(*grown));

		if (!grown)
			return;
		monitor->gone = grown;
		monitor->gone_room = room;
	}
	monitor->gone[monitor->gone_count++] = index;
}

static void read_messages(struct link_monitor *monitor, const void *data, size_t size)
{
	unsigned left = (unsigned)size;

	for (const struct nlmsghdr *header = data; NLMSG_OK(header, left);
		header = NLMSG_NEXT(header, left)) {
		const struct ifinfomsg *link = NLMSG_DATA(header);

		/* With AF_BRIDGE it only left its bridge. */
		if (header->nlmsg_type == RTM_DELLINK &&
			header->nlmsg_len >= NLMSG_LENGTH(sizeof(*link)) &&
			link->ifi_family == AF_UNSPEC)
			note_gone(monitor, (unsigned)link->ifi_index);
	}
}

static void on_readable(evutil_socket_t fd, short what, void *argument)
{
	static const struct timeval settle = {.tv_usec = SETTLE_US};
	_Alignas(struct nlmsghdr) char data[MESSAGE_SIZE];
	struct link_monitor *monitor = argument;
	ssize_t size;

	(void)what;
	/* After a loss (ENOBUFS) there is more to read. What was lost shows in what the kernel says
	 * is joined. */
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
	struct link_change change = {monitor->gone, monitor->gone_count};

	(void)fd, (void)what;
	monitor->changed(monitor->argument, &change);
	monitor->gone_count = 0;
}

static int open_socket(void)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR};
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
	free(monitor->gone);
	free(monitor);
}
