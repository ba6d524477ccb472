/* A ring and a thread in front of a handler that may block. The loop pushes; the thread delivers.
 */
#pragma once

#include "handlers/handler.h"
#include "handlers/ledger.h"

struct worker;

/* Takes object over on success. Returns 0 or a negative errno. */
int worker_start(const struct handler_kind *kind, void *object, const struct config_handler *config,
	struct ledger *ledger, struct worker **ret);

/* Queues a batch; what does not fit is dropped by the handler's policy. Runs in the loop. */
void worker_push(struct worker *worker, const struct batch *batch);

/* Has the thread call the kind's begin(). */
void worker_begin(struct worker *worker);

/* Asks the thread to call the kind's rotate(), once what is queued now is delivered. */
void worker_rotate(struct worker *worker);

/* Ends it: the thread delivers what is queued until deadline_ns (CLOCK_MONOTONIC), counts the rest
 * as dropped, closes the object, and frees itself. Returns at once; worker is not to be used any
 * more. */
void worker_retire(struct worker *worker, uint64_t deadline_ns);

/* Settles the queues of retired workers whose deadline is over, wherever their threads are stuck.
 */
void workers_expire(void);

/* Waits until all retired workers have ended, but not past deadline_ns. Returns how many are left:
 * stuck in a system call, and to be abandoned by ending the process. What they hold is counted as
 * dropped, and said. */
unsigned workers_wait(uint64_t deadline_ns);

/* Counts what is still queued for workers whose deadline is over as dropped. The ledger's lock is
 * held. */
void workers_settle(struct ledger *ledger);

/* Adds what is queued in the workers of a ledger, whose lock is held, to queued and queued_bytes.
 */
void workers_queued(const struct ledger *ledger, struct account *account);
