/* The thread of a worker: takes chunks off the ring, and lets the kind deliver them. The kind's
 * object is its alone; what it shares with the loop lies under the ledger's lock. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "handlers/worker_state.h"

/* Whether the time to deliver what was queued is over. The lock is held. */
static bool expired(const struct worker *worker)
{
	return worker->retired && clock_ns(CLOCK_MONOTONIC) >= worker->deadline_ns;
}

/* Adds what became of datagrams in hand, and takes it off them. Returns whether to go on. */
static bool settle(struct worker *worker, const struct outcome *outcome)
{
	uint64_t settled = outcome_total(outcome);
	bool go_on;

	pthread_mutex_lock(&worker->ledger->lock);
	ledger_settle(worker->ledger, worker->kind->config.name, outcome);
	worker->in_hand -= settled;
	go_on = !expired(worker);
	pthread_mutex_unlock(&worker->ledger->lock);
	return go_on;
}

/* Lets the kind do what is due. */
static void serve(struct worker *worker)
{
	struct outcome outcome = {0};

	worker->kind->serve(worker->object, &outcome);
	settle(worker, &outcome);
}

/* When serve() is due next; 0: never. */
static uint64_t service_deadline(const struct worker *worker)
{
	return worker->kind->deadline ? worker->kind->deadline(worker->object) : 0;
}

/* Does what the loop has asked for. has_chunk tells that one more is to be delivered; what was
 * queued when rotating was asked for goes to the old file. */
static void answer(struct worker *worker, bool has_chunk)
{
	struct outcome outcome = {0};
	bool begin, rotate;

	pthread_mutex_lock(&worker->ledger->lock);
	begin = worker->begin;
	rotate = worker->rotate && (!has_chunk || !worker->rotate_after--);
	worker->begin = false;
	worker->rotate &= !rotate;
	pthread_mutex_unlock(&worker->ledger->lock);
	if (begin)
		worker->kind->begin(worker->object);
	if (!rotate)
		return;
	worker->kind->rotate(worker->object, &outcome);
	settle(worker, &outcome);
}

static bool is_due(const struct worker *worker)
{
	uint64_t deadline = service_deadline(worker);

	return deadline && clock_ns(CLOCK_MONOTONIC) >= deadline;
}

/* Returns whether to go on. */
static bool deliver(struct worker *worker, const struct batch *batch)
{
	struct outcome outcome = {0};
	bool go_on;

	worker->kind->deliver(worker->object, batch, &outcome);
	go_on = settle(worker, &outcome);
	if (is_due(worker))
		serve(worker);
	return go_on;
}

static uint64_t patience(const struct worker *worker)
{
	return worker->kind->patience ? worker->kind->patience(worker->object) : 0;
}

/* Until when to wait at the most; 0: for as long as it takes. */
static uint64_t wait_deadline(struct worker *worker)
{
	uint64_t deadline = service_deadline(worker);

	pthread_mutex_lock(&worker->ledger->lock);
	if (worker->retired)
		deadline = earlier_ns(deadline, worker->deadline_ns);
	if (worker->napping)
		deadline = earlier_ns(deadline, clock_ns(CLOCK_MONOTONIC) + patience(worker));
	pthread_mutex_unlock(&worker->ledger->lock);
	return deadline;
}

/* Waits until the ring is filled, the worker is retired, or serve() is due; and then serves. */
static void wait_for_work(struct worker *worker)
{
	struct pollfd fds[2] = {
		{.fd = worker->filled, .events = POLLIN}, {.fd = -1, .events = POLLIN}};
	uint64_t deadline = wait_deadline(worker), now = clock_ns(CLOCK_MONOTONIC), count;
	struct timespec left = ns_timespec(deadline > now ? deadline - now : 0);

	if (worker->kind->descriptor)
		fds[1].fd = worker->kind->descriptor(worker->object);
	if (ppoll(fds, 2, deadline ? &left : NULL, NULL) < 0)
		return;
	if (fds[0].revents && read(worker->filled, &count, sizeof(count)) < 0 && errno != EAGAIN)
		log_error("handler %s: eventfd: %s", worker->ledger->name, strerror(errno));
	if (fds[1].revents || is_due(worker))
		serve(worker);
}

