/* A route is what comes from one site, or any, into a group. Where streams are not named, it asks
 * the server which ones have its subject, and again each minute, as other sites may get streams of
 * their own; each stream makes a feed. Without JetStream a route is a plain subscription. */
#include "engines/nats/in.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "engines/nats/api.h"
#include "engines/nats/deliveries.h"
#include "engines/nats/feeds.h"
#include "engines/nats/requests.h"
#include "handlers/ledger.h"

#define ASK_AGAIN_NS (60 * NS_PER_S) /* for the streams of a route */
#define HELD_MAX (16 * 1024 * 1024) /* bytes that wait for the intake beside it */

struct route {
	struct nats_request request;
	struct nats_source source; /* without JetStream */
	char *group, *site; /* site NULL: any */
	char *filter;
	bool is_wanted;
};

struct routes {
	struct route **items;
	size_t count;
};

struct nats_in {
	char *handler, *site, *subject, *stream, *inbox;
	char command[NATS_COMMAND_MAX]; /* that makes the stream that is named */
	struct string_list sites;
	bool is_stored;
	struct nats_requests requests;
	struct nats_deliveries *deliveries;
	struct nats_feeds *feeds;
	struct trash *trash;
	natsSubscription *answers;
	bool is_stopped;
	struct routes routes;
	size_t turn; /* of the routes */
};

/* ---- Routes ---- */

static void route_free(struct nats_in *in, struct route *route)
{
	if (!route)
		return;
	nats_request_clear(&in->requests, &route->request);
	nats_source_clear(&route->source);
	free(route->group), free(route->site), free(route->filter);
	free(route);
}

/* Without JetStream: each route in turn. */
static void take_plain(struct nats_in *in)
{
	struct nats_source *held = nats_deliveries_held(in->deliveries);
	size_t count = in->routes.count;

	if (held && nats_deliveries_take_plain(in->deliveries, held) < 0)
		return;
	for (size_t i = 0; i < count; i++) {
		struct route *route = in->routes.items[in->turn++ % count];

		if (nats_deliveries_take_plain(in->deliveries, &route->source) < 0)
			return;
	}
}

/* ---- Answers ---- */

static int add_feed(
	struct nats_in *in, const struct route *route, const char *stream, uint64_t now_ns)
{
	struct nats_wanted wanted = {route->group, route->site, route->filter};

	return nats_feeds_add(in->feeds, &wanted, stream, now_ns);
}

static void answer_route(
	struct nats_in *in, struct route *route, const char *json, size_t size, uint64_t now_ns)
{
	struct string_list names = {0};
	char text[NATS_REASON_MAX], why[NATS_REQUEST_WHY_MAX], command[NATS_COMMAND_MAX];
	int code = nats_api_error(json, size, text), r;

	nats_request_close(&in->requests, &route->request);
	r = code == NATS_ERROR_NONE ? nats_api_read_names(json, size, &names) : 0;
	for (size_t i = 0; i < names.count && r >= 0; i++)
		r = add_feed(in, route, names.items[i], now_ns);
	if (names.count && r >= 0) {
		nats_request_forget_error(&route->request);
		nats_request_plan(&in->requests, &route->request, now_ns + ASK_AGAIN_NS);
	} else {
		nats_api_make_command(command, NULL, in->subject, NULL);
		snprintf(why, sizeof(why),
			r == -E2BIG ? "more streams have %s than are followed: name one with "
				      "\"stream\""
			: r < 0 ? "asking for the stream of %s: an answer that is not understood"
			: code == NATS_ERROR_DISABLED ? "JetStream is not enabled for this account"
			: code != NATS_ERROR_NONE     ? "asking for the stream of %s: %s"
						      : "no stream has %s: make one with \"%s\"",
			route->filter, code != NATS_ERROR_NONE ? text : command);
		nats_request_fail(&in->requests, &route->request, now_ns, why);
	}
	string_list_clear(&names);
}

static void take_answer(struct nats_in *in, natsMsg *message, uint64_t now_ns)
{
	const char *json = natsMsg_GetData(message);
	size_t size = (size_t)natsMsg_GetDataLength(message);
	char prefix[NATS_NAME_MAX];
	uint64_t serial;

	snprintf(prefix, sizeof(prefix), "%s.q.", in->inbox);
	if (nats_api_read_serial(natsMsg_GetSubject(message), prefix, &serial) < 0 || !serial)
		return;
	for (size_t i = 0; i < in->routes.count; i++)
		if (in->routes.items[i]->request.serial == serial) {
			answer_route(in, in->routes.items[i], json, size, now_ns);
			return;
		}
	nats_feeds_answer(in->feeds, serial, json, size, now_ns);
}

