/* Feeds: the durable consumers of JetStream, one for each group, site that is named and stream.
 * Each asks the server what is there, creates what is missing, and is bound to a subscription of
 * this connection, from which its deliveries are taken.
 *
 * A binding ends when anything is missing, and the next one begins with what is not acknowledged. A
 * consumer that was lost is created where it was; in a stream that was made again, at its
 * beginning. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engines/nats/deliveries.h"
#include "engines/nats/requests.h"

struct nats_feeds;

/* site is this one; command makes a stream that is missing, for errors. All that is given must
 * outlive the object. Returns NULL without memory. */
struct nats_feeds *nats_feeds_new(const char *site, const char *handler, const char *command,
	unsigned most_pending, struct nats_requests *requests, struct nats_deliveries *deliveries);
void nats_feeds_free(struct nats_feeds *feeds); /* accepts NULL */

/* What comes from a site (NULL: any) into a group, at these subjects. */
struct nats_wanted {
	const char *group, *site, *subject;
};

/* Adds the feed of a stream, unless it is there. Returns 0, -ENOMEM, -ENAMETOOLONG, or -E2BIG:
 * there are too many. */
int nats_feeds_add(struct nats_feeds *feeds, const struct nats_wanted *wanted, const char *stream,
	uint64_t now_ns);

/* Deletes the consumers of those that are not wanted. */
typedef bool nats_is_wanted(const void *owner, const char *group, const char *site);
void nats_feeds_keep(
	struct nats_feeds *feeds, nats_is_wanted *is_wanted, const void *owner, uint64_t now_ns);

/* What is at the server of those that are there: a stream and the name of a consumer for each. */
typedef void nats_feeds_tell(void *owner, const char *stream, const char *name);
void nats_feeds_list(const struct nats_feeds *feeds, nats_feeds_tell *tell, void *owner);

/* Deletes a consumer that nothing is known of but its name. Returns 0, -ENOMEM, or -E2BIG: there
 * are too many. */
int nats_feeds_drop(
	struct nats_feeds *feeds, const char *stream, const char *name, uint64_t now_ns);

/* Releases a consumer that the server does not let it delete, by the server's words. Returns false:
 * they are about something else. */
bool nats_feeds_release(struct nats_feeds *feeds, const char *text);

void nats_feeds_connected(struct nats_feeds *feeds, uint64_t now_ns);
void nats_feeds_disconnected(struct nats_feeds *feeds);

/* Takes what has come. */
void nats_feeds_take(struct nats_feeds *feeds, uint64_t now_ns);

/* Does what is due. */
void nats_feeds_step(struct nats_feeds *feeds, uint64_t now_ns);

/* The answer to the request of this serial, if it is one of a feed. */
void nats_feeds_answer(
	struct nats_feeds *feeds, uint64_t serial, const char *json, size_t size, uint64_t now_ns);

/* All requests that are open have failed, for this reason. */
void nats_feeds_fail(struct nats_feeds *feeds, const char *why, uint64_t now_ns);

/* Unsubscribes. */
void nats_feeds_stop(struct nats_feeds *feeds);

/* After that, with all acknowledged: whether the server knows it. It is asked with the first call.
 */
bool nats_feeds_are_confirmed(struct nats_feeds *feeds, uint64_t now_ns);

/* Bytes that have come and are not taken, about. */
uint64_t nats_feeds_pending(const struct nats_feeds *feeds);

bool nats_feeds_are_none(const struct nats_feeds *feeds);

/* Why something does not come in, or NULL. */
const char *nats_feeds_error(const struct nats_feeds *feeds);
