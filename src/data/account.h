/* What became of every datagram. For each handler, at any moment:
 *
 *     received = filtered + delivered + sum of dropped[reason] + queued
 *
 * All but queued only grow, and are counted where it happens; queued is counted independently, so
 * that account_balances() is a real check. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "data/counters.h"

enum drop_reason {
	DROP_RATE, /* beyond the handler's rate */
	DROP_STRIP, /* without the header that the handler's strip takes away */
	DROP_QUEUE, /* the handler's queue was full */
	DROP_IO, /* writing failed */
	DROP_BUSY, /* the network's buffer was full */
	DROP_ABSENT, /* no recipient */
	DROP_SIZE, /* larger than the recipient accepts */
	DROP_LOOP, /* a relay has sent it before */
	DROP_TTL, /* TTL exhausted: a relay must not send it further */
	DROP_UNCONFIRMED, /* sent to a broker, and not acknowledged when the handler had to stop */
	DROP_REFUSED, /* the broker does not take it */
	DROP_SHUTDOWN, /* still queued when the daemon had to stop */
	DROP_REASONS,
};

/* The reason's name in answers and metrics: "queue", "io", ... */
const char *drop_reason_name(enum drop_reason reason);

/* Whether the configuration wants it so: then nothing is lost. */
bool drop_reason_is_wanted(enum drop_reason reason);

#define COUNTED_MAX 8

/* What became of datagrams that were passed to deliver(). A kind adds to it as soon as it knows;
 * one that buffers datagrams does when the buffer is written. */
COUNTERS_RECORD(outcome, {
	uint64_t delivered;
	uint64_t dropped[DROP_REASONS];
	uint64_t counted[COUNTED_MAX]; /* whatever else the kind counts; no part of the identity */
	uint64_t acknowledged; /* of delivered: those that a broker has acknowledged */
	uint64_t acknowledge_ns; /* how long that took, of all of them */
});

static inline uint64_t outcome_total(const struct outcome *outcome)
{
	uint64_t total = outcome->delivered;

	for (int i = 0; i < DROP_REASONS; i++)
		total += outcome->dropped[i];
	return total;
}

/* A broker has acknowledged a datagram, this long after it was sent for the first time. */
static inline void outcome_acknowledge(struct outcome *outcome, uint64_t took_ns)
{
	outcome->delivered++;
	outcome->acknowledged++;
	outcome->acknowledge_ns += took_ns;
}

COUNTERS_RECORD(account, {
	uint64_t received;
	uint64_t filtered;
	struct outcome outcome;
	uint64_t kind; /* the one that counted[] belongs to, a hash of its counters' names */
	uint64_t queued; /* datagrams waiting now */
	uint64_t queued_bytes; /* their payload */
	uint64_t held; /* of queued: taken from the queue, and not settled */
	uint64_t queued_max; /* the maximum so far */
	uint64_t oldest_ns; /* since when the oldest of them waits, CLOCK_MONOTONIC; 0: none does */
	uint64_t read; /* the last one that it received from (struct batch) */
	uint64_t before_read; /* received when that began */
});

/* The layout of a struct account for counters_take(), with the meaning of dropped[]. */
uint64_t account_layout(void);

static inline bool account_balances(const struct account *account)
{
	return account->received ==
	       account->filtered + outcome_total(&account->outcome) + account->queued;
}

static inline void outcome_add(struct outcome *total, const struct outcome *more)
{
	total->delivered += more->delivered;
	for (int i = 0; i < DROP_REASONS; i++)
		total->dropped[i] += more->dropped[i];
	for (int i = 0; i < COUNTED_MAX; i++)
		total->counted[i] += more->counted[i];
	total->acknowledged += more->acknowledged;
	total->acknowledge_ns += more->acknowledge_ns;
}