/* Nobody answers for JetStream: what is open was asked in vain. libnats keeps for itself which one
 * that is. */
static void take_silence(struct nats_in *in, uint64_t now_ns)
{
	static const char why[] =
		"JetStream does not answer: it is not enabled on the server, or has "
		"no leader at present";

	for (size_t i = 0; i < in->routes.count; i++)
		if (in->routes.items[i]->request.serial)
			nats_request_fail(
				&in->requests, &in->routes.items[i]->request, now_ns, why);
	nats_feeds_fail(in->feeds, why, now_ns);
}

static void take_answers(struct nats_in *in, uint64_t now_ns)
{
	for (;;) {
		natsMsg *message = NULL;
		natsStatus status = natsSubscription_NextMsg(&message, in->answers, 0);

		if (status == NATS_NO_RESPONDERS)
			take_silence(in, now_ns);
		else if (status != NATS_OK)
			return;
		else
			take_answer(in, message, now_ns);
		trash_add(in->trash, message);
	}
}

/* ---- What is due ---- */

/* A server that does not permit it says so within this time, and nothing when it does. */
#define PERMITTED_NS (3 * NS_PER_S)

static void subscribe_plainly(struct nats_in *in, struct route *route, uint64_t now_ns)
{
	if (route->source.subscription) {
		route->request.due_ns = 0;
		nats_request_forget_error(&route->request);
	} else if (nats_source_listen(&route->source, in->requests.connection, route->filter)) {
		nats_request_plan(&in->requests, &route->request, now_ns + PERMITTED_NS);
	} else {
		nats_source_close(&route->source);
		nats_request_fail(&in->requests, &route->request, now_ns, strerror(ENOMEM));
	}
}

static void step_route(struct nats_in *in, struct route *route, uint64_t now_ns)
{
	struct nats_request *request = &route->request;
	AUTO_FREE char *body = NULL;
	char why[NATS_REASON_MAX];

	if (!request->due_ns || now_ns < request->due_ns) {
		nats_requests_wake(&in->requests, request->due_ns);
	} else if (!in->is_stored) {
		subscribe_plainly(in, route, now_ns);
	} else if (in->stream) {
		int r = add_feed(in, route, in->stream, now_ns);

		request->due_ns = 0;
		if (r < 0)
			nats_request_fail(&in->requests, request, now_ns, strerror(-r));
	} else if (request->serial) {
		snprintf(why, sizeof(why),
			"asking for the stream of %s: the server does not answer", route->filter);
		nats_request_fail(&in->requests, request, now_ns, why);
	} else if (nats_requests_may_ask(&in->requests) && (body = nats_api_find(route->filter))) {
		nats_request_ask(&in->requests, request, now_ns, "$JS.API.STREAM.NAMES", body);
	} else {
		nats_requests_wake(&in->requests, now_ns + NATS_RETRY_MIN_NS);
	}
}

void nats_in_step(struct nats_in *in, uint64_t now_ns)
{
	if (in->requests.connection && in->is_stored)
		take_answers(in, now_ns);
	if (!in->is_stopped && in->is_stored)
		nats_feeds_take(in->feeds, now_ns);
	else if (!in->is_stopped)
		take_plain(in);
	nats_deliveries_acknowledge(in->deliveries);
	if (!in->requests.connection || in->is_stopped || !in->requests.due_ns ||
		now_ns < in->requests.due_ns)
		return;
	in->requests.due_ns = 0;
	for (size_t i = 0; i < in->routes.count; i++)
		step_route(in, in->routes.items[i], now_ns);
	nats_feeds_step(in->feeds, now_ns);
}

uint64_t nats_in_deadline(const struct nats_in *in)
{
	return in->requests.connection ? in->requests.due_ns : 0;
}

/* ---- The connection ---- */

void nats_in_connected(struct nats_in *in, natsConnection *connection, uint64_t now_ns)
{
	char subject[NATS_NAME_MAX];

	in->requests.connection = connection;
	nats_deliveries_connect(in->deliveries, connection);
	snprintf(subject, sizeof(subject), "%s.q.*", in->inbox);
	if (in->is_stored &&
		natsConnection_SubscribeSync(&in->answers, connection, subject) == NATS_OK)
		natsSubscription_SetPendingLimits(in->answers, -1, -1);
	for (size_t i = 0; i < in->routes.count; i++)
		nats_request_plan(&in->requests, &in->routes.items[i]->request, now_ns);
	nats_feeds_connected(in->feeds, now_ns);
}

