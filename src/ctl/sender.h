/* A run of Send calls, pipelined: up to SENDER_WINDOW of them wait for their answers at a time.
 * That is twenty times as fast as waiting for each, and bounds memory. Or the same run to a TARGET
 * without the daemon, where each datagram is sent at once.
 *
 * A run may have several destinations, which get each payload in their order. The first refusal
 * ends what is sent to its destination, the last destination's end ends the run, unless
 * on_refusal() decides otherwise. The message of a refusal has the destination, where there are
 * several, and the number of the payload. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ctl/session.h"
#include "ctl/transmitter.h"

#define SENDER_WINDOW 256

#define DESTINATIONS_MAX 64

struct destination {
	const char *name; /* in messages and answers; NULL: it is the only one */
	struct transmitter *transmitter; /* NULL: the daemon sends */
	struct text *parameters; /* of Send, but the payload */
	uint64_t sent; /* datagrams, not refused */
	bool stayed_here; /* that something did was said on standard error */
	int code; /* not EXIT_DONE: nothing more is sent to it */
};

enum refusal {
	REFUSED_SIZE, /* too large for the address family of the group */
	REFUSED_BUSY, /* a queue of the network was full */
	REFUSED_NETWORK, /* the network, or this host, does not take it now */
	REFUSED_GROUP, /* there is no such group, or it may not be used */
};

enum refusal_answer { REFUSAL_ENDS_RUN, REFUSAL_IS_SAID, REFUSAL_IS_SILENT };

struct sender {
	struct session *session;
	struct destination only; /* of a run with one */
	struct destination *destinations;
	size_t count;
	bool is_alone; /* without the daemon */
	const char *unit; /* "line": names a payload in messages; NULL: there is only one */
	bool silent; /* do not show the answers with --json */
	int stop_fd; /* ends sender_wait_until() when it is readable; -1: none */
	/* What becomes of a refusal. NULL: as above. */
	enum refusal_answer (*on_refusal)(
		void *context, struct destination *destination, enum refusal refusal);
	void *context; /* of on_refusal() */
	uint64_t submitted; /* payloads */
	uint64_t sent; /* datagrams, not refused */
	uint64_t sent_bytes; /* of payload */
	uint64_t asked, answered; /* calls of Send */
	struct {
		struct destination *destination;
		uint64_t number; /* of the payload, counts from 1 */
		size_t size;
	} waiting[SENDER_WINDOW]; /* each call that has no answer, a ring */
	int code; /* the exit code; not EXIT_DONE: the run is over */
};

/* Without a transmitter the session has the parameters of Send but the payload. Both outlive the
 * sender, which owns nothing. */
void sender_open(struct sender *sender, struct session *session, struct transmitter *transmitter,
	const char *unit);

/* The same to 1 to DESTINATIONS_MAX destinations, which outlive the sender: either all have a
 * transmitter, or none. */
void sender_open_all(struct sender *sender, struct session *session,
	struct destination *destinations, size_t count, const char *unit);

bool sender_has_room(const struct sender *sender);

/* Sends one, perhaps not before the next wait. */
void sender_submit(struct sender *sender, const void *data, size_t size);

/* The same to somewhere else. What the daemon is to send needs a sender that was opened without a
 * transmitter. The destination must stay there until its answer has come. */
void sender_submit_to(
	struct sender *sender, struct destination *destination, const void *data, size_t size);

/* Waits for answers: until there is room again, or until all have come. */
void sender_wait_for_room(struct sender *sender);
void sender_wait_for_all(struct sender *sender);

/* The end of the run: waits for all answers. The code is then that of the first destination that
 * failed, if one has. */
void sender_finish(struct sender *sender);

/* Writes what was submitted, and takes answers until a time of CLOCK_MONOTONIC (UINT64_MAX: none)
 * or until other_fd (-1: none) or stop_fd is readable. */
void sender_wait_until(struct sender *sender, uint64_t deadline_ns, int other_fd);
