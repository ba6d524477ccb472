#include "net/peer.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"

/* Groups for which there is room at once. */
#define ROOM 32

/* The second call has the size that the first one has asked for: the groups of a connection do not
 * change. */
static int read_groups(int fd, struct peer *peer)
{
	socklen_t size = ROOM * sizeof(gid_t);
	AUTO_FREE gid_t *groups = malloc(size);

	if (!groups)
		return -ENOMEM;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0) {
		if (errno != ERANGE)
			return -errno;
		if (size > PEER_GROUPS_MAX * sizeof(gid_t))
			return 0;
		free(groups);
		groups = malloc(size);
		if (!groups)
			return -ENOMEM;
		if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
			return -errno;
	}
	peer->group_count = size / sizeof(gid_t);
	if (peer->group_count)
		peer->groups = take(groups);
	return 0;
}

static int read_credentials(int fd, struct ucred *ret)
{
	socklen_t size = sizeof(*ret);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret, &size) < 0 ? -errno : 0;
}

int peer_read(int fd, struct peer *ret)
{
	struct ucred credentials;
	struct peer peer = {0};
	int r = read_credentials(fd, &credentials);

	if (r < 0)
		return r;
	peer.uid = credentials.uid;
	peer.gid = credentials.gid;
	r = read_groups(fd, &peer);
	if (r >= 0)
		*ret = peer;
	return r;
}

void peer_clear(struct peer *peer)
{
	free(peer->groups);
	*peer = (struct peer){0};
}

int peer_copy(struct peer *ret, const struct peer *peer)
{
	struct peer copy = *peer;

	if (peer->group_count) {
		copy.groups = malloc(peer->group_count * sizeof(gid_t));
		if (!copy.groups)
			return -ENOMEM;
		memcpy(copy.groups, peer->groups, peer->group_count * sizeof(gid_t));
	}
	*ret = copy;
	return 0;
}

bool peer_equal(const struct peer *a, const struct peer *b)
{
	return a->uid == b->uid && a->gid == b->gid && a->group_count == b->group_count &&
	       (!a->group_count || !memcmp(a->groups, b->groups, a->group_count * sizeof(gid_t)));
}

bool peer_is_in(const struct peer *peer, gid_t group)
{
	if (peer->gid == group)
		return true;
	for (size_t i = 0; i < peer->group_count; i++)
		if (peer->groups[i] == group)
			return true;
	return false;
}

uid_t peer_uid(int fd)
{
	struct ucred credentials;

	return read_credentials(fd, &credentials) < 0 ? (uid_t)-1 : credentials.uid;
}

bool peer_has_gone(int fd)
{
	struct pollfd poll_fd = {.fd = fd};

	return poll(&poll_fd, 1, 0) > 0 && poll_fd.revents & (POLLHUP | POLLERR);
}

/* An empty packet comes with credentials, where those are asked for, and the end does not. */
bool peer_has_ended(int fd)
{
	char control[CMSG_SPACE(sizeof(struct ucred))];
	struct iovec vector = {.iov_base = &(char){0}, .iov_len = 1};
	struct msghdr message = {.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT);

	if (n < 0 && errno == ECONNRESET) /* that is reported once, before the rest */
		n = recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT);
	return n == 0 && message.msg_controllen == 0;
}
