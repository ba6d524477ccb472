/* A request that fails is asked again after a pause, which doubles with each failure that follows,
 * up to RETRY_MAX_NS. */
#include "engines/nats/requests.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "engines/nats/api.h"

#define REQUEST_NS (3 * NS_PER_S) /* for an answer */
#define RETRY_MAX_NS (5 * NS_PER_S)
#define REQUESTS_MAX 256 /* without an answer */
#define FAILURES_QUIET 3 /* what goes away by itself meanwhile is no error yet */

void nats_requests_wake(struct nats_requests *requests, uint64_t due_ns)
{
	requests->due_ns = earlier_ns(requests->due_ns, due_ns);
}

bool nats_requests_may_ask(const struct nats_requests *requests)
{
	return requests->open < REQUESTS_MAX;
}

void nats_request_plan(
	struct nats_requests *requests, struct nats_request *request, uint64_t due_ns)
{
	request->due_ns = due_ns;
	nats_requests_wake(requests, due_ns);
}

void nats_request_close(struct nats_requests *requests, struct nats_request *request)
{
	requests->open -= request->serial != 0;
	request->serial = 0;
}

void nats_request_forget_error(struct nats_request *request)
{
	request->failures = 0;
	free(take(request->error));
}

void nats_request_fail(struct nats_requests *requests, struct nats_request *request,
	uint64_t now_ns, const char *why)
{
	uint64_t pause = NATS_RETRY_MIN_NS << (request->failures < 6 ? request->failures : 6);

	nats_request_close(requests, request);
	request->failures++;
	free(request->error);
	request->error = strdup(why);
	nats_request_plan(
		requests, request, now_ns + (pause < RETRY_MAX_NS ? pause : RETRY_MAX_NS));
}

void nats_request_ask(struct nats_requests *requests, struct nats_request *request, uint64_t now_ns,
	const char *subject, const char *body)
{
	char reply[NATS_NAME_MAX];

	request->serial = ++requests->serial;
	requests->open++;
	snprintf(reply, sizeof(reply), "%s.q.%" PRIu64, requests->inbox, request->serial);
	natsConnection_PublishRequest(requests->connection, subject, reply, body ? body : "",
		body ? (int)strlen(body) : 0);
	nats_request_plan(requests, request, now_ns + REQUEST_NS);
}

void nats_request_clear(struct nats_requests *requests, struct nats_request *request)
{
	nats_request_close(requests, request);
	nats_request_forget_error(request);
}

const char *nats_request_error(const struct nats_request *request)
{
	return request->failures >= FAILURES_QUIET ? request->error : NULL;
}
