#include "handlers/worker_state.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/log.h"

/* The threads that live. */
static struct {
	pthread_mutex_t lock; /* before that of a ledger */
	pthread_cond_t ended;
	struct worker *first;
} alive = {.lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};

static void begin_life(struct worker *worker)
{
	pthread_mutex_lock(&alive.lock);
	worker->next_alive = alive.first;
	alive.first = worker;
	pthread_mutex_unlock(&alive.lock);
}

/* Takes it off the list. The lock is held. */
static void forget_life(struct worker *worker)
{
	struct worker **link = &alive.first;

	while (*link != worker)
		link = &(*link)->next_alive;
	*link = worker->next_alive;
}

static void worker_free(struct worker *worker)
{
	ring_destroy(&worker->ring);
	closep(&worker->filled);
	free(worker);
}

static void worker_leave_ledger(struct worker *worker)
{
	struct ledger *ledger = worker->ledger;
	struct worker **link = &ledger->workers;
	uint64_t left;

	pthread_mutex_lock(&ledger->lock);
	left = worker->expired + ring_drop_all(&worker->ring) + worker->in_hand;
	ledger->account->outcome.dropped[DROP_SHUTDOWN] += left - worker->expired;
	while (*link != worker)
		link = &(*link)->next;
	*link = worker->next;
	pthread_mutex_unlock(&ledger->lock);
	if (left)
		log_warning("handler %s: %" PRIu64
			    " datagrams dropped, it could not take them before it had to stop",
			worker->ledger->name, left);
	ledger_unref(ledger);
}

void worker_end_life(struct worker *worker)
{
	pthread_mutex_lock(&alive.lock);
	forget_life(worker);
	worker_leave_ledger(worker);
	worker_free(worker);
	pthread_cond_broadcast(&alive.ended);
	pthread_mutex_unlock(&alive.lock);
}

/* What is queued for a thread that is stuck past its deadline will not be delivered: that is
 * settled here, as the thread itself may never come to it. What it holds in its hands may yet go
 * either way. The ledger's lock is held. */
static void expire(struct worker *worker)
{
	uint64_t dropped;

	if (!worker->retired || worker->is_expired ||
		clock_ns(CLOCK_MONOTONIC) < worker->deadline_ns)
		return;
	worker->is_expired = true;
	dropped = ring_retire(&worker->ring, worker->chunk);
	worker->expired += dropped;
	worker->ledger->account->outcome.dropped[DROP_SHUTDOWN] += dropped;
}

void workers_expire(void)
{
	pthread_mutex_lock(&alive.lock);
	for (struct worker *worker = alive.first; worker; worker = worker->next_alive) {
		pthread_mutex_lock(&worker->ledger->lock);
		expire(worker);
		pthread_mutex_unlock(&worker->ledger->lock);
	}
	pthread_mutex_unlock(&alive.lock);
}

/* The process ends without the thread. */
static void abandon(struct worker *worker)
{
	struct ledger *ledger = worker->ledger;
	uint64_t lost;

	pthread_mutex_lock(&ledger->lock);
	expire(worker);
	lost = worker->expired + worker->in_hand;
	ledger->account->outcome.dropped[DROP_SHUTDOWN] += worker->in_hand;
	worker->in_hand = 0;
	pthread_mutex_unlock(&ledger->lock);
	log_warning("handler %s: stuck in writing when it had to stop; %" PRIu64
		    " datagrams dropped",
		worker->ledger->name, lost);
}

unsigned workers_wait(uint64_t deadline_ns)
{
	struct timespec deadline = ns_timespec(deadline_ns);
	unsigned left = 0;

	pthread_mutex_lock(&alive.lock);
	while (alive.first && pthread_cond_clockwait(&alive.ended, &alive.lock, CLOCK_MONOTONIC,
				      &deadline) != ETIMEDOUT)
		;
	for (struct worker *worker = alive.first; worker; worker = worker->next_alive, left++)
		abandon(worker);
	pthread_mutex_unlock(&alive.lock);
	return left;
}

/* Signals are the loop's business: the thread starts with all of them blocked, but for the one that
 * a write to a pipe without readers is answered with. The daemon ignores that, or wants to be ended
 * by it (ad hoc mode). */
static int start_thread(struct worker *worker)
{
	sigset_t all, before;
	pthread_attr_t attributes;
	pthread_t thread;
	int r;

	sigfillset(&all);
	sigdelset(&all, SIGPIPE);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, 256 * 1024);
	begin_life(worker);
	r = pthread_create(&thread, &attributes, worker_main, worker);
	pthread_attr_destroy(&attributes);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

