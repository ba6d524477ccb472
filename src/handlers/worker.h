/* A ring and a thread in front of a handler that may block. The loop pushes; the thread delivers.
 */
#pragma once

#include "base/clock.h"
#include "handlers/handler.h"
#include "handlers/ledger.h"
#include "handlers/queue.h"

struct worker;

/* How long a thread that is not stuck may take from its deadline to its end. */
#define WORKER_END_NS NS_PER_S

/* All workers whose threads have not ended. Those of retired handlers are among them. */
struct workers {
	pthread_mutex_t lock; /* is taken before that of a ledger */
	pthread_cond_t ended; /* a thread has */
	struct link list;
};

void workers_init(struct workers *workers);
void workers_destroy(struct workers *workers); /* when none are left */

/* Drops what is queued for retired workers past their deadline, wherever their threads are stuck.
 */
void workers_expire(struct workers *workers);

/* Waits until all threads have ended, but not past deadline_ns (CLOCK_MONOTONIC). Returns how many
 * are left, stuck in a system call: what they hold is counted as dropped and logged, and the
 * process must end without them. */
unsigned workers_wait(struct workers *workers, uint64_t deadline_ns);

/* The account of a ledger with what is queued in its workers. */
void workers_account(struct ledger *ledger, struct account *ret);

/* How full the fullest of their queues is, in percent; 0 without any. */
unsigned workers_queue_fill(struct ledger *ledger);

/* Takes object over on success. Returns 0 or a negative errno. */
int worker_start(struct workers *workers, const struct handler_kind *kind, void *object,
	const struct config_handler *config, struct ledger *ledger, struct worker **ret);

/* The worker of a kind that imports holds its intake, and abandons it when it ends. */
void worker_hold(struct worker *worker, struct intake *intake);

/* Has the thread call the kind's subscribe() with these groups, which it takes over. */
void worker_subscribe(struct worker *worker, struct string_list *groups);

/* Queues a batch; what does not fit is dropped by the handler's policy. Runs in the loop. */
void worker_push(struct worker *worker, const struct batch *batch);

/* Prepares its queue for the configuration. Returns 0 or -ENOMEM. */
int worker_prepare_queue(
	struct worker *worker, const struct config_handler *config, struct queue_limits *ret);

/* Has its queue these limits from now on, as queue_change(). */
void worker_change_queue(struct worker *worker, struct queue_limits *limits);

/* The kind's. */
const void *worker_object(const struct worker *worker);

/* Has the thread call the kind's begin(). */
void worker_begin(struct worker *worker);

/* Has the thread call the kind's rotate(), after it has delivered what is queued now. */
void worker_rotate(struct worker *worker);

/* Ends it without waiting: the thread delivers what is queued until deadline_ns (CLOCK_MONOTONIC),
 * counts the rest as dropped, closes the object, and frees the worker. A kind whose finish() waits
 * has until worker_end_ns() for that. The caller has a reference to the ledger. */
uint64_t worker_end_ns(uint64_t deadline_ns); /* half as long again from now on */
void worker_retire(struct worker *worker, uint64_t deadline_ns);
