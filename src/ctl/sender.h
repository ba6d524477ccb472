/* A run of Send calls, pipelined: up to SENDER_WINDOW of them wait for their answers at a time.
 * That is twenty times as fast as waiting for each, and bounds memory. Or the same run to a TARGET
 * without the daemon, where each datagram is sent at once.
 *
 * The first refusal ends the run; its number is in the message. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ctl/session.h"
#include "ctl/transmitter.h"

#define SENDER_WINDOW 256

struct sender {
	struct session *session;
	struct transmitter *transmitter; /* NULL: the daemon sends */
	const char *unit; /* "line": names a payload in messages; NULL: there is only one */
	bool stayed_here; /* that something did was said on standard error */
	bool silent; /* do not show the answers with --json */
	int stop_fd; /* ends sender_wait_until() when it is readable; -1: none */
	uint64_t submitted, answered, sent; /* sent: answered, and not with a refusal */
	int code; /* the exit code; not EXIT_DONE: the run is over */
};

/* Without a transmitter the session has the parameters of Send but the payload. Both outlive the
 * sender, which owns nothing. */
void sender_open(struct sender *sender, struct session *session, struct transmitter *transmitter,
	const char *unit);

bool sender_has_room(const struct sender *sender);

/* Sends one, perhaps not before the next wait. */
void sender_submit(struct sender *sender, const void *data, size_t size);

/* Waits for answers: until there is room again, or until all have come. */
void sender_wait_for_room(struct sender *sender);
void sender_finish(struct sender *sender);

/* Writes what was submitted, and takes answers until a time of CLOCK_MONOTONIC (UINT64_MAX: none)
 * or until other_fd (-1: none) or stop_fd is readable. */
void sender_wait_until(struct sender *sender, uint64_t deadline_ns, int other_fd);
