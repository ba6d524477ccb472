/* The counters of a handler. They belong to its name and not to the object, so that a reload that
 * changes a handler loses none: the old object settles what it still has on the same ledger as the
 * new one. They lie in memory that the next run of the daemon may find (data/counters.h).
 *
 * One lock for the counters and for the rings of all workers on it makes an answer exact: it is of
 * one moment. It is held for as long as a batch takes to copy, and never over a system call. */
#pragma once

#include <pthread.h>

#include "data/counters.h"
#include "data/filter.h"

struct worker;

struct ledger {
	pthread_mutex_t lock;
	unsigned references;
	char *name; /* of the handler */
	struct counters *counters;
	struct account *account; /* a record of them; queued and queued_bytes are in the workers */
	struct worker *workers;
};

/* One reference to the ledger of a handler, or NULL without memory. What an earlier run had
 * received and not settled is counted as dropped. Reference counts are changed with the lock held.
 */
struct ledger *ledger_new(struct counters *counters, const char *handler);
struct ledger *ledger_ref(struct ledger *ledger);
void ledger_unref(struct ledger *ledger);

/* The handler is of this kind from now on: what another kind has counted beside the identity means
 * nothing any more. */
void ledger_set_kind(struct ledger *ledger, const char *kind);

/* Adds what became of datagrams, as a kind tells it that may not be the one of now. The lock is
 * held. */
void ledger_settle(struct ledger *ledger, const char *kind, const struct outcome *outcome);

/* Counts datagrams that came in and what became of them, where both are known at once. */
void ledger_received(struct ledger *ledger, unsigned received, const struct outcome *outcome);

/* Counts datagrams that came in and that a filter kept out. */
void ledger_kept_out(struct ledger *ledger, const struct filtered *kept_out);
