/* Where every datagram went. For each handler, at any moment:
 *
 *     received = filtered + delivered + sum of dropped[reason] + queued
 *
 * The three right-hand numbers only grow, and are counted where the thing happens; queued is
 * counted on its own, so that the identity can fail and account_balances() can tell. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum drop_reason {
	DROP_RATE, /* more came than the handler's rate lets through */
	DROP_QUEUE, /* the handler's queue was full */
	DROP_IO, /* writing failed */
	DROP_BUSY, /* the peer's or the network's buffer was full */
	DROP_ABSENT, /* nobody there to take it */
	DROP_SIZE, /* larger than what it goes to can take */
	DROP_LOOP, /* a relay has sent it before */
	DROP_TTL, /* at the end of its way: a relay must not send it further */
	DROP_SHUTDOWN, /* still queued when the daemon had to stop */
	DROP_REASONS,
};

/* The reason's name in answers and metrics: "queue", "io", ... */
const char *drop_reason_name(enum drop_reason reason);

/* What became of datagrams that were handed to deliver(): a kind adds to it as soon as it knows,
 * which for one that gathers datagrams in a buffer is when the buffer is written. */
#define COUNTED_MAX 8

struct outcome {
	uint64_t delivered;
	uint64_t dropped[DROP_REASONS];
	uint64_t counted[COUNTED_MAX]; /* whatever else the kind counts; no part of the identity */
};

static inline uint64_t outcome_total(const struct outcome *outcome)
{
	uint64_t total = outcome->delivered;

	for (int i = 0; i < DROP_REASONS; i++)
		total += outcome->dropped[i];
	return total;
}

struct account {
	uint64_t received;
	uint64_t filtered;
	struct outcome outcome;
	uint64_t kind; /* whose counted[] it has, a hash of its name */
	uint64_t queued; /* datagrams waiting now */
	uint64_t queued_bytes; /* their payload */
	uint64_t queued_max; /* the most that ever waited */
	uint64_t oldest_ns; /* since when the oldest of them waits, CLOCK_MONOTONIC; 0: none does */
};

static inline bool account_balances(const struct account *account)
{
	return account->received ==
	       account->filtered + outcome_total(&account->outcome) + account->queued;
}

/* Adds what happened to a total. */
static inline void outcome_add(struct outcome *total, const struct outcome *more)
{
	total->delivered += more->delivered;
	for (int i = 0; i < DROP_REASONS; i++)
		total->dropped[i] += more->dropped[i];
	for (int i = 0; i < COUNTED_MAX; i++)
		total->counted[i] += more->counted[i];
}
