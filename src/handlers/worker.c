#include "handlers/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/log.h"
#include "base/text.h"
#include "data/oldest.h"
#include "data/ring.h"

#define STACK_SIZE (256 * 1024)

struct worker {
	struct link of_ledger;
	struct link of_workers;
	struct workers *workers;
	struct ledger *ledger; /* its lock guards everything below that both sides use */
	const struct handler_kind *kind;
	uint64_t kind_hash;
	void *object; /* the thread's alone */
	char *file; /* that the kind writes; NULL: none */
	bool succeeds; /* it begins after its predecessor, see has_predecessor() */
	int wake; /* eventfd(2): something to do for the thread */
	struct queue queue;
	bool waiting; /* the thread found the ring empty: wake it */
	bool napping; /* the same, but it wakes by itself: wake it only when the ring fills up */
	bool begin, rotate; /* asked for, and not done yet */
	struct string_list *groups; /* to subscribe to; NULL: they have not changed */
	struct intake *intake; /* NULL: the kind imports nothing */
	size_t rotate_after; /* chunks */
	bool retired;
	uint64_t deadline_ns; /* of the retirement, for the queue */
	uint64_t end_ns; /* of the retirement, for finish() */
	bool is_expired; /* the deadline is over, and the queue was dropped */
	uint64_t expired; /* datagrams that were dropped for that so far */
	uint64_t in_hand; /* taken from the ring and not yet settled */
	uint64_t delivering, delivering_bytes; /* of those: the batch that deliver() has now */
	uint64_t held_bytes; /* that the kind holds of the others */
	struct oldest oldest; /* of those in hand */
};

static void lock(const struct worker *worker)
{
	pthread_mutex_lock(&worker->ledger->lock);
}

static void unlock(const struct worker *worker)
{
	pthread_mutex_unlock(&worker->ledger->lock);
}

static void free_groups(struct string_list *groups)
{
	if (groups)
		string_list_clear(groups);
	free(groups);
}

static void worker_free(struct worker *worker)
{
	free_groups(worker->groups);
	queue_destroy(&worker->queue);
	closep(&worker->wake);
	free(worker->file);
	free(worker);
}

/* Wakes workers that may be waiting for this one to end. The lock of all workers is held. */
static void wake_successors(const struct worker *worker)
{
	struct worker *other;

	list_for_each(other, &worker->workers->list, of_workers)
		if (worker->succeeds && other->succeeds)
			eventfd_write(other->wake, 1);
}

/* Logs what a full queue has cost when that is due, or in any case. */
static void end_overflow(struct worker *worker, bool in_any_case)
{
	uint64_t dropped = 0, deadline;

	lock(worker);
	deadline = queue_full_deadline(&worker->queue);
	if (deadline && (in_any_case || clock_ns(CLOCK_MONOTONIC) >= deadline))
		dropped = queue_end_full(&worker->queue);
	unlock(worker);
	if (dropped)
		queue_log_cost(worker->ledger->name, dropped);
}

/* ---- Life ---- */

/* The thread has ended: what the worker still holds is dropped, and successors are woken. */
static void end(struct worker *worker)
{
	struct workers *workers = worker->workers;
	struct ledger *ledger = worker->ledger;
	uint64_t left;

	end_overflow(worker, true);
	pthread_mutex_lock(&workers->lock);
	lock(worker);
	left = ring_drop_all(&worker->queue.ring) + worker->in_hand;
	ledger->account->outcome.dropped[DROP_SHUTDOWN] += left;
	link_remove(&worker->of_ledger);
	link_remove(&worker->of_workers);
	unlock(worker);
	left += worker->expired;
	if (left)
		log_warning("handler %s: %" PRIu64
			    " datagram%s dropped, not delivered before it had to stop",
			ledger->name, left, plural(left));
	ledger_abandon_intake(ledger, worker->intake);
	intake_unref(take(worker->intake));
	wake_successors(worker);
	ledger_unref(ledger);
	worker_free(worker);
	pthread_cond_broadcast(&workers->ended);
	pthread_mutex_unlock(&workers->lock);
}

/* ---- The thread ---- */

/* Whether the time to deliver what was queued is over. The lock is held. */
static bool is_past_deadline(const struct worker *worker)
{
	return worker->retired && clock_ns(CLOCK_MONOTONIC) >= worker->deadline_ns;
}

/* These datagrams in hand are settled. The lock is held. */
static void note_settled(struct worker *worker, uint64_t count)
{
	worker->in_hand -= count;
	oldest_settle(&worker->oldest, count);
}

/* Drops the queue of a worker that is past its deadline. The loop does it, too: the thread may be
 * stuck, and never do so itself. What the thread has in hand is still open. The lock is held. */