void nats_in_disconnected(struct nats_in *in)
{
	in->requests.connection = NULL;
	nats_deliveries_connect(in->deliveries, NULL);
	nats_deliveries_drop_held(in->deliveries, NULL);
	natsSubscription_Destroy(take(in->answers));
	for (size_t i = 0; i < in->routes.count; i++) {
		nats_source_close(&in->routes.items[i]->source);
		nats_request_close(&in->requests, &in->routes.items[i]->request);
	}
	nats_feeds_disconnected(in->feeds);
}

/* ---- Groups ---- */

static struct route *find_route(const struct nats_in *in, const char *group, const char *site)
{
	for (size_t i = 0; i < in->routes.count; i++) {
		struct route *route = in->routes.items[i];

		if (!strcmp(route->group, group) &&
			(site ? route->site && !strcmp(route->site, site) : !route->site))
			return route;
	}
	return NULL;
}

static void want_route(struct nats_in *in, const char *group, const char *site, uint64_t now_ns)
{
	char address[ENGINE_ADDRESS_MAX];
	struct route *route = find_route(in, group, site);

	if (!route) {
		route = calloc(1, sizeof(*route));
		if (!route)
			return;
		if (engine_address(address, sizeof(address), in->subject, group) < 0 ||
			asprintf(&route->filter, "%s.%s", address, site ? site : "*") < 0)
			route->filter = NULL;
		if (!route->filter || string_copy(&route->group, group) < 0 ||
			string_copy(&route->site, site) < 0 || array_add(&in->routes, route) < 0) {
			route_free(in, route);
			return;
		}
		route->source.group = route->group;
		nats_request_plan(&in->requests, &route->request, now_ns);
	}
	route->is_wanted = true;
}

static bool is_wanted(const void *owner, const char *group, const char *site)
{
	return find_route(owner, group, site) != NULL;
}

/* Routes that nobody wants are forgotten, and their consumers deleted. */
static void drop_unwanted(struct nats_in *in, uint64_t now_ns)
{
	for (size_t i = 0; i < in->routes.count; i++) {
		struct route *route = in->routes.items[i];

		if (route->is_wanted)
			continue;
		nats_deliveries_drop_held(in->deliveries, &route->source);
		in->routes.items[i--] = in->routes.items[--in->routes.count];
		route_free(in, route);
	}
	nats_feeds_keep(in->feeds, is_wanted, in, now_ns);
}

void nats_in_subscribe(struct nats_in *in, const struct string_list *groups, uint64_t now_ns)
{
	for (size_t i = 0; i < in->routes.count; i++)
		in->routes.items[i]->is_wanted = false;
	for (size_t i = 0; i < groups->count; i++) {
		if (!in->sites.count)
			want_route(in, groups->items[i], NULL, now_ns);
		for (size_t j = 0; j < in->sites.count; j++)
			want_route(in, groups->items[i], in->sites.items[j], now_ns);
	}
	drop_unwanted(in, now_ns);
}

/* ---- From one object of the handler to the next ---- */

#define LEFT_MAX (2 * NATS_NAME_MAX)

/* Neither a stream's name nor a consumer's has a space. */
static void leave_consumer(void *owner, const char *stream, const char *name)
{
	char left[LEFT_MAX];

	snprintf(left, sizeof(left), "%s %s", stream, name);
	ledger_leave(owner, left);
}

void nats_in_leave(const struct nats_in *in, struct ledger *ledger)
{
	nats_feeds_list(in->feeds, leave_consumer, ledger);
}

/* Whether a route has this consumer. In which streams a route is the server will say, unless one is
 * named. */
static bool is_of_a_route(const struct nats_in *in, const char *stream, const char *name)
{
	char wanted[NATS_NAME_MAX];

	if (in->stream && strcmp(in->stream, stream) != 0)
		return false;
	for (size_t i = 0; i < in->routes.count; i++) {
		const struct route *route = in->routes.items[i];

		if (nats_api_name(wanted, in->site, in->handler, route->group, route->site) >= 0 &&
			!strcmp(wanted, name))
			return true;
	}
	return false;
}

/* Without JetStream nobody may be there to ask: it is left to one that has it. */
void nats_in_inherit(struct nats_in *in, struct ledger *ledger, uint64_t now_ns)
{
	struct string_list left = {0};

	if (!in->is_stored)
		return;
	ledger_take_left(ledger, &left);
	for (size_t i = 0; i < left.count; i++) {
		char *name = strchr(left.items[i], ' ');

		if (!name)
			continue; /* of another kind that the handler was of before */
		*name++ = '\0';
		if (!is_of_a_route(in, left.items[i], name))
			nats_feeds_drop(in->feeds, left.items[i], name, now_ns);
	}
	string_list_clear(&left);
}

