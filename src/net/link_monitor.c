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
#include "base/log.h"
#include "base/timer.h"
#include "net/rtnetlink.h"

/* Delay that gathers a burst of changes: an interface is created, named and set up at once. */
#define SETTLE_US 5000

/* How long changes of routes and queueing disciplines are not read after some were: a router may
 * have thousands a second. The kernel keeps no more of them than fit into the buffer, in bytes,
 * and no more than READS_MAX are read at once. */
static const struct timeval minor_pause = {.tv_usec = 500000};

#define MINOR_BUFFER 4096

#define MESSAGE_SIZE 16384

/* Before the loop looks at its other descriptors. */
#define READS_MAX 64

struct link_monitor {
	int fd;
	int minor_fd; /* for routes and queueing disciplines */
	struct event readable;
	struct event minor; /* once, then off for minor_pause */
	struct event pause; /* before either is read again */
	struct event settled;
	bool links_changed, routes_changed; /* since the last call */
	struct log_limit limit;
	link_changed changed;
	void *argument;
	struct {
		unsigned *items;
		size_t count;
	} gone;
};

static void read_messages(struct link_monitor *monitor, const void *data, size_t size)
{
	const struct nlmsghdr *header;

	while ((header = rtnetlink_next(&data, &size))) {
		const struct ifinfomsg *link = rtnetlink_fixed(header, sizeof(*link));

		/* AF_BRIDGE: it only left its bridge. */
		if (header->nlmsg_type == RTM_DELLINK && link && link->ifi_family == AF_UNSPEC)
			array_add(&monitor->gone, (unsigned)link->ifi_index);
	}
}

static void settle(struct link_monitor *monitor)
{
	static const struct timeval delay = {.tv_usec = SETTLE_US};

	if (!evtimer_pending(&monitor->settled, NULL))
		timer_start(&monitor->settled, &delay);
}

/* What the kernel does not let be read stays readable: it is tried again later, and told. */
static void pause_if_refused(struct link_monitor *monitor, ssize_t size, int error)
{
	if (size >= 0 || error == EAGAIN || error == ENOBUFS || error == EINTR)
		return;
	if (log_limit_pass(&monitor->limit))
		log_warning("changes of links cannot be read: %s; they are found once a minute",
			strerror(error));
	event_del(&monitor->readable);
	timer_start(&monitor->pause, &minor_pause);
}

static void on_readable(evutil_socket_t fd, short what, void *argument)
{
	_Alignas(struct nlmsghdr) char data[MESSAGE_SIZE];
	struct link_monitor *monitor = argument;
	ssize_t size = 0;

	(void)what;
	/* After a loss (ENOBUFS) there is more to read. Comparing with the kernel's list of
	 * memberships makes up for what was lost. */
	for (int i = 0; i < READS_MAX && (size >= 0 || errno == ENOBUFS); i++) {
		size = recv(fd, data, sizeof(data), MSG_DONTWAIT);
		if (size > 0)
			read_messages(monitor, data, (size_t)size);
	}
	pause_if_refused(monitor, size, errno);
	monitor->links_changed = true;
	settle(monitor);
}

/* A loss (ENOBUFS) is a change like any other. */
static void on_minor(evutil_socket_t fd, short what, void *argument)
{
	struct link_monitor *monitor = argument;
	ssize_t size = 0;
	char data[1];

	(void)what;
	for (int i = 0; i < READS_MAX && (size >= 0 || errno == ENOBUFS); i++)
		size = recv(fd, data, sizeof(data), MSG_DONTWAIT);
	monitor->routes_changed = true;
	settle(monitor);
	timer_start(&monitor->pause, &minor_pause);
}

static void on_pause_over(evutil_socket_t fd, short what, void *argument)
{
	struct link_monitor *monitor = argument;

	(void)fd, (void)what;
	if (event_add(&monitor->minor, NULL) < 0 || event_add(&monitor->readable, NULL) < 0)
		timer_start(&monitor->pause, &minor_pause);
}

static void on_settled(evutil_socket_t fd, short what, void *argument)
{
	struct link_monitor *monitor = argument;
	struct link_change change = {.gone = monitor->gone.items,
		.gone_count = monitor->gone.count,
		.links_changed = monitor->links_changed,
		.routes_changed = monitor->routes_changed};

	(void)fd, (void)what;
	monitor->links_changed = monitor->routes_changed = false;
	monitor->changed(monitor->argument, &change);
	monitor->gone.count = 0;
}

static int open_socket(unsigned groups)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};
	AUTO_CLOSE int fd = socket(
		AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return take_fd(fd);
}

int link_monitor_new(
	struct event_base *base, link_changed changed, void *argument, struct link_monitor **ret)
{
	struct link_monitor *monitor = calloc(1, sizeof(*monitor));
	int size = MINOR_BUFFER;

	if (!monitor)
		return -ENOMEM;
	monitor->fd = open_socket(
		RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_IFINFO);
	monitor->minor_fd = open_socket(RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_TC);
	monitor->changed = changed;
	monitor->argument = argument;
	event_assign(
		&monitor->readable, base, monitor->fd, EV_READ | EV_PERSIST, on_readable, monitor);
	event_assign(&monitor->minor, base, monitor->minor_fd, EV_READ, on_minor, monitor);
	evtimer_assign(&monitor->pause, base, on_pause_over, monitor);
	evtimer_assign(&monitor->settled, base, on_settled, monitor);
	if (monitor->fd < 0 || monitor->minor_fd < 0) {
		int r = monitor->fd < 0 ? monitor->fd : monitor->minor_fd;

		link_monitor_free(monitor);
		return r;
	}
	setsockopt(monitor->minor_fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (event_add(&monitor->readable, NULL) < 0 || event_add(&monitor->minor, NULL) < 0) {
		link_monitor_free(monitor);
		return -ENOMEM;
	}
	*ret = monitor;
	return 0;
}

void link_monitor_free(struct link_monitor *monitor)
{
	if (!monitor)
		return;
	event_del(&monitor->readable);
	event_del(&monitor->minor);
	evtimer_del(&monitor->pause);
	evtimer_del(&monitor->settled);
	closep(&monitor->fd);
	closep(&monitor->minor_fd);
	free(monitor->gone.items);
	free(monitor);
}
