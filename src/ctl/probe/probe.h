/* "mcastctl probe": measures the way from one host to another. One end sends numbered datagrams,
 * the other one says how many were lost, reordered or doubled, and how long they took. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "ctl/session.h"

/* The smallest payload; what is behind that in a larger one is zero. */
#define PROBE_SIZE_MIN 48

struct probe_sending {
	const char *word; /* a GROUP of the daemon, or a TARGET */
	uint64_t interval_ns; /* between two datagrams */
	uint64_t count; /* 0: until interrupted */
	size_t size; /* of each payload */
	int ttl; /* -1: the group's, or 1 */
};

/* Returns an exit code. */
int probe_send(struct session *session, const struct probe_sending *sending);

struct probe_receiving {
	const char *word;
	uint64_t wait_ns; /* this long after the last datagram it is over */
	uint64_t timeout_ns; /* for the first one; 0: none */
};

/* Returns an exit code: EXIT_REFUSED where nothing came, or something was lost. */
int probe_receive(struct session *session, const struct probe_receiving *receiving);
