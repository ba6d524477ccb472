/* What comes in from other sites: durable consumers of JetStream, one for each group, site that is
 * named and stream, which deliver to this connection; or plain subscriptions, where nothing is
 * stored.
 *
 * A consumer is acknowledged only up to what the network has, and never over a gap: its messages
 * have numbers, and when one is missing, the consumer is told to deliver to another subject. Then
 * the server begins with all that was not acknowledged, in order. What had been taken already is
 * known by its number in the stream.
 *
 * Nothing blocks. When the intake is full, nothing more is acknowledged, and soon not delivered. */
#pragma once

#include <nats/nats.h>
#include <stdbool.h>
#include <stdint.h>

#include "data/intake.h"
#include "engines/keys.h"
#include "engines/nats/trash.h"

struct ledger;
struct nats_in;

/* For a handler of this name. inbox is the beginning of subjects that only this object uses. intake
 * and trash must outlive it. Returns NULL without memory. */
struct nats_in *nats_in_new(const struct nats_settings *settings, const char *handler,
	const char *inbox, struct intake *intake, struct trash *trash);
void nats_in_free(struct nats_in *in); /* accepts NULL */

/* These groups take what comes in. The consumers of others are deleted at the server. */
void nats_in_subscribe(struct nats_in *in, const struct string_list *groups, uint64_t now_ns);

/* Over a change of the handler: what it has at the server is left to the one that replaces it, and
 * that one deletes what it does not want. After nats_in_subscribe(). */
void nats_in_leave(const struct nats_in *in, struct ledger *ledger);
void nats_in_inherit(struct nats_in *in, struct ledger *ledger, uint64_t now_ns);

void nats_in_connected(struct nats_in *in, natsConnection *connection, uint64_t now_ns);
void nats_in_disconnected(struct nats_in *in);

/* Takes what has come, acknowledges what is done, and does what is due. */
void nats_in_step(struct nats_in *in, uint64_t now_ns);
uint64_t nats_in_deadline(const struct nats_in *in);

/* Takes nothing more. */
void nats_in_stop(struct nats_in *in);

/* After nats_in_stop(): whether all that was taken is done, and the server knows it. */
bool nats_in_is_settled(struct nats_in *in, uint64_t now_ns);

/* Whether it holds enough that nothing more should be read. */
bool nats_in_is_full(const struct nats_in *in);

/* Whether something comes in, or is to. */
bool nats_in_is_used(const struct nats_in *in);

/* Why something does not come in, or NULL. */
const char *nats_in_error(const struct nats_in *in);

/* The server does not permit something: its text. The first returns whether it is about a consumer
 * that is not wanted any more, which then is left there. The second returns whether it is about
 * what comes in. */
bool nats_in_release(struct nats_in *in, const char *text);
bool nats_in_object(struct nats_in *in, const char *text, uint64_t now_ns);
