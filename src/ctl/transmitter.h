/* Sends to a TARGET without the daemon. What is to leave on an interface leaves there or not at
 * all; without an interface the kernel's route decides. */
#pragma once

#include "ctl/session.h"
#include "net/target.h"
#include "net/udp_way.h"

struct transmitter {
	struct udp_way way;
	struct udp_socket socket; /* socket.out.fd is -1 while there is none */
	char *name; /* of way.interface */
	char leaves_on[IF_NAMESIZE]; /* the interface, also where the kernel's route decides */
	int ttl; /* as in the options */
};

struct transmitter_options {
	const char *source_key; /* how messages name the address to send from */
	int ttl; /* -1: the kernel's default, which is 1 for a group */
};

/* The target's source is the address to send from. Returns an exit code. */
int transmitter_open(struct transmitter *transmitter, const struct session *session,
	const struct target *target, const struct transmitter_options *options);

void transmitter_close(struct transmitter *transmitter);

/* Sends one datagram; waits while the network is busy. Where the interface or its address was
 * replaced, goes on with the new one. Returns 0, or a negative errno with the
 * reason in why. */
int transmitter_send(
	struct transmitter *transmitter, const void *data, size_t size, char why[static WHY_MAX]);

#define NO_TRANSMITTER              \
	{                           \
		.socket.out.fd = -1 \
	}
