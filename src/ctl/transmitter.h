/* Sends to a TARGET without the daemon. What is to leave on an interface leaves there or not at
 * all; without an interface the kernel's route decides. */
#pragma once

#include "ctl/session.h"
#include "net/target.h"

struct transmitter {
	int fd; /* -1: none */
	union endpoint to;
	socklen_t to_length;
	size_t size_max; /* bytes of payload */
};

struct transmitter_options {
	const char *interface; /* of the option; NULL: that of the target, if any */
	int ttl; /* -1: the kernel's default, which is 1 for a group */
};

/* The target's source is the address to send from. Returns an exit code; transmitter->fd is to be
 * closed. */
int transmitter_open(struct transmitter *transmitter, const struct session *session,
	const struct target *target, const struct transmitter_options *options);

/* Sends one datagram; waits while the network is busy. Returns 0, or a negative errno with the
 * reason in why. */
int transmitter_send(const struct transmitter *transmitter, const void *data, size_t size,
	char why[static WHY_MAX]);
