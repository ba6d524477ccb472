#include "handlers/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "data/ring.h"

struct worker {
	struct worker *next; /* on the ledger */
	struct ledger *ledger; /* its lock guards everything below that the thread shares */
	const struct handler_kind *kind;
	void *object; /* the thread's alone */
	char *name;
	enum drop_policy policy;
	pthread_cond_t filled;
	struct ring ring;
	bool waiting; /* the thread waits for filled */
	bool retired;
	uint64_t deadline_ns; /* of the retirement */
	uint64_t in_hand, in_hand_bytes; /* taken from the ring and not yet settled */
	uint64_t flush_at_ns; /* thread's alone; 0: nothing is kept back */
};

/* How many threads live, for workers_wait(). */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t ended;
	unsigned count;
} alive = {.lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};

static void alive_change(int by)
{
	pthread_mutex_lock(&alive.lock);
	alive.count += (unsigned)by;
	pthread_cond_broadcast(&alive.ended);
	pthread_mutex_unlock(&alive.lock);
}

static struct timespec to_timespec(uint64_t ns)
{
	return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
}

unsigned workers_wait(uint64_t deadline_ns)
{
	struct timespec deadline = to_timespec(deadline_ns);
	unsigned left;

	pthread_mutex_lock(&alive.lock);
	while (alive.count &&
		pthread_cond_clockwait(&alive.ended, &alive.lock, CLOCK_MONOTONIC, &deadline) != ETIMEDOUT)
		;
	left = alive.count;
	pthread_mutex_unlock(&alive.lock);
	return left;
}

static void worker_free(struct worker *worker)
{
	ring_destroy(&worker->ring);
	pthread_cond_destroy(&worker->filled);
	free(worker->name);
	free(worker);
}

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
	outcome_add(&worker->ledger->account.outcome, outcome);
	worker->in_hand -= settled;
	go_on = !expired(worker);
	pthread_mutex_unlock(&worker->ledger->lock);
	return go_on;
}

static void flush(struct worker *worker)
{
	struct outcome outcome = {0};

	worker->flush_at_ns = 0;
	worker->kind->flush(worker->object, &outcome);
	settle(worker, &outcome);
}

/* Returns whether to go on. */
static bool deliver(struct worker *worker, const struct batch *batch)
{
	struct outcome outcome = {0};
	bool go_on;

	worker->kind->deliver(worker->object, batch, &outcome);
	go_on = settle(worker, &outcome);
	if (!worker->kind->flush)
		return go_on;
	if (!worker->flush_at_ns)
		worker->flush_at_ns = clock_ns(CLOCK_MONOTONIC) + worker->kind->flush_ns;
	else if (clock_ns(CLOCK_MONOTONIC) >= worker->flush_at_ns)
		flush(worker);
	return go_on;
}

static void deliver_chunk(struct worker *worker, struct ring_chunk *chunk)
{
	bool go_on = true;

	for (unsigned i = 0; go_on && i < chunk->run_count; i++) {
		struct batch batch = ring_chunk_batch(chunk, i);

		go_on = deliver(worker, &batch);
	}
	pthread_mutex_lock(&worker->ledger->lock);
	ring_give_back(&worker->ring, chunk);
	worker->in_hand_bytes = 0;
	pthread_mutex_unlock(&worker->ledger->lock);
}

/* Waits until there is a chunk, the next flush is due, or the worker is retired. The lock is held. */
static void wait_for_work(struct worker *worker)
{
	struct timespec until = to_timespec(worker->flush_at_ns);

	worker->waiting = true;
	if (worker->flush_at_ns)
		pthread_cond_clockwait(&worker->filled, &worker->ledger->lock, CLOCK_MONOTONIC, &until);
	else
		pthread_cond_wait(&worker->filled, &worker->ledger->lock);
	worker->waiting = false;
}

/* The next chunk to deliver, after however long it takes; NULL at the end. */
static struct ring_chunk *next_chunk(struct worker *worker)
{
	struct ring_chunk *chunk = NULL;

