/* A handler: where datagrams go. A kind is one file that ends in one const struct handler_kind, and
 * one row in kinds.c; it writes deliver() and knows nothing of queues, threads and counters. */
#pragma once

#include "config/config.h"
#include "data/account.h"
#include "data/datagram.h"

struct filtered;
struct import_ports;
struct intake;
struct interface_list;
struct ledger;
struct link;
struct loop_guard;
struct notice_sink;
struct own_addresses;
struct spoof;

/* What a handler gets of the daemon. All of it lives until close(). */
struct handler_context {
	const char *
		name; /* the handler's: each line that the kind logs begins with "handler NAME: " */
	struct ledger *ledger; /* the handler's */
	pid_t running; /* for a check: the daemon that runs, whose files are not in the way; else 0
			*/
	struct counters *counters;
	struct loop_guard *guard; /* for all relays together: a ring may use several */
	struct spoof *spoof; /* NULL: no handler can send with another host's address */
	struct notice_sink *notices; /* for events; NULL: nobody takes them */
	struct link *forwards; /* of all handlers (handlers/forward.h) */
	const struct own_addresses *own_addresses; /* of this host, now */
	const struct import_ports *import_ports; /* of the configuration; NULL: there are none */
	struct intake *intake; /* of a kind that config.imports: for what comes in; else NULL */
};

struct handler_kind {
	struct config_kind config; /* name, keys, check */

	/* The module that has all but config (handlers/module.h); NULL: it is here. */
	const char *module;

	/* The names of what else it counts, in outcome->counted; NULL at the end, COUNTED_MAX at
	 * most. NULL: nothing. */
	const char *const *counters;

	/* What its datagrams must carry, of enum need. */
	unsigned (*needs)(const void *settings);

	/* Opens what it needs. settings and context are valid until it returns. On failure returns
	 * a negative errno with the reason in why: what failed, and how to fix it; or -ENOMEM. */
	int (*open)(const void *settings, const struct handler_context *context,
		char why[static WHY_MAX], void **ret);

	/* Takes a batch, whose memory is valid until it returns. Says in outcome what became of
	 * each datagram, now or, for one that it buffers, in a later call. */
	void (*deliver)(void *object, const struct batch *batch, struct outcome *outcome);

	/* Frees it. Accepts NULL. */
	void (*close)(void *object);

	/* The rest may be NULL.
	 *
	 * What would keep it from delivering here and now, although it can be opened: a warning of
	 * a check, a start and a reload. Called without an object, also in a thread. Returns
	 * whether there is something, with the reason and the fix in why.
	 */
	bool (*doubt)(const void *settings, char why[static WHY_MAX]);

	/* What config.check_files leaves to the module: reports what is wrong in its files, by
	 * their keys. One that cannot be read has been reported. */
	void (*check_files)(const void *settings, config_complain *complain, void *argument);

	/*
	 * The first call after open(), once the configuration is in force. It does not come when
	 * the configuration is only checked: programs must be started here, not in open(). */
	void (*begin)(void *object);

	/* For a kind that sends a copy of each datagram by several interfaces: the number of copies
	 * of one that has this origin. Its account is in copies then. Counts for each of these
	 * interfaces what the filter kept out. Not for kinds that may block. */
	unsigned (*copies)(
		void *object, const struct origin *origin, const struct filtered *filtered);

	/* Why it delivers nothing at present, in the words of its line in the log; NULL: nothing is
	 * wrong. Of a kind that may block, the thread calls it after deliver() and serve(), and
	 * keeps a copy. One that learns of it in other threads has none, and calls
	 * ledger_set_error(). */
	const char *(*error)(const void *object);

	/* For a kind with copies(): why it cannot send by this interface; NULL: nothing is known of
	 * that, or it does not send there. */
	const char *(*interface_error)(const void *object, const char *interface);

	/* The network interfaces, their addresses or routes may have changed. The list is at the
	 * same place each time, and up to date. Not for kinds that may block. */
	void (*links_changed)(void *object, const struct interface_list *interfaces);

	/* Begins a new file, for kinds that record. */
	void (*rotate)(void *object, struct outcome *outcome);

	/* The rest is for kinds that may block: their thread makes all calls but open(). */

	/* For a kind that has more to do than to deliver (write a buffer, watch children): serve()
	 * is called once deadline() has passed (CLOCK_MONOTONIC; 0: nothing is due), and whenever
	 * descriptor() is readable. */
	uint64_t (*deadline)(const void *object);
	int (*descriptor)(const void *object);
	void (*serve)(void *object, struct outcome *outcome);

	/* How long datagrams may stay in the queue while the thread is idle (ns; NULL, or 0: not at
	 * all). Saves a kind that buffers them anyway a wake-up for each batch. */
	uint64_t (*patience)(const void *object);

	/* For a kind that at times takes no more (its children are busy, its child does not read):
	 * deliver() is called only while ready(). Meanwhile the thread waits as above, and sees
	 * when it has to stop: neither deliver() nor serve() of such a kind ever needs to wait.
	 * batch_max, when not 0, is the most datagrams that it takes at once. */
	bool (*ready)(const void *object);
	unsigned batch_max;

