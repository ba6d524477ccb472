/* A run of Send calls, pipelined: up to SENDER_WINDOW of them wait for their answers at a time.
 * That is twenty times as fast as waiting for each, and bounds what is in memory and in flight.
 *
 * The first refusal ends the run; its number is in the message. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ctl/session.h"

#define SENDER_WINDOW 256

struct sender {
	struct session *session;
	struct text head; /* the parameters up to the payload */
	const char *unit; /* what a message calls one payload, "line"; NULL: there is only one */
	bool silent; /* with --json, the answers are not shown */
	int stop_fd; /* when it can be read, sender_wait_until() returns; -1: none */
	uint64_t submitted, answered, sent; /* sent: answered, and not with a refusal */
	int code; /* the exit code; not EXIT_DONE: the run is over, and why has been said */
};

/* parameters are those of Send without the payload. */
void sender_open(
	struct sender *sender, struct session *session, const json_t *parameters, const char *unit);
void sender_clear(struct sender *sender);

bool sender_has_room(const struct sender *sender);

/* Sends one, maybe not before the next wait. */
void sender_submit(struct sender *sender, const void *data, size_t size);

/* Waits for answers: until there is room again, or until all have come. */
void sender_wait_for_room(struct sender *sender);
void sender_finish(struct sender *sender);

/* Writes out what was submitted, and takes answers until that time of CLOCK_MONOTONIC, or until
 * other_fd (-1: none) or stop_fd can be read; UINT64_MAX: no time. */
void sender_wait_until(struct sender *sender, uint64_t deadline_ns, int other_fd);

#define AUTO_SENDER CLEANUP(sender_clear)