static void join_ledger(struct worker *worker, struct ledger *ledger)
{
	worker->ledger = ledger_ref(ledger);
	pthread_mutex_lock(&ledger->lock);
	worker->next = ledger->workers;
	ledger->workers = worker;
	pthread_mutex_unlock(&ledger->lock);
}

int worker_start(const struct handler_kind *kind, void *object, const struct config_handler *config,
	struct ledger *ledger, struct worker **ret)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	int r;

	if (!worker)
		return -ENOMEM;
	worker->filled = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	worker->kind = kind;
	worker->object = object;
	worker->policy = (enum drop_policy)config->drop;
	if (worker->filled < 0 ||
		ring_init(&worker->ring, config->queue,
			config->queue_datagrams ? (uint64_t)config->queue_datagrams : UINT64_MAX) <
			0) {
		worker_free(worker);
		return -ENOMEM;
	}
	join_ledger(worker, ledger);
	r = start_thread(worker);
	if (r < 0) {
		worker_end_life(worker);
		return r;
	}
	*ret = worker;
	return 0;
}

void worker_push(struct worker *worker, const struct batch *batch)
{
	struct ledger *ledger = worker->ledger;
	uint64_t dropped = 0;
	unsigned pushed, evicted;
	bool wake;

	pthread_mutex_lock(&ledger->lock);
	ledger->account->received += batch->count;
	pushed = ring_push(&worker->ring, batch, 0);
	while (pushed < batch->count && worker->policy == DROP_OLDEST &&
		(evicted = ring_drop_oldest(&worker->ring))) {
		dropped += evicted;
		ring_lose(&worker->ring, evicted);
		pushed += ring_push(&worker->ring, batch, pushed);
	}
	dropped += batch->count - pushed;
	ring_lose(&worker->ring, batch->count - pushed);
	ledger->account->outcome.dropped[DROP_QUEUE] += dropped;
	if (worker->ring.queued + worker->in_hand > ledger->account->queued_max)
		ledger->account->queued_max = worker->ring.queued + worker->in_hand;
	wake = worker->waiting || (worker->napping && ring_is_half_full(&worker->ring));
	if (wake)
		worker->waiting = worker->napping = false;
	pthread_mutex_unlock(&ledger->lock);
	if (wake)
		eventfd_write(worker->filled, 1);
}

void worker_begin(struct worker *worker)
{
	pthread_mutex_lock(&worker->ledger->lock);
	worker->begin = true;
	pthread_mutex_unlock(&worker->ledger->lock);
	eventfd_write(worker->filled, 1);
}

/* Wakes the thread in any case: it looks for the request before each chunk, and when there is none.
 */
void worker_rotate(struct worker *worker)
{
	pthread_mutex_lock(&worker->ledger->lock);
	worker->rotate = true;
	worker->rotate_after = worker->ring.chunks_queued;
	pthread_mutex_unlock(&worker->ledger->lock);
	eventfd_write(worker->filled, 1);
}

void worker_retire(struct worker *worker, uint64_t deadline_ns)
{
	struct ledger *ledger = ledger_ref(worker->ledger);

	pthread_mutex_lock(&ledger->lock);
	worker->retired = true;
	worker->deadline_ns = deadline_ns;
	eventfd_write(worker->filled, 1);
	pthread_mutex_unlock(&ledger->lock);
	ledger_unref(ledger);
}

/* Since when the oldest datagram of a worker waits; 0: none does. */
static uint64_t oldest_ns(const struct worker *worker)
{
	if (worker->in_hand)
		return worker->in_hand_since_ns;
	return ring_since_ns(&worker->ring);
}

void workers_settle(struct ledger *ledger)
{
	for (struct worker *worker = ledger->workers; worker; worker = worker->next)
		expire(worker);
}

void workers_queued(const struct ledger *ledger, struct account *account)
{
	for (const struct worker *worker = ledger->workers; worker; worker = worker->next) {
		uint64_t oldest = oldest_ns(worker);

		account->queued += worker->ring.queued + worker->in_hand;
		account->queued_bytes += worker->ring.queued_bytes + worker->in_hand_bytes;
		if (oldest && (!account->oldest_ns || oldest < account->oldest_ns))
			account->oldest_ns = oldest;
	}
}
