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
#include "config/schema.h"
#include "data/counters.h"
#include "data/filter.h"
#include "data/intake.h"

/* What became of the copies that a handler sends by one interface. Only the loop uses it. */
struct ledger_interface {
	struct link link;
	unsigned users;
	struct account *account; /* in counters */
	char name[]; /* of the interface, or what is configured where there is none */
};

#define LEDGER_ERROR_MAX 512

struct ledger {
	pthread_mutex_t lock;
	atomic_uint references;
	char *name; /* of the handler */
	struct counters *counters;
	struct account *account; /* in counters; what is queued is added by workers_account() */
	struct intake_book input; /* its account is in counters; NULL: nothing has ever come in */
	struct link workers;
	struct link interfaces; /* for a kind that sends copies; those without users in the order in
				   which they lost the last one */
	const void *object; /* the kind's that is in force; NULL: none is yet */
	char error[LEDGER_ERROR_MAX]; /* why it delivers nothing at present; "": nothing is wrong */
	char shown[LEDGER_ERROR_MAX]; /* the loop's copy */
	struct string_list left; /* see ledger_leave() */
};

/* One reference to the ledger of a handler, or NULL without memory. What an earlier run had
 * received and not settled is counted as dropped. */
struct ledger *ledger_new(struct counters *counters, const char *handler);
struct ledger *ledger_ref(struct ledger *ledger);
void ledger_unref(struct ledger *ledger);

/* The account of what comes in, or NULL without memory. What an earlier run had waiting is counted
 * as dropped. For the loop. */
struct intake_book *ledger_input(struct ledger *ledger);

/* Stops an intake of the handler, drops what waits in it, and logs that: it is never done, so that
 * the broker is not told that it may forget it. In any thread. Accepts NULL. */
void ledger_abandon_intake(const struct ledger *ledger, struct intake *intake);

/* A hash of the names of a kind and of its counters (NULL at the end, or NULL): what
 * outcome.counted means. It outlives the process, so that a version with other counters does not
 * continue these. */
uint64_t ledger_kind_hash(const char *name, const char *const *counters);

/* The handler is of this kind from now on, a ledger_kind_hash(): clears what another kind has
 * counted in outcome.counted. */
void ledger_set_kind(struct ledger *ledger, uint64_t kind);

/* This object of the kind is in force from now on: errors of another one count no more, those of an
 * object that was retired among them. */
void ledger_set_object(struct ledger *ledger, const void *object);

/* In any thread: why this object of a kind that may block delivers nothing at present;
 * NULL: nothing is wrong any more. Is shown until it is set again, and not logged: where there is
 * to be a line, the kind has written it before. Text beyond LEDGER_ERROR_MAX is cut off. */
void ledger_set_error(struct ledger *ledger, const void *object, const char *text);

/* The same. The lock is held. */
void ledger_set_error_locked(struct ledger *ledger, const void *object, const char *text);

/* The error of now, or NULL. For the loop: valid until the next call. */
const char *ledger_error(struct ledger *ledger);

/* What an object of the handler leaves to the one that replaces it, such as names that it has at a
 * broker: each is a text that only its kind understands. In any thread. Returns 0 or -ENOMEM: then
 * it is not left. */
int ledger_leave(struct ledger *ledger, const char *text);

/* Moves all that is left to ret, which is empty. In any thread. */
void ledger_take_left(struct ledger *ledger, struct string_list *ret);

/* Adds what became of datagrams. outcome->counted is ignored when it is of another kind than that
 * of now. The lock is held. */
void ledger_settle(struct ledger *ledger, uint64_t kind, const struct outcome *outcome);

/* Counts datagrams that were received, and what became of them or of earlier ones. */
void ledger_received(struct ledger *ledger, unsigned received, const struct outcome *outcome);

/* A read is going to be received from. Must come before anything of it is counted. */
static inline void ledger_begin_read(struct ledger *ledger, uint64_t read)
{
	struct account *account = ledger->account;

	if (!read || account->read == read)
		return;
	account->before_read = account->received;
	/* A run that follows a kill sees both in this order. */
	atomic_signal_fence(memory_order_seq_cst);
	account->read = read;
}

/* The earlier run was killed before all of count datagrams of a read were counted: counts the
 * rest, which is lost. */
void ledger_count_lost(struct ledger *ledger, uint64_t read, uint64_t count);

/* Counts datagrams that were received, and that the filter or the rate kept out. */
void ledger_filtered(struct ledger *ledger, const struct filtered *filtered);

/* ---- For kinds that send copies by several interfaces: each has the same identity, in copies ----
 */

/* A reference to the account of an interface, or NULL without memory. It stays after the last one
 * is dropped, as interfaces come and go; but not for more than LEDGER_UNUSED_MAX of them. */
#define LEDGER_UNUSED_MAX 64
struct ledger_interface *ledger_interface(struct ledger *ledger, const char *name);
void ledger_interface_unref(struct ledger *ledger, struct ledger_interface *interface);

void ledger_interface_filtered(struct ledger_interface *interface, const struct filtered *filtered);
void ledger_interface_received(
	struct ledger_interface *interface, unsigned received, const struct outcome *outcome);

/* What the handler's account has, and those of its interfaces do not: copies for interfaces that
 * are no longer listed. */
void ledger_other_interfaces(
	const struct ledger *ledger, const struct account *account, struct account *ret);
