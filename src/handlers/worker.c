#include "handlers/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

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
	int filled; /* eventfd(2) that wakes the thread */
	struct ring ring;
	bool waiting; /* the thread found the ring empty, and is to be woken */
	bool rotate; /* asked for, and not done yet */
	bool retired;
	uint64_t deadline_ns; /* of the retirement */
	uint64_t in_hand, in_hand_bytes; /* taken from the ring and not yet settled */
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
	closep(&worker->filled);
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

/* Begins a new file, if that was asked for. */
static void rotate(struct worker *worker)
{
	struct outcome outcome = {0};
	bool asked;

	pthread_mutex_lock(&worker->ledger->lock);
	asked = worker->rotate;
	worker->rotate = false;
	pthread_mutex_unlock(&worker->ledger->lock);
	if (!asked)
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
	rotate(worker);
}

/* Waits until the ring is filled, the worker is retired, or serve() is due; and then serves. */
static void wait_for_work(struct worker *worker)
{
	struct pollfd fds[2] = {{.fd = worker->filled, .events = POLLIN}, {.fd = -1, .events = POLLIN}};
	uint64_t deadline = service_deadline(worker), now = clock_ns(CLOCK_MONOTONIC), count;
	struct timespec left = to_timespec(deadline > now ? deadline - now : 0);

	if (worker->kind->descriptor)
		fds[1].fd = worker->kind->descriptor(worker->object);
	if (ppoll(fds, 2, deadline ? &left : NULL, NULL) < 0)
		return;
	if (fds[0].revents && read(worker->filled, &count, sizeof(count)) < 0 && errno != EAGAIN)
		log_error("handler %s: eventfd: %s", worker->name, strerror(errno));
	if (fds[1].revents || is_due(worker))
		serve(worker);
	rotate(worker);
}

/* Takes the next chunk. Returns NULL when there is none, and *ret_go_on whether one may still come. */
static struct ring_chunk *take_chunk(struct worker *worker, bool *ret_go_on)
{
	struct ring_chunk *chunk = NULL;

	pthread_mutex_lock(&worker->ledger->lock);
	if (!expired(worker))
		chunk = ring_take(&worker->ring);
	if (chunk) {
		worker->in_hand += chunk->count;
		worker->in_hand_bytes = chunk->payload_bytes;
	}
	worker->waiting = !chunk;
	*ret_go_on = !worker->retired;
	pthread_mutex_unlock(&worker->ledger->lock);
	return chunk;
}

/* The next chunk to deliver, after however long it takes; NULL at the end. */
static struct ring_chunk *next_chunk(struct worker *worker)
{
	struct ring_chunk *chunk;
	bool go_on;

	while (!(chunk = take_chunk(worker, &go_on)) && go_on)
		wait_for_work(worker);
	return chunk;
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
	finish(worker);
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
	worker->filled = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	worker->kind = kind;
	worker->object = object;
	worker->policy = (enum drop_policy)config->drop;
	worker->name = strdup(config->name);
	if (worker->filled < 0 || !worker->name || ring_init(&worker->ring, config->queue) < 0) {
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
	bool wake;

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
	wake = worker->waiting;
	worker->waiting = false;
	pthread_mutex_unlock(&ledger->lock);
	if (wake)
		eventfd_write(worker->filled, 1);
}

/* Wakes the thread in any case: it looks for the request when it has nothing to deliver, or after the next chunk. */
void worker_rotate(struct worker *worker)
{
	pthread_mutex_lock(&worker->ledger->lock);
	worker->rotate = true;
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

void workers_queued(const struct ledger *ledger, struct account *account)
{
	for (const struct worker *worker = ledger->workers; worker; worker = worker->next) {
		account->queued += worker->ring.queued + worker->in_hand;
		account->queued_bytes += worker->ring.queued_bytes + worker->in_hand_bytes;
	}
}
