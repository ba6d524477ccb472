/* A listening UNIX socket. Accepting has turns of its own, so that it waits for no request, and the
 * loop for no flood of connections. After an error, such as running out of descriptors, it pauses
 * for a moment; libevent's own listener would try again without end. */
#pragma once

#include <sys/types.h>

#include "base/errors.h"
#include "net/socket_file.h"
#include "net/turns.h"

struct event_base;
struct listener;

/* Connections that wait to be accepted. They are one queue for all users, so that it has to be
 * short where one of them fills it; who finds it full waits in connect(2). */
#define LISTENER_BACKLOG 512

struct listener_options {
	const char *path;
	int type; /* SOCK_STREAM or SOCK_SEQPACKET */
	mode_t mode;
	gid_t group; /* (gid_t)-1: leave it */
	int fd; /* a socket that listens already, which listener_new() takes over; 0: none */
	bool is_restored; /* fd: an earlier run has bound it to the path; else systemd has, and its
			     file is not ours */
	struct turns *turns; /* for accepting, shared with other listeners */
	bool spare; /* keep a descriptor for the moment in which there is no other; connections are
		       to be closed with listener_close() */
};

/* Called for each connection; owns fd, which is non-blocking and close-on-exec. */
typedef void (*listener_accept)(int fd, void *argument);

/* Binds and listens; who connects waits until listener_begin(). A socket file that nobody listens
 * on is replaced, no other file is. The permissions are set before anybody can connect. Returns 0,
 * or a negative errno with the reason in why. */
int listener_new(struct event_base *base, const struct listener_options *options,
	listener_accept accept, char why[static WHY_MAX], struct listener **ret);

/* Begins to accept, with this argument of accept, or goes on with another one. */
void listener_begin(struct listener *listener, void *argument);

/* Whether its socket file is still the one that was made. */
bool listener_has_file(const struct listener *listener);

/* The same, and it is at this path. */
bool listener_is_at(const struct listener *listener, const char *path);

/* Changes who may connect, as socket_file_permit(). */
int listener_permit(const struct listener *listener, mode_t mode, gid_t group);

/* Closes a connection. Its descriptor becomes the spare one where that was used for a
 * connection, this or another. */
void listener_close(struct listener *listener, int fd);

int listener_fd(const struct listener *listener);

/* Frees it, and leaves the file: the socket is in the fd store, and listens on. */
void listener_leave(struct listener *listener);

/* Stops listening, and removes the socket file if it is still the one that was made. Accepts NULL.
 */
void listener_free(struct listener *listener);
