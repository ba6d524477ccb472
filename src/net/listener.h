/* A listening UNIX socket that survives running out of descriptors: libevent's own listener would
 * spin through failed accepts, so accepting pauses for a moment after an error. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/errors.h"

struct event_base;
struct listener;

struct listener_options {
	const char *path;
	int type; /* SOCK_STREAM or SOCK_SEQPACKET */
	mode_t mode;
	gid_t group; /* (gid_t)-1: leave it */
	int fd; /* one that listens already and whose file is not ours, handed over by systemd; 0:
		   make it */
};

/* Called for each connection; owns fd, which is non-blocking and close-on-exec. */
typedef void (*listener_accept)(int fd, void *argument);

/* Binds and listens. A socket file that nobody listens on any more is replaced; one that somebody
 * does is not. The permissions are in force before anybody can connect. Returns 0, or a negative
 * errno with the reason in why. */
int listener_new(struct event_base *base, const struct listener_options *options,
	listener_accept accept, void *argument, char why[static WHY_MAX], struct listener **ret);

/* Looks at what is at a path where a socket is to be. Returns 0 when it is one that nobody listens
 * on any more, -ENOENT when nothing is there; or another negative errno with the reason in why. */
int listener_check_path(const char *path, int type, char why[static WHY_MAX]);

/* Renames the socket file over another, atomically; the listener removes that one when it is freed.
 * Returns 0 or a negative errno. */
int listener_rename(struct listener *listener, const char *path);

/* Stops listening, and removes the socket file if it still is the one that was made. Accepts NULL.
 */
void listener_free(struct listener *listener);
