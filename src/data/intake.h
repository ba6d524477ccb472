/* Datagrams that an engine has received, on their way to the loop, which sends them to groups: a
 * bounded ring between two threads. Nothing is dropped when it is full: whoever fills it stops
 * reading from its broker.
 *
 * Each carries a token of the engine. Once the network has a datagram, or it cannot be sent for
 * good, its token is done; tokens are done in the order in which they were pushed. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/counters.h"

enum intake_drop {
	INTAKE_OWN, /* this site has sent it itself */
	INTAKE_DUPLICATE, /* it was sent to the group before */
	INTAKE_SIZE, /* no datagram can be that large */
	INTAKE_SEND, /* the network, or the group, did not take it */
	INTAKE_SHUTDOWN, /* it waited when the daemon had to stop */
	INTAKE_DROPS,
};

const char *intake_drop_name(enum intake_drop reason);

/* Whether it was not to be sent: then nothing is lost. */
bool intake_drop_is_wanted(enum intake_drop reason);

/* taken = sent + sum of dropped + waiting. Beside it gaps: datagrams of other sites that never
 * came. */
COUNTERS_RECORD(intake_account, {
	uint64_t taken, sent;
	uint64_t dropped[INTAKE_DROPS];
	uint64_t waiting; /* now, in the ring or in the loop's hand */
	uint64_t waiting_bytes;
	uint64_t gaps;
});

/* Adds what was lost with an earlier run to its drops: what waited when it was killed. Returns how
 * many. */
uint64_t intake_account_settle(struct intake_account *account);

/* The account of a handler. All intakes that it has one after the other, and at times beside each
 * other, count in it. */
struct intake_book {
	pthread_mutex_t lock; /* of account */
	struct intake_account *account;
};

struct intake;

/* A datagram in the ring. One larger than any datagram (DATAGRAM_MAX) waits without its payload,
 * which is NULL then, so that its token has its turn. */
struct intake_item {
	const char *group; /* its name */
	const uint8_t *payload;
	uint32_t size;
	uint64_t token;
};

/* One reference. book lives longer. bytes bounds the payloads and names together, and is at least
 * INTAKE_MIN. Returns 0 or a negative errno. */
#define INTAKE_MIN (256 * 1024)
int intake_new(uint64_t bytes, struct intake_book *book, struct intake **ret);
struct intake *intake_ref(struct intake *intake);
void intake_unref(struct intake *intake);

/* ---- The engine's side: any thread ---- */

/* Copies a datagram into the ring and counts it as taken. Returns 0, or -EAGAIN when the ring is
 * full, or -ESHUTDOWN when nothing more is wanted: then it is not taken, and must not be
 * acknowledged. Where there was no room, there is when intake_done_fd() becomes readable. */
int intake_push(struct intake *intake, const struct intake_item *item);

/* The same, waiting for room in a thread that may block. Never returns -EAGAIN. */
int intake_push_wait(struct intake *intake, const struct intake_item *item);

/* For a broker that does not deliver again what it has handed over: also after intake_stop()
 * datagrams are taken, until intake_end(), which must come once nothing more is read. Before the
 * first push. */
void intake_stay_open(struct intake *intake);
void intake_end(struct intake *intake);

/* Counts a datagram as taken and dropped: it needs no place. */
void intake_drop(struct intake *intake, enum intake_drop reason);

/* Adds to gaps; negative where one came late. */
void intake_count_gaps(struct intake *intake, int64_t gaps);

/* The token of the last datagram that is done; 0: none is. Those of intake_drop() have none. */
uint64_t intake_done(struct intake *intake);

/* Becomes readable (eventfd(2), not to be read) when intake_done() has changed since it was called
 * last. */
int intake_done_fd(const struct intake *intake);

/* Waits until nothing is left in the ring, or until_ns (CLOCK_MONOTONIC). Returns whether nothing
 * is. The worker of a handler calls it before finish(): then all tokens are done but those of
 * datagrams that had to be dropped for INTAKE_SHUTDOWN, which are never done, nor are any after
 * them. */
bool intake_wait_empty(struct intake *intake, uint64_t until_ns);

/* ---- The loop's side ---- */

/* Becomes readable (eventfd(2), not to be read) when something waits or the intake is stopped, and
 * stays so until intake_peek() finds nothing. */
int intake_fd(const struct intake *intake);

/* The oldest datagrams, of one group each call, most at most. Valid until intake_settle(). Returns
 * their number. */
unsigned intake_peek(struct intake *intake, struct intake_item *items, unsigned most);

/* The first ones of them are done: the number that was sent, and behind them the number that is
 * dropped for this reason. */
void intake_settle(struct intake *intake, unsigned sent, unsigned dropped, enum intake_drop reason);

/* Takes no more from the engine, and wakes those that wait. What waits stays. Safe from any thread.
 */
void intake_stop(struct intake *intake);

/* Whether it was stopped, takes nothing any more, and nothing waits. */
bool intake_is_finished(struct intake *intake);

/* Stops it, and drops what waits, for INTAKE_SHUTDOWN. Returns how many. Safe from any thread: what
 * the loop has in hand may still be sent, and settling it does nothing. */
uint64_t intake_abandon(struct intake *intake);

/* The account of one moment. */
void intake_read_account(struct intake_book *book, struct intake_account *ret);