static void expire(struct worker *worker)
{
	uint64_t dropped;

	if (worker->is_expired || !is_past_deadline(worker))
		return;
	worker->is_expired = true;
	dropped = ring_retire(&worker->queue.ring);
	worker->expired += dropped;
	worker->ledger->account->outcome.dropped[DROP_SHUTDOWN] += dropped;
}

static uint64_t held_bytes(const struct worker *worker)
{
	return worker->kind->held_bytes ? worker->kind->held_bytes(worker->object) : 0;
}

/* Adds what became of datagrams in hand, of whose rest the kind holds this much, and what is wrong
 * now. The lock is held. */
static void settle_locked(struct worker *worker, const struct outcome *outcome, uint64_t held)
{
	ledger_settle(worker->ledger, worker->kind_hash, outcome);
	note_settled(worker, outcome_total(outcome));
	worker->delivering = worker->delivering_bytes = 0;
	worker->held_bytes = held;
	if (worker->kind->error)
		ledger_set_error_locked(
			worker->ledger, worker->object, worker->kind->error(worker->object));
}

/* The same. Returns whether to go on. */
static bool settle(struct worker *worker, const struct outcome *outcome)
{
	uint64_t held = held_bytes(worker);
	bool go_on;

	lock(worker);
	settle_locked(worker, outcome, held);
	go_on = !is_past_deadline(worker);
	unlock(worker);
	return go_on;
}

/* When serve() is due next; 0: never. */
static uint64_t service_deadline(const struct worker *worker)
{
	return worker->kind->deadline ? worker->kind->deadline(worker->object) : 0;
}

static bool is_service_due(const struct worker *worker)
{
	uint64_t deadline = service_deadline(worker);

	return deadline && clock_ns(CLOCK_MONOTONIC) >= deadline;
}

static void serve_if(struct worker *worker, bool is_readable)
{
	struct outcome outcome = {0};

	if (!is_readable && !is_service_due(worker))
		return;
	worker->kind->serve(worker->object, &outcome);
	settle(worker, &outcome);
}

/* Takes the list over; NULL: the groups have not changed. */
static void subscribe(struct worker *worker, struct string_list *groups)
{
	if (groups)
		worker->kind->subscribe(worker->object, groups);
	free_groups(groups);
}

static void follow_groups(struct worker *worker)
{
	struct string_list *groups;

	lock(worker);
	groups = take(worker->groups);
	unlock(worker);
	subscribe(worker, groups);
}

/* Does what the loop has asked for. has_chunk tells that one more is to be delivered; what was
 * queued when rotating was asked for goes to the old file. */
static void answer(struct worker *worker, bool has_chunk)
{
	struct outcome outcome = {0};
	struct string_list *groups;
	bool begin, rotate;

	lock(worker);
	groups = take(worker->groups);
	begin = worker->begin;
	rotate = worker->rotate && (!has_chunk || !worker->rotate_after--);
	worker->begin = false;
	worker->rotate &= !rotate;
	unlock(worker);
	subscribe(worker, groups);
	if (begin)
		worker->kind->begin(worker->object);
	if (!rotate)
		return;
	worker->kind->rotate(worker->object, &outcome);
	settle(worker, &outcome);
}

static uint64_t patience(const struct worker *worker)
{
	return worker->kind->patience ? worker->kind->patience(worker->object) : 0;
}

/* When to stop waiting; 0: never. */
static uint64_t wait_deadline(const struct worker *worker)
{
	uint64_t deadline = service_deadline(worker);

	lock(worker);
	deadline = earlier_ns(deadline, queue_full_deadline(&worker->queue));
	if (worker->retired)
		deadline = earlier_ns(deadline, worker->deadline_ns);
	if (worker->napping)
		deadline = earlier_ns(deadline, clock_ns(CLOCK_MONOTONIC) + patience(worker));
	unlock(worker);
	return deadline;
}

/* Waits until the thread is woken, serve() is due, or latest_ns (0: never); and then serves. */
static void wait_for_work(struct worker *worker, uint64_t latest_ns)
{
	struct pollfd fds[2] = {
		{.fd = worker->wake, .events = POLLIN}, {.fd = -1, .events = POLLIN}};
	uint64_t deadline, now;
	struct timespec left;
	eventfd_t count;

	end_overflow(worker, false);
	deadline = earlier_ns(wait_deadline(worker), latest_ns);
	now = clock_ns(CLOCK_MONOTONIC);
	left = ns_timespec(deadline > now ? deadline - now : 0);
	if (worker->kind->descriptor)
		fds[1].fd = worker->kind->descriptor(worker->object);
	if (ppoll(fds, 2, deadline ? &left : NULL, NULL) < 0)
		return;
	if (fds[0].revents)
		eventfd_read(worker->wake, &count);
	serve_if(worker, fds[1].revents);
}