	pthread_mutex_lock(&worker->ledger->lock);
	while (!expired(worker)) {
		chunk = ring_take(&worker->ring);
		if (chunk || worker->retired)
			break;
		if (worker->flush_at_ns && clock_ns(CLOCK_MONOTONIC) >= worker->flush_at_ns) {
			pthread_mutex_unlock(&worker->ledger->lock);
			flush(worker);
			pthread_mutex_lock(&worker->ledger->lock);
			continue;
		}
		wait_for_work(worker);
	}
	if (chunk) {
		worker->in_hand += chunk->count;
		worker->in_hand_bytes = chunk->payload_bytes;
	}
	pthread_mutex_unlock(&worker->ledger->lock);
	return chunk;
}

/* Counts what could not be delivered in time, and leaves the ledger. */
static void leave_ledger(struct worker *worker)
{
	struct ledger *ledger = worker->ledger;
	struct worker **link = &ledger->workers;
	uint64_t left;

	pthread_mutex_lock(&ledger->lock);
	left = worker->ring.queued + worker->in_hand;
	ledger->account.outcome.dropped[DROP_SHUTDOWN] += left;
	while (*link != worker)
		link = &(*link)->next;
	*link = worker->next;
	pthread_mutex_unlock(&ledger->lock);
	if (left)
		log_warning("handler %s: %" PRIu64 " datagrams dropped, it could not take them before it had to stop",
			worker->name, left);
	ledger_unref(ledger);
}

static void *worker_main(void *argument)
{
	struct worker *worker = argument;
	struct ring_chunk *chunk;

	while ((chunk = next_chunk(worker)))
		deliver_chunk(worker, chunk);
	if (worker->kind->flush)
		flush(worker);
	worker->kind->close(worker->object);
	leave_ledger(worker);
	worker_free(worker);
	alive_change(-1);
	return NULL;
}

/* Signals are the loop's business: the thread starts with all of them blocked. */
static int start_thread(struct worker *worker)
{
	sigset_t all, before;
	pthread_attr_t attributes;
	pthread_t thread;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, 256 * 1024);
	alive_change(1);
	r = pthread_create(&thread, &attributes, worker_main, worker);
	if (r)
		alive_change(-1);
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
	pthread_cond_init(&worker->filled, NULL);
	worker->kind = kind;
	worker->object = object;
	worker->policy = (enum drop_policy)config->drop;
	worker->name = strdup(config->name);
	if (!worker->name || ring_init(&worker->ring, config->queue) < 0) {
		worker_free(worker);
		return -ENOMEM;
	}
	join_ledger(worker, ledger);
	r = start_thread(worker);
	if (r < 0) {
		leave_ledger(worker);
		worker_free(worker);
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

	pthread_mutex_lock(&ledger->lock);
	ledger->account.received += batch->count;
	pushed = ring_push(&worker->ring, batch, 0);
	while (pushed < batch->count && worker->policy == DROP_OLDEST &&
		(evicted = ring_drop_oldest(&worker->ring))) {
		dropped += evicted;
		pushed += ring_push(&worker->ring, batch, pushed);
	}
	dropped += batch->count - pushed;
	ledger->account.outcome.dropped[DROP_QUEUE] += dropped;
	if (worker->waiting)
		pthread_cond_signal(&worker->filled);
	pthread_mutex_unlock(&ledger->lock);
}

void worker_retire(struct worker *worker, uint64_t deadline_ns)
{
	struct ledger *ledger = ledger_ref(worker->ledger);

	pthread_mutex_lock(&ledger->lock);
	worker->retired = true;
	worker->deadline_ns = deadline_ns;
	pthread_cond_signal(&worker->filled);
	pthread_mutex_unlock(&ledger->lock);
	ledger_unref(ledger);
}

void workers_queued(const struct ledger *ledger, struct account *account)
{
	for (const struct worker *worker = ledger->workers; worker; worker = worker->next) {
		account->queued += worker->ring.queued + worker->in_hand;
		account->queued_bytes += worker->ring.queued_bytes + worker->in_hand_bytes;
	}
}
