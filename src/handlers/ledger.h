/* The counters of a handler. They belong to its name, not to the object, so that a reload that
 * changes a handler loses none: the old and the new object settle on the same ledger. They lie in
 * memory that the next run of the daemon may find (data/counters.h).
 *
 * One lock for the counters and the rings of all workers makes each answer exact, of one moment. It
 * is held while a batch is copied, and over no system call that may wait. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "data/counters.h"
#include "data/filter.h"

struct ledger {
	pthread_mutex_t lock;
	atomic_uint references;
	char *name; /* of the handler */
	struct counters *counters;
	struct account *account; /* in counters; what is queued is added by workers_account() */
	struct link workers;
};

/* One reference to the ledger of a handler, or NULL without memory. What an earlier run had
 * received and not settled is counted as dropped. */
struct ledger *ledger_new(struct counters *counters, const char *handler);
struct ledger *ledger_ref(struct ledger *ledger);
void ledger_unref(struct ledger *ledger);

/* A hash of the names of a kind and of its counters (NULL at the end, or NULL): what
 * outcome.counted means. It outlives the process, so that a version with other counters does not
 * continue these. */
uint64_t ledger_kind_hash(const char *name, const char *const *counters);

/* The handler is of this kind from now on, a ledger_kind_hash(): clears what another kind has
 * counted in outcome.counted. */
void ledger_set_kind(struct ledger *ledger, uint64_t kind);

/* Adds what became of datagrams. outcome->counted is ignored when it is of another kind than that
 * of now. The lock is held. */
void ledger_settle(struct ledger *ledger, uint64_t kind, const struct outcome *outcome);

/* Counts datagrams that were received, and what became of them or of earlier ones. */
void ledger_received(struct ledger *ledger, unsigned received, const struct outcome *outcome);

/* Counts datagrams that were received, and that the filter or the rate kept out. */
void ledger_filtered(struct ledger *ledger, const struct filtered *filtered);