static bool is_kind_ready(const struct worker *worker)
{
	return !worker->kind->ready || worker->kind->ready(worker->object);
}

/* Waits until the kind takes more, but not past the deadline. A kind that takes no more for its
 * broker may still take in what comes from there, so groups are followed. */
static void wait_until_kind_ready(struct worker *worker)
{
	while (!is_kind_ready(worker) && settle(worker, &(struct outcome){0})) {
		follow_groups(worker);
		wait_for_work(worker, 0);
	}
}

/* The lock is held. */
static struct batch take_batch(struct worker *worker)
{
	unsigned most = worker->kind->batch_max ? worker->kind->batch_max : BATCH_MAX;
	uint64_t since_ns = ring_since_ns(&worker->queue.ring),
		 bytes = worker->queue.ring.queued_bytes;
	struct batch batch = ring_next(&worker->queue.ring, most);

	batch.since_ns = since_ns;
	worker->in_hand += batch.count;
	worker->delivering = batch.count;
	worker->delivering_bytes = bytes - worker->queue.ring.queued_bytes;
	oldest_take(&worker->oldest, batch.count, since_ns);
	return batch;
}

/* Settles what became of the last batch, and takes the next one of the chunk; ret NULL: not yet.
 * What is not taken can still be dropped in favour of what comes. Returns whether there is one; if
 * not, it has returned the chunk. One lock for all of that: the loop waits for it. */
static bool advance(struct worker *worker, const struct outcome *outcome, struct batch *ret)
{
	uint64_t held = held_bytes(worker);
	bool has_next;

	lock(worker);
	settle_locked(worker, outcome, held);
	expire(worker);
	has_next = ring_has_next(&worker->queue.ring);
	if (!has_next)
		ring_return(&worker->queue.ring);
	else if (ret)
		*ret = take_batch(worker);
	unlock(worker);
	return has_next;
}

/* Delivers the chunk that it has taken, in as many batches as the kind wants it, and returns it. */
static void deliver_chunk(struct worker *worker)
{
	struct outcome outcome = {0};
	struct batch batch;

	for (;;) {
		bool is_ready = is_kind_ready(worker);

		if (!advance(worker, &outcome, is_ready ? &batch : NULL))
			return;
		outcome = (struct outcome){0};
		if (!is_ready) {
			wait_until_kind_ready(worker);
			continue;
		}
		worker->kind->deliver(worker->object, &batch, &outcome);
		if (is_service_due(worker))
			worker->kind->serve(worker->object, &outcome);
	}
}

/* Takes the next chunk. Returns whether there is one, and in *ret_go_on whether one may still come.
 * A thread whose kind has patience takes a nap after a chunk before it is woken for the next: while
 * datagrams keep coming, it is never. */
static bool take_chunk(struct worker *worker, bool nap, bool *ret_go_on)
{
	bool has_chunk;

	lock(worker);
	has_chunk = !is_past_deadline(worker) && ring_take(&worker->queue.ring);
	worker->waiting = !has_chunk && !nap;
	worker->napping = !has_chunk && nap;
	*ret_go_on = !worker->retired;
	unlock(worker);
	return has_chunk;
}

/* Waits for the next chunk to deliver, and takes it; false at the end. */
static bool next_chunk(struct worker *worker)
{
	bool nap = patience(worker) > 0, has_chunk, go_on;

	for (;; nap = false) {
		has_chunk = take_chunk(worker, nap, &go_on);
		/* Only now: begin() was asked for before the chunk could be filled. */
		answer(worker, has_chunk);
		if (has_chunk || !go_on)
			return has_chunk;
		wait_for_work(worker, 0);
	}
}

static bool precedes(const struct worker *older, const struct worker *worker)
{
	if (!strcmp(older->ledger->name, worker->ledger->name))
		return older->succeeds;
	return older->file && worker->file && !strcmp(older->file, worker->file);
}

/* Whether an older worker of the same handler or file still has to end: two must not write to a
 * file, or be known to a peer by one name, and the older one's datagrams come first. A handler that
 * was removed and has come back has another ledger. One that is
 * stuck past its deadline does not count: *ret_until_ns is when that is; 0: it is not retired yet.
 */
