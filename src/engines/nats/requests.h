/* Requests to JetStream: when each is asked, how many are open, and why one has failed. Answers
 * come to INBOX.q.SERIAL, and whoever has the request of that serial takes them.
 *
 * A request is open from the call that asks until it is closed or has failed. Its time is then that
 * of its failure; when that comes, its owner says so. requests.due_ns is never later than the time
 * of any request. */
#pragma once

#include <nats/nats.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "engines/nats/api.h"

#define NATS_RETRY_MIN_NS (100 * NS_PER_MS)
#define NATS_REQUEST_WHY_MAX (NATS_REASON_MAX + 2 * NATS_NAME_MAX)

/* What is asked, and asked again when it fails. */
struct nats_request {
	uint64_t serial; /* 0: none is open */
	uint64_t due_ns; /* when it is asked next, or has failed; 0: never */
	unsigned failures; /* one after the other */
	char *error; /* NULL: none */
};

/* What all of a handler have in common. */
struct nats_requests {
	const char *inbox;
	natsConnection *connection; /* NULL: none */
	uint64_t serial; /* the last one */
	uint64_t due_ns; /* when one is due; 0: none is */
	unsigned open;
};

/* Something is due then. */
void nats_requests_wake(struct nats_requests *requests, uint64_t due_ns);

/* Whether one more may be open. */
bool nats_requests_may_ask(const struct nats_requests *requests);

/* It is due then. */
void nats_request_plan(
	struct nats_requests *requests, struct nats_request *request, uint64_t due_ns);

/* Sends it. body may be NULL. */
void nats_request_ask(struct nats_requests *requests, struct nats_request *request, uint64_t now_ns,
	const char *subject, const char *body);

/* It has been answered, or is not of interest any more. */
void nats_request_close(struct nats_requests *requests, struct nats_request *request);

/* It has failed, for this reason, and is due again after a pause. */
void nats_request_fail(struct nats_requests *requests, struct nats_request *request,
	uint64_t now_ns, const char *why);
void nats_request_forget_error(struct nats_request *request);

/* Why it has failed several times, or NULL. */
const char *nats_request_error(const struct nats_request *request);

/* Closes it and frees what it has. */
void nats_request_clear(struct nats_requests *requests, struct nats_request *request);