/* ---- The end ---- */

void nats_in_stop(struct nats_in *in)
{
	in->is_stopped = true;
	nats_deliveries_drop_held(in->deliveries, NULL);
	for (size_t i = 0; i < in->routes.count; i++)
		nats_source_close(&in->routes.items[i]->source);
	nats_feeds_stop(in->feeds);
}

bool nats_in_is_settled(struct nats_in *in, uint64_t now_ns)
{
	if (!nats_deliveries_settle(in->deliveries))
		return false;
	return !in->requests.connection || !in->is_stored ||
	       nats_feeds_are_confirmed(in->feeds, now_ns);
}

/* ---- State ---- */

bool nats_in_is_full(const struct nats_in *in)
{
	uint64_t total;

	if (!nats_deliveries_held(in->deliveries))
		return false;
	total = nats_feeds_pending(in->feeds);
	for (size_t i = 0; i < in->routes.count; i++)
		total += nats_source_pending(&in->routes.items[i]->source);
	return total > HELD_MAX;
}

bool nats_in_is_used(const struct nats_in *in)
{
	return in->routes.count || !nats_feeds_are_none(in->feeds);
}

const char *nats_in_error(const struct nats_in *in)
{
	const char *error = NULL;

	for (size_t i = 0; i < in->routes.count && !error; i++)
		error = nats_request_error(&in->routes.items[i]->request);
	return error ? error : nats_feeds_error(in->feeds);
}

/* Whether a text has a subject in quotes. */
static bool names_subject(const char *text, const char *subject)
{
	const char *quote = strchr(text, '"');
	size_t length = strlen(subject);

	return quote && !strncmp(quote + 1, subject, length) && quote[1 + length] == '"';
}

bool nats_in_release(struct nats_in *in, const char *text)
{
	return nats_feeds_release(in->feeds, text);
}

bool nats_in_object(struct nats_in *in, const char *text, uint64_t now_ns)
{
	bool is_subscription = strstr(text, "Subscription");

	if (!is_subscription && !strstr(text, "\"$JS."))
		return false;
	for (size_t i = 0; i < in->routes.count; i++) {
		struct route *route = in->routes.items[i];
		bool is_refused = is_subscription && route->source.subscription &&
				  names_subject(text, route->filter);

		if (is_refused)
			nats_source_close(&route->source);
		if (is_refused || route->request.serial)
			nats_request_fail(&in->requests, &route->request, now_ns, text);
	}
	nats_feeds_fail(in->feeds, text, now_ns);
	return true;
}

struct nats_in *nats_in_new(const struct nats_settings *settings, const char *handler,
	const char *inbox, struct intake *intake, struct trash *trash)
{
	struct nats_in *in = calloc(1, sizeof(*in));
	int r = 0;

	if (!in)
		return NULL;
	in->trash = trash;
	in->is_stored = settings->acknowledge == ACKNOWLEDGE_STORED;
	for (size_t i = 0; i < settings->sites.count && r >= 0; i++)
		r = string_list_add(&in->sites, settings->sites.items[i]);
	if (r >= 0 && string_copy(&in->handler, handler) >= 0 &&
		string_copy(&in->site, settings->common.site) >= 0 &&
		string_copy(&in->subject, settings->subject) >= 0 &&
		string_copy(&in->stream, settings->stream) >= 0 &&
		string_copy(&in->inbox, inbox) >= 0)
		in->deliveries = nats_deliveries_new(in->site, intake, trash);
	if (in->subject)
		nats_api_make_command(in->command, in->stream, in->subject,
			in->sites.count == 1 ? *in->sites.items : NULL);
	in->requests.inbox = in->inbox;
	if (in->deliveries)
		in->feeds = nats_feeds_new(in->site, in->handler, in->command,
			(unsigned)settings->common.window, &in->requests, in->deliveries);
	if (in->feeds)
		return in;
	nats_in_free(in);
	return NULL;
}

void nats_in_free(struct nats_in *in)
{
	if (!in)
		return;
	nats_deliveries_free(in->deliveries);
	nats_feeds_free(in->feeds);
	natsSubscription_Destroy(in->answers);
	for (size_t i = 0; i < in->routes.count; i++)
		route_free(in, in->routes.items[i]);
	free(in->routes.items);
	string_list_clear(&in->sites);
	free(in->handler), free(in->site), free(in->subject), free(in->stream), free(in->inbox);
	free(in);
}