static bool has_predecessor(struct worker *worker, uint64_t *ret_until_ns)
{
	struct worker *older;
	bool has = false;

	if (!worker->succeeds)
		return false;
	pthread_mutex_lock(&worker->workers->lock);
	list_for_each(older, &worker->workers->list, of_workers) {
		if (has || older == worker)
			break;
		if (!precedes(older, worker))
			continue;
		lock(older);
		*ret_until_ns = older->retired ? older->end_ns + WORKER_END_NS : 0;
		has = !older->retired || clock_ns(CLOCK_MONOTONIC) < *ret_until_ns;
		unlock(older);
	}
	pthread_mutex_unlock(&worker->workers->lock);
	return has;
}

/* Past its deadline it never begins. */
static void wait_for_predecessor(struct worker *worker)
{
	struct outcome nothing = {0};
	uint64_t until_ns;

	while (has_predecessor(worker, &until_ns)) {
		if (!settle(worker, &nothing)) {
			lock(worker);
			worker->begin = false;
			unlock(worker);
			return;
		}
		wait_for_work(worker, until_ns);
	}
}

static void *worker_main(void *argument)
{
	struct worker *worker = argument;
	struct outcome outcome = {0};

	wait_for_predecessor(worker);
	while (next_chunk(worker))
		deliver_chunk(worker);
	/* What has come in is sent first, so that finish() can acknowledge it. */
	if (worker->intake)
		intake_wait_empty(worker->intake, worker->deadline_ns);
	if (worker->kind->finish) {
		worker->kind->finish(worker->object, worker->end_ns, &outcome);
		settle(worker, &outcome);
	}
	worker->kind->close(worker->object);
	end(worker);
	return NULL;
}

/* ---- The loop's side ---- */

/* Signals are handled in the loop: the thread starts with all of them blocked, except SIGPIPE for
 * its own writes, which the daemon ignores, or wants to end at (ad hoc mode). */
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
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	r = pthread_create(&thread, &attributes, worker_main, worker);
	pthread_attr_destroy(&attributes);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

int worker_start(struct workers *workers, const struct handler_kind *kind, void *object,
	const struct config_handler *config, struct ledger *ledger, struct worker **ret)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	const char *file = kind->config.file ? kind->config.file(config->settings) : NULL;
	int r;

	if (!worker)
		return -ENOMEM;
	worker->file = file ? strdup(file) : NULL;
	worker->succeeds = file || kind->exclusive;
	worker->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	worker->kind = kind;
	worker->kind_hash = ledger_kind_hash(kind->config.name, kind->counters);
	worker->object = object;
	r = file && !worker->file ? -ENOMEM : worker->wake < 0 ? -errno : 0;
	if (r >= 0)
		r = queue_init(&worker->queue, config);
	if (r < 0) {
		worker_free(worker);
		return r;
	}
	worker->workers = workers;
	worker->ledger = ledger_ref(ledger);
	pthread_mutex_lock(&workers->lock);
	lock(worker);
	list_append(&workers->list, &worker->of_workers);
	list_append(&ledger->workers, &worker->of_ledger);
	unlock(worker);
	pthread_mutex_unlock(&workers->lock);
	r = start_thread(worker);
	if (r < 0)
		end(worker);
	else
		*ret = worker;
	return r;
}

void worker_push(struct worker *worker, const struct batch *batch)
{
	struct account *account = worker->ledger->account;
	struct ring *ring = &worker->queue.ring;
	uint64_t dropped;
	bool wake, is_full;

	lock(worker);
	account->received += batch->count;
	dropped = queue_push(&worker->queue, batch);
	account->outcome.dropped[DROP_QUEUE] += dropped;
	is_full = dropped && !worker->kind->tells_drops && queue_note_full(&worker->queue, dropped);
	if (ring->queued + worker->in_hand > account->queued_max)
		account->queued_max = ring->queued + worker->in_hand;
	wake = worker->waiting || (worker->napping && ring_is_half_full(ring));
	if (wake)
		worker->waiting = worker->napping = false;
	unlock(worker);
	/* The end of an overflow is a new deadline. */
	if (wake || is_full)
		eventfd_write(worker->wake, 1);
	if (is_full)
		queue_log_full(&worker->queue, worker->ledger->name);
}

int worker_prepare_queue(
	struct worker *worker, const struct config_handler *config, struct queue_limits *ret)
{
	int r;

	lock(worker);
	r = queue_prepare(&worker->queue, config, ret);
	unlock(worker);
	return r;
}

void worker_change_queue(struct worker *worker, struct queue_limits *limits)
{
	lock(worker);
	queue_change(&worker->queue, limits);
	unlock(worker);
}

void worker_hold(struct worker *worker, struct intake *intake)
{
	lock(worker);
	worker->intake = intake_ref(intake);
	unlock(worker);
}

