/* A listening UNIX socket. Accepting has turns of its own, so that it waits for no request, and the
 * loop for no flood of connections. After an error, such as running out of descriptors, it pauses
 * for a moment; libevent's own listener would try again without end. */
#pragma once

#include <sys/types.h>

#include "base/errors.h"
#include "net/turns.h"

struct event_base;
struct listener;

struct listener_options {
	const char *path;
	int type; /* SOCK_STREAM or SOCK_SEQPACKET */
	mode_t mode;
	gid_t group; /* (gid_t)-1: leave it */
	int fd; /* a socket of systemd that listens already, whose file is not ours; 0: none */
	struct turns *turns; /* for accepting, shared with other listeners */
	bool spare; /* keep a descriptor for the moment in which there is no other */
};

/* Called for each connection; owns fd, which is non-blocking and close-on-exec. */
typedef void (*listener_accept)(int fd, void *argument);

/* Binds and listens. A socket file that nobody listens on is replaced, no other file is. The
 * permissions are set before anybody can connect. Returns 0, or a negative errno with the reason in
 * why. */
int listener_new(struct event_base *base, const struct listener_options *options,
	listener_accept accept, void *argument, char why[static WHY_MAX], struct listener **ret);

/* Checks whether a socket may be made at a path, and connects to none. Returns 0 when there is a
 * socket that nobody listens on and that can be replaced, -ENOENT when there is nothing; or another
 * negative errno with the reason in why. */
int listener_check_path(const char *path, char why[static WHY_MAX]);

/* The process that listens at a path, as it was when it began to; 0: none that may be connected to.
 * It connects: where systemd listens, that starts the service. */
pid_t listener_owner(const char *path, int type);

/* Renames the socket file, atomically replacing another. The listener removes it under its new name
 * when it is freed. Returns 0 or a negative errno. */
int listener_rename(struct listener *listener, const char *path);

/* Stops listening, and removes the socket file if it is still the one that was made. Accepts NULL.
 */
void listener_free(struct listener *listener);