	/* Its object is known to a peer by a name: begin() is called only once the object that it
	 * replaces has ended, while datagrams wait in the queue. One that is stuck past its
	 * deadline does not count. */
	bool exclusive;

	/* Whoever runs it says what its queue drops: the log does not. */
	bool tells_drops;

	/* The payload of what it holds, which it has not said the outcome of, in bytes. Must agree
	 * with the outcomes of the calls so far: what another thread settles meanwhile counts once
	 * the next call has said so. NULL: it holds nothing for long. */
	uint64_t (*held_bytes)(const void *object);

	/* For a kind that config.imports: these groups take what comes in, by their names, sorted.
	 * Called before begin(), and again whenever they change. groups is valid until it
	 * returns. */
	void (*subscribe)(void *object, const struct string_list *groups);

	/* Before close(): delivers what it has buffered, and ends what it started, by until_ns at
	 * the latest. */
	void (*finish)(void *object, uint64_t until_ns, struct outcome *outcome);

	/* finish() waits for programs that read to the end, and has time for it when that of the
	 * queue is over. */
	bool finish_waits;
};

/* All kinds, NULL at the end, as config_load() wants them. */
const struct config_kind *const *handler_config_kinds(void);

/* A running handler. Its outlet is what groups deliver to. */
struct handler;

/* Starts a handler that settles on ledger, with its thread, if it has one, among workers. config
 * and context, whose name is ignored, are valid until it returns. Returns 0, or a negative errno
 * with the reason in why. */
struct workers;
int handler_start(const struct config_handler *config, const struct handler_context *context,
	struct ledger *ledger, struct workers *workers, char why[static WHY_MAX],
	struct handler **ret);

/* Prepares what handler_follow_inputs() says: which groups of the configuration take what comes in.
 * Does nothing for a kind that imports nothing. Returns 0 or -ENOMEM. */
int handler_prepare_inputs(struct handler *handler, const struct config *wanted);

/* What was prepared is in force: tells the kind, where that is new. Must come before
 * handler_begin(). */
void handler_follow_inputs(struct handler *handler);

/* Prepares what handler_follow_queue() says: the queue that a running handler is to have; NULL: the
 * one that it has. Returns 0 or -ENOMEM. */
int handler_prepare_queue(struct handler *handler, const struct config_handler *wanted);

/* What was prepared is in force. What waits stays, and so do the kind's object and its connection.
 */
void handler_follow_queue(struct handler *handler);

/* What was prepared will not be in force. */
void handler_forget_prepared(struct handler *handler);

/* The configuration that has the handler is in force. Must come before anything is delivered. */
void handler_begin(struct handler *handler);

/* Frees it without waiting: what is queued is still delivered until deadline_ns (CLOCK_MONOTONIC),
 * and then counted as dropped. Accepts NULL. */
void handler_retire(struct handler *handler, uint64_t deadline_ns);

/* At the stop, for a handler by which something comes in (handler_intake()): retires it while what
 * it has taken is sent. handler_retire() must follow; what groups still deliver is counted as
 * dropped. */
void handler_retire_early(struct handler *handler, uint64_t deadline_ns);

void handler_links_changed(struct handler *handler, const struct interface_list *interfaces);

/* Has a handler that records begin a new file, soon. Returns 0, or -EOPNOTSUPP when it does not
 * record. */
int handler_rotate(struct handler *handler);

/* Whether it records to files, which handler_rotate() begins. */
bool handler_records(const struct handler *handler);

struct outlet *handler_outlet(struct handler *handler);
const char *handler_name(const struct handler *handler);
const char *handler_type(const struct handler *handler);
struct ledger *handler_ledger(struct handler *handler);

/* The names of outcome.counted, NULL at the end; or NULL. */
const char *const *handler_counters(const struct handler *handler);

/* What has come in by it; NULL: nothing can. A retired handler takes no more, and its thread ends
 * when nothing waits there. */
struct intake *handler_intake(struct handler *handler);

/* See ledger_count_lost(). */
void handler_count_lost(struct handler *handler, uint64_t read, uint64_t count);

/* The numbers of one moment. */
void handler_account(struct handler *handler, struct account *ret);

/* How full its queue is, in percent; what it is delivering now is not in it. Returns whether it has
 * one. */
bool handler_queue_fill(struct handler *handler, unsigned *ret);

/* Whether its ledger has an account for each interface, too. */
bool handler_has_interfaces(const struct handler *handler);

/* Whether it holds datagrams that a peer has not acknowledged: the account's held. */
bool handler_has_window(const struct handler *handler);

/* Why it delivers nothing at present, or NULL. Valid until the next call. */
const char *handler_error(const struct handler *handler);

/* The same of an interface, for one that handler_has_interfaces(). */
const char *handler_interface_error(const struct handler *handler, const char *interface);