/* Whether the time to deliver is over; asks for the lock. */
static bool is_expired(struct worker *worker)
{
	bool over;

	pthread_mutex_lock(&worker->ledger->lock);
	over = expired(worker);
	pthread_mutex_unlock(&worker->ledger->lock);
	return over;
}

/* Waits until the kind takes more. Returns whether it does: not when the time is over. */
static bool wait_until_ready(struct worker *worker)
{
	const struct handler_kind *kind = worker->kind;

	while (kind->ready && !kind->ready(worker->object)) {
		if (is_expired(worker))
			return false;
		wait_for_work(worker);
	}
	return true;
}

/* Delivers one run, in as many batches as the kind wants it. Returns whether to go on. */
static bool deliver_run(struct worker *worker, const struct batch *run)
{
	unsigned most = worker->kind->batch_max ? worker->kind->batch_max : BATCH_MAX;

	for (unsigned first = 0; first < run->count; first += most) {
		struct batch batch = {.origin = run->origin,
			.count = run->count - first < most ? run->count - first : most,
			.lost = first ? 0 : run->lost,
			.datagrams = run->datagrams + first};

		if (!wait_until_ready(worker) || !deliver(worker, &batch))
			return false;
	}
	return true;
}

static void deliver_chunk(struct worker *worker, struct ring_chunk *chunk)
{
	bool go_on = true;

	for (unsigned i = chunk->first_run; go_on && i < chunk->run_count; i++) {
		struct batch run = ring_chunk_batch(chunk, i);

		go_on = deliver_run(worker, &run);
	}
	pthread_mutex_lock(&worker->ledger->lock);
	ring_return(&worker->ring, chunk);
	worker->chunk = NULL;
	worker->in_hand_bytes = 0;
	pthread_mutex_unlock(&worker->ledger->lock);
}

/* Takes the next chunk. Returns NULL when there is none, and *ret_go_on whether one may still come.
 * A thread whose kind has patience takes a nap after a chunk before it is woken for the next: where
 * datagrams keep coming, it is never. */
static struct ring_chunk *take_chunk(struct worker *worker, bool nap, bool *ret_go_on)
{
	struct ring_chunk *chunk = NULL;

	pthread_mutex_lock(&worker->ledger->lock);
	if (!expired(worker))
		chunk = ring_take(&worker->ring);
	worker->chunk = chunk;
	if (chunk) {
		worker->in_hand += chunk->count;
		worker->in_hand_bytes = chunk->payload_bytes;
		worker->in_hand_since_ns = chunk->since_ns;
	}
	worker->waiting = !chunk && !nap;
	worker->napping = !chunk && nap;
	*ret_go_on = !worker->retired;
	pthread_mutex_unlock(&worker->ledger->lock);
	return chunk;
}

/* The next chunk to deliver, after however long it takes; NULL at the end. */
static struct ring_chunk *next_chunk(struct worker *worker)
{
	bool nap = patience(worker) > 0, go_on;
	struct ring_chunk *chunk;

	for (;; nap = false) {
		chunk = take_chunk(worker, nap, &go_on);
		/* Only now: begin() was asked for before the chunk could be filled. */
		answer(worker, chunk);
		if (chunk || !go_on)
			return chunk;
		wait_for_work(worker);
	}
}

/* Lets the kind end what it has begun. */
static void finish(struct worker *worker)
{
	struct outcome outcome = {0};

	if (!worker->kind->finish)
		return;
	worker->kind->finish(worker->object, worker->deadline_ns, &outcome);
	settle(worker, &outcome);
}

void *worker_main(void *argument)
{
	struct worker *worker = argument;
	struct ring_chunk *chunk;

	while ((chunk = next_chunk(worker)))
		deliver_chunk(worker, chunk);
	finish(worker);
	worker->kind->close(worker->object);
	worker_end_life(worker);
	return NULL;
}