void worker_subscribe(struct worker *worker, struct string_list *groups)
{
	struct string_list *before;

	lock(worker);
	before = worker->groups;
	worker->groups = groups;
	eventfd_write(worker->wake, 1);
	unlock(worker);
	free_groups(before);
}

const void *worker_object(const struct worker *worker)
{
	return worker->object;
}

void worker_begin(struct worker *worker)
{
	lock(worker);
	worker->begin = true;
	eventfd_write(worker->wake, 1);
	unlock(worker);
}

void worker_rotate(struct worker *worker)
{
	lock(worker);
	worker->rotate = true;
	worker->rotate_after = worker->queue.ring.chunks_queued;
	eventfd_write(worker->wake, 1);
	unlock(worker);
}

uint64_t worker_end_ns(uint64_t deadline_ns)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	return deadline_ns > now ? deadline_ns + (deadline_ns - now) / 2 : deadline_ns;
}

void worker_retire(struct worker *worker, uint64_t deadline_ns)
{
	struct workers *workers = worker->workers;

	/* Until it is unlocked, the thread does not free the worker. */
	pthread_mutex_lock(&workers->lock);
	lock(worker);
	worker->retired = true;
	worker->deadline_ns = deadline_ns;
	worker->end_ns = worker->kind->finish_waits ? worker_end_ns(deadline_ns) : deadline_ns;
	eventfd_write(worker->wake, 1);
	unlock(worker);
	wake_successors(worker);
	pthread_mutex_unlock(&workers->lock);
}

/* ---- All workers ---- */

void workers_init(struct workers *workers)
{
	pthread_mutex_init(&workers->lock, NULL);
	pthread_cond_init(&workers->ended, NULL);
	list_init(&workers->list);
}

void workers_destroy(struct workers *workers)
{
	pthread_cond_destroy(&workers->ended);
	pthread_mutex_destroy(&workers->lock);
}

void workers_expire(struct workers *workers)
{
	struct worker *worker;

	pthread_mutex_lock(&workers->lock);
	list_for_each(worker, &workers->list, of_workers) {
		lock(worker);
		expire(worker);
		unlock(worker);
	}
	pthread_mutex_unlock(&workers->lock);
}

/* The process ends without the thread. */
static void abandon(struct worker *worker)
{
	struct ledger *ledger = worker->ledger;
	uint64_t lost;

	lock(worker);
	expire(worker);
	lost = worker->expired + worker->in_hand;
	ledger->account->outcome.dropped[DROP_SHUTDOWN] += worker->in_hand;
	note_settled(worker, worker->in_hand);
	unlock(worker);
	log_warning("handler %s: stuck in writing when it had to stop; %" PRIu64
		    " datagram%s dropped",
		ledger->name, lost, plural(lost));
}

unsigned workers_wait(struct workers *workers, uint64_t deadline_ns)
{
	struct timespec deadline = ns_timespec(deadline_ns);
	struct worker *worker;
	unsigned left = 0;

	pthread_mutex_lock(&workers->lock);
	while (!list_is_empty(&workers->list) &&
		pthread_cond_clockwait(
			&workers->ended, &workers->lock, CLOCK_MONOTONIC, &deadline) != ETIMEDOUT)
		;
	list_for_each(worker, &workers->list, of_workers) {
		abandon(worker);
		left++;
	}
	pthread_mutex_unlock(&workers->lock);
	return left;
}

void workers_account(struct ledger *ledger, struct account *ret)
{
	struct worker *worker;

	pthread_mutex_lock(&ledger->lock);
	list_for_each(worker, &ledger->workers, of_ledger)
		expire(worker);
	*ret = *ledger->account;
	list_for_each(worker, &ledger->workers, of_ledger) {
		const struct ring *ring = &worker->queue.ring;

		ret->queued += ring->queued + worker->in_hand;
		ret->queued_bytes += ring->queued_bytes + worker->delivering_bytes +
				     worker->held_bytes;
		ret->held += worker->in_hand - worker->delivering;
		ret->oldest_ns = earlier_ns(ret->oldest_ns,
			earlier_ns(oldest_since_ns(&worker->oldest), ring_since_ns(ring)));
	}
	pthread_mutex_unlock(&ledger->lock);
}

unsigned workers_queue_fill(struct ledger *ledger)
{
	struct worker *worker;
	unsigned most = 0;

	pthread_mutex_lock(&ledger->lock);
	list_for_each(worker, &ledger->workers, of_ledger) {
		unsigned fill = ring_fill(&worker->queue.ring);

		most = fill > most ? fill : most;
	}
	pthread_mutex_unlock(&ledger->lock);
	return most;
}
