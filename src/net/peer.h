/* Who is at the other end of a UNIX socket: the user and the groups that it had when it connected
 * (SO_PEERCRED and SO_PEERGROUPS, unix(7) and socket(7)); and whether it is still there. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Of a user with more supplementary groups than this, these do not count. */
#define PEER_GROUPS_MAX 1024

struct peer {
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* the supplementary ones */
	size_t group_count;
};

/* To be freed with peer_clear(). Returns 0 or a negative errno. */
int peer_read(int fd, struct peer *ret);
void peer_clear(struct peer *peer);

int peer_copy(struct peer *ret, const struct peer *peer);
bool peer_equal(const struct peer *a, const struct peer *b);

/* Whether the group is one of its own. */
bool peer_is_in(const struct peer *peer, gid_t group);

/* The user alone, (uid_t)-1 when the kernel does not say. */
uid_t peer_uid(int fd);

/* Whether it has closed its socket, and not only its writing half (poll(2)). */
bool peer_has_gone(int fd);

/* Whether it writes no more, and all that it wrote was read. */
bool peer_has_ended(int fd);
