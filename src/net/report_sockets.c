#include "net/report_sockets.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/cleanup.h"

static bool takes_any(const struct report_socket *socket)
{
	return socket->membership.exclude || !socket->membership.source_count;
}

/* Any source becomes those that are known, or nobody's. */
static int take_known(const struct report_socket *socket)
{
	struct multicast_membership other = socket->membership;
	struct address nobody;
	int r = -ENOBUFS;

	other.exclude = 0;
	other.sources = socket->senders;
	other.source_count = socket->sender_count;
	if (other.source_count)
		r = multicast_set_filter(socket->fd, &other);
	if (r != -ENOBUFS)
		return r;
	address_parse(other.group.family == AF_INET ? "192.0.2.1" : "2001:db8::1", &nobody);
	other.sources = &nobody;
	other.source_count = 1;
	return multicast_set_filter(socket->fd, &other);
}

static int take_any(const struct report_socket *socket)
{
	struct multicast_membership membership = socket->membership;

	membership.exclude = 1;
	return multicast_set_filter(socket->fd, &membership);
}

/* Not bound to a port, the other socket receives nothing. */
static int join_beside(const struct report_socket *socket_)
{
	struct multicast_membership any = socket_->membership;
	AUTO_CLOSE int fd = socket(any.group.family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char why[WHY_MAX];
	int r;

	if (fd < 0)
		return -errno;
	any.sources = NULL;
	any.source_count = 0;
	any.exclude = 0;
	r = multicast_join(fd, &any, why);
	if (r >= 0)
		multicast_leave(fd, &any.group, any.ifindex);
	return r;
}

static void rejoin(struct report_socket *sockets, size_t count)
{
	char why[WHY_MAX];

	for (size_t i = 0; i < count; i++)
		multicast_leave(
			sockets[i].fd, &sockets[i].membership.group, sockets[i].membership.ifindex);
	for (size_t i = 0; i < count; i++)
		sockets[i].back_r = multicast_join(sockets[i].fd, &sockets[i].membership, why);
}

void report_sockets(struct report_socket *sockets, size_t count, bool rejoins)
{
	bool any = false;
	int r;

	for (size_t i = 0; i < count; i++) {
		sockets[i].there_r = sockets[i].back_r = 0;
		any |= takes_any(&sockets[i]);
	}
	if (rejoins) {
		rejoin(sockets, count);
		return;
	}
	if (!any && count) {
		r = join_beside(&sockets[0]);
		for (size_t i = 0; i < count; i++)
			sockets[i].there_r = r;
		return;
	}
	for (size_t i = 0; i < count; i++)
		if (takes_any(&sockets[i]))
			sockets[i].there_r = take_known(&sockets[i]);
	for (size_t i = 0; i < count; i++)
		if (takes_any(&sockets[i]) && sockets[i].there_r >= 0)
			sockets[i].back_r = take_any(&sockets[i]);
}

int report_now(int fd, const struct multicast_membership *membership, bool rejoins,
	const struct address *senders, size_t count)
{
	struct report_socket socket = {.fd = fd,
		.membership = *membership,
		.senders = senders,
		.sender_count = count > REPORT_SENDERS_MAX ? REPORT_SENDERS_MAX : count};

	report_sockets(&socket, 1, rejoins);
	return socket.there_r < 0 ? socket.there_r : socket.back_r;
}
