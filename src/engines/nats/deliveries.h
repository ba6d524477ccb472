/* What is delivered: taking it into the intake, holding what has to wait for room there, and
 * acknowledging what the network has.
 *
 * A source is what deliveries come from: a durable consumer of JetStream, or a plain subscription.
 * What a consumer delivers is taken in order of its numbers, each once. One message of all sources
 * is held at most; while it is, nothing else is taken. A token of the intake belongs to one
 * message, and nothing is acknowledged whose token, or an earlier one of its source, is not done.
 *
 * Nothing is asked here: where something is missing, the caller is told, who binds anew. */
#pragma once

#include <nats/nats.h>
#include <stdbool.h>
#include <stdint.h>

#include "data/intake.h"
#include "engines/nats/api.h"
#include "engines/nats/trash.h"

/* Zeroed when new. Its owner reads it, and sets the group; all else is done by the calls below. */
struct nats_source {
	const char *group; /* lives as long */
	natsSubscription *subscription; /* of this binding; NULL: there is none */
	char deliver_to[NATS_NAME_MAX];
	struct nats_position position; /* when it was bound */
	uint64_t next; /* the number that must come next; 0: the first one of the binding */
	uint64_t redelivered; /* of position.pending, in this binding */
	bool is_mistaken; /* position.pending was more than there is */
	bool has_acknowledged; /* in this binding */
	bool is_marked; /* deliveries->acknowledge has it */
	uint64_t taken; /* the last number of the stream that was taken */
	uint64_t judged; /* the same for one that waits for room in the intake */
	uint64_t heard_ns;
	char *acknowledge; /* where to, for all that is done; NULL: nothing new is */
	char *acknowledged;
};

/* Unsubscribes, and frees what it has. To be forgotten first, unless nothing is taken any more. */
void nats_source_clear(struct nats_source *source);

/* Subscribes to a subject. Returns whether it could. */
bool nats_source_listen(
	struct nats_source *source, natsConnection *connection, const char *subject);

/* Unsubscribes. What it has delivered and is not taken goes. */
void nats_source_close(struct nats_source *source);

/* It is bound, and begins with what is not acknowledged at this position. */
void nats_source_bind(
	struct nats_source *source, const struct nats_position *position, uint64_t now_ns);

/* The numbers of its stream begin again: it is another one. */
void nats_source_restart(struct nats_source *source);

/* Bytes that wait in its subscription, about. */
uint64_t nats_source_pending(const struct nats_source *source);

struct nats_deliveries;

/* site is this one; it, intake and trash must outlive the object. Returns NULL without memory. */
struct nats_deliveries *nats_deliveries_new(
	const char *site, struct intake *intake, struct trash *trash);
void nats_deliveries_free(struct nats_deliveries *deliveries); /* accepts NULL */

/* Where acknowledgements go; NULL: nowhere. */
void nats_deliveries_connect(struct nats_deliveries *deliveries, natsConnection *connection);

enum nats_phase {
	NATS_PHASE_PASS, /* what comes is of no use, and stays with the server */
	NATS_PHASE_WAIT, /* an answer will say whether what comes is the first of the binding */
	NATS_PHASE_BOUND,
};

/* Takes what a consumer has delivered. Returns 0, -EAGAIN: nothing more of any source can be taken
 * now; or -EPROTO: some are missing. */
int nats_deliveries_take(struct nats_deliveries *deliveries, struct nats_source *source,
	enum nats_phase phase, uint64_t now_ns);

/* The same for a plain subscription. Returns 0 or -EAGAIN. */
int nats_deliveries_take_plain(struct nats_deliveries *deliveries, struct nats_source *source);

/* The source of the message that is held, which must be taken from before others; NULL: none is. */
struct nats_source *nats_deliveries_held(const struct nats_deliveries *deliveries);

/* Drops the message that is held, if it is of this source; NULL: of any. */
void nats_deliveries_drop_held(
	struct nats_deliveries *deliveries, const struct nats_source *source);

/* When something came from a source last; now, while none is listened to. */
uint64_t nats_deliveries_heard(
	const struct nats_deliveries *deliveries, struct nats_source *source, uint64_t now_ns);

/* Nothing is acknowledged to it any more. */
void nats_deliveries_forget(struct nats_deliveries *deliveries, const struct nats_source *source);

/* Acknowledges what the network has: one message for each source. */
void nats_deliveries_acknowledge(struct nats_deliveries *deliveries);

/* The same, where nothing more comes. Returns whether all that was taken is done. */
bool nats_deliveries_settle(struct nats_deliveries *deliveries);
