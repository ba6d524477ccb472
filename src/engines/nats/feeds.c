/* A feed asks for its stream, then for its consumer; makes or changes that, and is bound. Where it
 * is sent nothing any more, or something is missing, it goes through that again. Each binding has a
 * subject of its own, INBOX.d.SERIAL, as the server refuses to deliver to another subject while
 * somebody listens at the old one. It wants a subscription of exactly that subject. */
#include "engines/nats/feeds.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "engines/nats/api.h"

#define REBIND_NS (100 * NS_PER_MS) /* between two bindings, at least */
#define HEARD_NS (7 * NS_PER_S) /* three heartbeats of a consumer */
#define FEEDS_MAX 16384

enum feed_state {
	FEED_ASK_STREAM, /* which of the route's subjects it has, and its last number */
	FEED_ASK, /* for the consumer */
	FEED_CREATE, /* or change */
	FEED_BOUND,
	FEED_OWN, /* nothing of other sites is in the stream */
	FEED_DELETE,
};

struct feed {
	struct nats_request request;
	struct nats_source source;
	char *group, *site, *stream; /* group NULL: only its name is known, to delete it */
	char *wanted; /* the subjects of the route */
	char *filter; /* those of them that the stream has; NULL: not known yet */
	char name[NATS_NAME_MAX]; /* of the consumer */
	enum feed_state state;
	enum nats_start start; /* where it is to begin when it is created */
	uint64_t start_at;
	uint64_t bound_ns; /* when it was bound last */
	bool was_empty; /* the stream, at the last binding */
	bool is_anew; /* the stream is another one than that of the last binding */
	struct nats_stream is; /* the stream, when it was asked */
	char was[sizeof(((struct nats_stream *)NULL)->created)]; /* that source.taken is of */
};

struct nats_feeds {
	const char *site, *handler, *command;
	unsigned most_pending;
	struct nats_requests *requests;
	struct nats_deliveries *deliveries;
	bool is_settling;
	size_t turn;
	struct feed **items; /* by name and stream */
	size_t count;
};

static void feed_free(struct nats_feeds *feeds, struct feed *feed)
{
	if (!feed)
		return;
	nats_request_clear(feeds->requests, &feed->request);
	nats_source_clear(&feed->source);
	free(feed->group), free(feed->site), free(feed->stream);
	free(feed->wanted), free(feed->filter);
	free(feed);
}

struct feed_key {
	const char *name, *stream;
};

static int compare_feed(const void *key, const void *item)
{
	const struct feed_key *wanted = key;
	const struct feed *feed = *(struct feed *const *)item;
	int r = strcmp(wanted->name, feed->name);

	return r ? r : strcmp(wanted->stream, feed->stream);
}

/* The place of a feed, whether it is there or not. */
static size_t find_place(const struct nats_feeds *feeds, const char *name, const char *stream)
{
	struct feed_key key = {name, stream};

	return lower_bound(&key, feeds->items, feeds->count, sizeof(*feeds->items), compare_feed);
}

static struct feed *find_feed(struct nats_feeds *feeds, const char *name, const char *stream)
{
	struct feed_key key = {name, stream};
	size_t at = find_place(feeds, name, stream);

	return at < feeds->count && !compare_feed(&key, &feeds->items[at]) ? feeds->items[at]
									   : NULL;
}

static int insert_feed(struct nats_feeds *feeds, struct feed *feed)
{
	size_t at = find_place(feeds, feed->name, feed->stream);
	int r = array_add(feeds, NULL);

	if (r < 0)
		return r;
	memmove(feeds->items + at + 1, feeds->items + at,
		(feeds->count - 1 - at) * sizeof(*feeds->items));
	feeds->items[at] = feed;
	return 0;
}

static void remove_feed(struct nats_feeds *feeds, struct feed *feed)
{
	size_t at = find_place(feeds, feed->name, feed->stream);

	nats_deliveries_forget(feeds->deliveries, &feed->source);
	memmove(feeds->items + at, feeds->items + at + 1,
		(feeds->count - 1 - at) * sizeof(*feeds->items));
	feeds->count--;
	feed_free(feeds, feed);
}

/* The feed of a consumer that is wanted, if it is there: one that was to be deleted asks again for
 * what is at the server. */
static struct feed *reuse_feed(
	struct nats_feeds *feeds, const char *name, const char *stream, uint64_t now_ns)
{
	struct feed *feed = find_feed(feeds, name, stream);

	if (!feed || feed->state != FEED_DELETE)
		return feed;
	if (!feed->group) {
		remove_feed(feeds, feed);
		return NULL;
	}
	nats_request_close(feeds->requests, &feed->request);
	feed->state = FEED_ASK_STREAM;
	nats_request_plan(feeds->requests, &feed->request, now_ns);
	return feed;
}

int nats_feeds_add(struct nats_feeds *feeds, const struct nats_wanted *wanted, const char *stream,
	uint64_t now_ns)
{
	struct feed *feed = calloc(1, sizeof(*feed)), *there;
	int r;

	if (!feed)
		return -ENOMEM;
	r = nats_api_name(feed->name, feeds->site, feeds->handler, wanted->group, wanted->site);
	there = r < 0 ? NULL : reuse_feed(feeds, feed->name, stream, now_ns);
	if (r >= 0 && !there && feeds->count == FEEDS_MAX)
		r = -E2BIG;
	if (r < 0 || there) {
		free(feed);
		return r;
	}
	if (string_copy(&feed->group, wanted->group) < 0 ||
		string_copy(&feed->site, wanted->site) < 0 ||
		string_copy(&feed->wanted, wanted->subject) < 0 ||
		string_copy(&feed->stream, stream) < 0 || insert_feed(feeds, feed) < 0) {
		feed_free(feeds, feed);
		return -ENOMEM;
	}
	feed->source.group = feed->group;
	nats_request_plan(feeds->requests, &feed->request, now_ns);
	return 0;
}

int nats_feeds_drop(struct nats_feeds *feeds, const char *stream, const char *name, uint64_t now_ns)
{
	struct feed *feed;

	if (find_feed(feeds, name, stream))
		return 0;
	if (feeds->count == FEEDS_MAX)
		return -E2BIG;
	feed = calloc(1, sizeof(*feed));
	if (!feed)
		return -ENOMEM;
	snprintf(feed->name, sizeof(feed->name), "%s", name);
	feed->state = FEED_DELETE;
	if (string_copy(&feed->stream, stream) < 0 || insert_feed(feeds, feed) < 0) {
		feed_free(feeds, feed);
		return -ENOMEM;
	}
	nats_request_plan(feeds->requests, &feed->request, now_ns);
	return 0;
}

/* ---- Taking ---- */

/* Something is missing: it begins again with what is not acknowledged. */
static void plan_binding(struct nats_feeds *feeds, struct feed *feed, uint64_t now_ns)
{
	uint64_t earliest_ns = feed->bound_ns + REBIND_NS;

	nats_source_close(&feed->source);
	feed->state = FEED_ASK;
	nats_request_plan(
		feeds->requests, &feed->request, now_ns > earliest_ns ? now_ns : earliest_ns);
}

/* Returns 0, or -EAGAIN when nothing more can be taken now. */
static int take_feed(struct nats_feeds *feeds, struct feed *feed, uint64_t now_ns)
{
	bool is_asked = feed->state == FEED_CREATE && feed->request.serial;
	enum nats_phase phase = is_asked                    ? NATS_PHASE_WAIT
				: feed->state == FEED_BOUND ? NATS_PHASE_BOUND
							    : NATS_PHASE_PASS;
	int r = nats_deliveries_take(feeds->deliveries, &feed->source, phase, now_ns);

	if (r != -EPROTO)
		return r;
	plan_binding(feeds, feed, now_ns);
	return 0;
}

/* Each in turn, as the intake may be full after any of them. */
void nats_feeds_take(struct nats_feeds *feeds, uint64_t now_ns)
{
	struct nats_source *held = nats_deliveries_held(feeds->deliveries);
	size_t count = feeds->count;

	if (held && take_feed(feeds, container_of(held, struct feed, source), now_ns) < 0)
		return;
	for (size_t i = 0; i < count; i++)
		if (take_feed(feeds, feeds->items[feeds->turn++ % count], now_ns) < 0)
			return;
}

/* ---- Answers ---- */

static void bound(struct nats_feeds *feeds, struct feed *feed, const struct nats_position *position,
	uint64_t now_ns)
{
	nats_request_forget_error(&feed->request);
	feed->state = FEED_BOUND;
	nats_source_bind(&feed->source, position, now_ns);
	snprintf(feed->was, sizeof(feed->was), "%s", feed->is.created);
	feed->was_empty = !feed->is.last;
	feed->is_anew = false;
	nats_request_plan(feeds->requests, &feed->request, now_ns + HEARD_NS);
}

static void explain(const struct nats_feeds *feeds, const struct feed *feed, int code,
	const char *text, char *ret, size_t size)
{
	switch (code) {
	case NATS_ERROR_CONSUMER_IN_USE:
		snprintf(ret, size,
			"consumer %s of stream %s is in use: another daemon has this site and a "
			"handler of this name, or did until a moment ago; give each its own site",
			feed->name, feed->stream);
		return;
	case NATS_ERROR_NO_STREAM:
		snprintf(ret, size, "there is no stream %s: make it with \"%s\"", feed->stream,
			feeds->command);
		return;
	case NATS_ERROR_DISABLED:
		snprintf(ret, size, "JetStream is not enabled for this account");
		return;
	default:
		snprintf(ret, size, "consumer %s of stream %s: %s", feed->name, feed->stream, text);
	}
}

static void fail_feed(
	struct nats_feeds *feeds, struct feed *feed, int code, const char *text, uint64_t now_ns)
{
	char why[NATS_REQUEST_WHY_MAX];

	explain(feeds, feed, code, text, why, sizeof(why));
	nats_request_fail(feeds->requests, &feed->request, now_ns, why);
}

/* The consumer is not there. It begins with what comes from now on, or where it was lost; but where
 * the stream was lost, too, all that is in it is new. */
static void plan_creation(struct nats_feeds *feeds, struct feed *feed, uint64_t now_ns)
{
	feed->start = NATS_START_NEW;
	feed->start_at = 0;
	if (feed->is_anew) {
		feed->start = NATS_START_ALL;
	} else if ((feed->source.taken || feed->was_empty) && feed->is.last >= feed->source.taken) {
		feed->start = NATS_START_AT;
		feed->start_at = feed->source.taken + 1;
	} else if (feed->source.taken) {
		feed->start = NATS_START_ALL;
		nats_source_restart(&feed->source);
	}
	feed->state = FEED_CREATE;
	nats_request_plan(feeds->requests, &feed->request, now_ns);
}

/* What the stream has of the route's subjects: what a consumer may filter by. */
static int choose_filter(struct feed *feed, const struct string_list *subjects)
{
	char common[NATS_SUBJECT_MAX];
	unsigned count = 0;

	for (size_t i = 0; i < subjects->count; i++) {
		if (nats_api_intersect(feed->wanted, subjects->items[i], common) < 0)
			continue;
		count++;
		free(take(feed->filter));
		if (string_copy(&feed->filter, common) < 0)
			return -ENOMEM;
	}
	return count == 1 ? 0 : count ? -E2BIG : -ENOENT;
}

static void answer_stream(
	struct nats_feeds *feeds, struct feed *feed, const char *json, size_t size, uint64_t now_ns)
{
	struct string_list subjects = {0};
	int r = nats_api_read_stream(json, size, &subjects, &feed->is);

	r = r < 0 ? r : choose_filter(feed, &subjects);
	string_list_clear(&subjects);
	if (r < 0) {
		fail_feed(feeds, feed, NATS_ERROR_UNKNOWN,
			r == -E2BIG    ? "it has several subjects for the group: name the sites "
					 "with \"sites\""
			: r == -ENOENT ? "it has no subject for the group any more"
				       : "an answer that is not understood",
			now_ns);
		return;
	}
	if (*feed->was && strcmp(feed->was, feed->is.created) != 0) {
		feed->is_anew = true;
		nats_source_restart(&feed->source);
	}
	feed->state = strcmp(nats_api_site(feed->filter), feeds->site) != 0 ? FEED_ASK : FEED_OWN;
	if (feed->state == FEED_OWN)
		nats_request_forget_error(&feed->request);
	nats_request_plan(feeds->requests, &feed->request, feed->state == FEED_OWN ? 0 : now_ns);
}

static void answer_feed(
	struct nats_feeds *feeds, struct feed *feed, const char *json, size_t size, uint64_t now_ns)
{
	char text[NATS_REASON_MAX];
	struct nats_position position;
	int code = nats_api_error(json, size, text);

	nats_request_close(feeds->requests, &feed->request);
	if (feed->state == FEED_DELETE &&
		(code == NATS_ERROR_NONE || code == NATS_ERROR_NO_CONSUMER ||
			code == NATS_ERROR_NO_STREAM)) {
		remove_feed(feeds, feed);
	} else if (feed->state == FEED_ASK && code == NATS_ERROR_NO_CONSUMER) {
		plan_creation(feeds, feed, now_ns);
	} else if (code != NATS_ERROR_NONE) {
		fail_feed(feeds, feed, code, text, now_ns);
	} else if (feed->state == FEED_ASK_STREAM) {
		answer_stream(feeds, feed, json, size, now_ns);
	} else if (nats_api_read_position(json, size, &position) < 0) {
		fail_feed(feeds, feed, NATS_ERROR_UNKNOWN, "an answer that is not understood",
			now_ns);
	} else if (feed->state == FEED_ASK) {
		feed->start = position.start;
		feed->start_at = position.start_at;
		feed->state = FEED_CREATE;
		nats_request_plan(feeds->requests, &feed->request, now_ns);
	} else {
		bound(feeds, feed, &position, now_ns);
	}
}

void nats_feeds_answer(
	struct nats_feeds *feeds, uint64_t serial, const char *json, size_t size, uint64_t now_ns)
{
	for (size_t i = 0; i < feeds->count; i++) {
		struct feed *feed = feeds->items[i];

		if (feed->request.serial != serial)
			continue;
		if (!feeds->is_settling)
			answer_feed(feeds, feed, json, size, now_ns);
		else
			nats_request_close(feeds->requests, &feed->request);
		return;
	}
}

void nats_feeds_fail(struct nats_feeds *feeds, const char *why, uint64_t now_ns)
{
	for (size_t i = 0; i < feeds->count; i++)
		if (feeds->items[i]->request.serial)
			nats_request_fail(feeds->requests, &feeds->items[i]->request, now_ns, why);
}

/* ---- What is due ---- */

/* Another subject to deliver to: the server begins with what is not acknowledged. */
static bool listen_anew(struct nats_feeds *feeds, struct feed *feed)
{
	char subject[NATS_NAME_MAX];

	nats_deliveries_drop_held(feeds->deliveries, &feed->source);
	snprintf(subject, sizeof(subject), "%s.d.%" PRIu64, feeds->requests->inbox,
		++feeds->requests->serial);
	return nats_source_listen(&feed->source, feeds->requests->connection, subject);
}

static void create_consumer(struct nats_feeds *feeds, struct feed *feed, uint64_t now_ns)
{
	char subject[2 * NATS_NAME_MAX + 64];
	struct nats_consumer consumer = {.stream = feed->stream,
		.name = feed->name,
		.filter = feed->filter,
		.deliver_to = feed->source.deliver_to,
		.start = feed->start,
		.start_at = feed->start_at,
		.most_pending = feeds->most_pending};
	AUTO_FREE char *body = NULL;

	feed->bound_ns = now_ns;
	snprintf(subject, sizeof(subject), "$JS.API.CONSUMER.DURABLE.CREATE.%s.%s", feed->stream,
		feed->name);
	body = listen_anew(feeds, feed) ? nats_api_create(&consumer) : NULL;
	if (body)
		nats_request_ask(feeds->requests, &feed->request, now_ns, subject, body);
	else
		nats_request_fail(feeds->requests, &feed->request, now_ns, strerror(ENOMEM));
}

static void ask_feed(struct nats_feeds *feeds, struct feed *feed, uint64_t now_ns)
{
	static const char *const verbs[] = {[FEED_ASK] = "CONSUMER.INFO",
		[FEED_ASK_STREAM] = "STREAM.INFO",
		[FEED_DELETE] = "CONSUMER.DELETE"};
	char subject[2 * NATS_NAME_MAX + 64];

	if (feed->state == FEED_CREATE) {
		create_consumer(feeds, feed, now_ns);
		return;
	}
	snprintf(subject, sizeof(subject), "$JS.API.%s.%s%s%s", verbs[feed->state], feed->stream,
		feed->state == FEED_ASK_STREAM ? "" : ".",
		feed->state == FEED_ASK_STREAM ? "" : feed->name);
	nats_request_ask(feeds->requests, &feed->request, now_ns, subject, NULL);
}

static void step_feed(struct nats_feeds *feeds, struct feed *feed, uint64_t now_ns)
{
	struct nats_request *request = &feed->request;
	uint64_t heard_ns;

	if (!request->due_ns || now_ns < request->due_ns) {
		nats_requests_wake(feeds->requests, request->due_ns);
	} else if (feed->state == FEED_BOUND) {
		/* An idle one sends heartbeats: one that does not may be gone. */
		heard_ns = nats_deliveries_heard(feeds->deliveries, &feed->source, now_ns);
		if (now_ns - heard_ns >= HEARD_NS)
			feed->state = FEED_ASK_STREAM;
		nats_request_plan(feeds->requests, request,
			feed->state == FEED_BOUND ? heard_ns + HEARD_NS : now_ns);
	} else if (request->serial) {
		fail_feed(feeds, feed, NATS_ERROR_UNKNOWN, "the server does not answer", now_ns);
	} else if (nats_requests_may_ask(feeds->requests)) {
		ask_feed(feeds, feed, now_ns);
	} else {
		nats_requests_wake(feeds->requests, now_ns + NATS_RETRY_MIN_NS);
	}
}

void nats_feeds_step(struct nats_feeds *feeds, uint64_t now_ns)
{
	for (size_t i = 0; i < feeds->count; i++)
		step_feed(feeds, feeds->items[i], now_ns);
}

/* ---- The connection ---- */

void nats_feeds_connected(struct nats_feeds *feeds, uint64_t now_ns)
{
	for (size_t i = 0; i < feeds->count; i++)
		nats_request_plan(feeds->requests, &feeds->items[i]->request, now_ns);
}

void nats_feeds_disconnected(struct nats_feeds *feeds)
{
	for (size_t i = 0; i < feeds->count; i++) {
		struct feed *feed = feeds->items[i];

		nats_source_close(&feed->source);
		nats_request_close(feeds->requests, &feed->request);
		if (feed->state != FEED_DELETE)
			feed->state = FEED_ASK_STREAM;
	}
}

/* ---- The end ---- */

void nats_feeds_keep(
	struct nats_feeds *feeds, nats_is_wanted *is_wanted, const void *owner, uint64_t now_ns)
{
	for (size_t i = 0; i < feeds->count; i++) {
		struct feed *feed = feeds->items[i];

		if (feed->state == FEED_DELETE || is_wanted(owner, feed->group, feed->site))
			continue;
		nats_request_close(feeds->requests, &feed->request);
		feed->state = FEED_DELETE;
		nats_request_plan(feeds->requests, &feed->request, now_ns);
	}
}

bool nats_feeds_release(struct nats_feeds *feeds, const char *text)
{
	for (size_t i = 0; i < feeds->count; i++) {
		struct feed *feed = feeds->items[i];
		char subject[2 * NATS_NAME_MAX + 64];

		snprintf(subject, sizeof(subject), "\"$JS.API.CONSUMER.DELETE.%s.%s\"",
			feed->stream ? feed->stream : "", feed->name);
		if (feed->state != FEED_DELETE || !strstr(text, subject))
			continue;
		log_warning("handler %s: the server does not permit to delete the consumer %s, "
			    "which is not wanted any more and keeps its messages: on the server, "
			    "nats consumer rm %s %s",
			feeds->handler, feed->name, feed->stream, feed->name);
		remove_feed(feeds, feed);
		return true;
	}
	return false;
}

void nats_feeds_list(const struct nats_feeds *feeds, nats_feeds_tell *tell, void *owner)
{
	for (size_t i = 0; i < feeds->count; i++)
		if (feeds->items[i]->state != FEED_OWN)
			tell(owner, feeds->items[i]->stream, feeds->items[i]->name);
}

void nats_feeds_stop(struct nats_feeds *feeds)
{
	for (size_t i = 0; i < feeds->count; i++)
		nats_source_close(&feeds->items[i]->source);
}

/* Asks the server for an answer to the last acknowledgement of each feed. */
static void confirm(struct nats_feeds *feeds, uint64_t now_ns)
{
	feeds->is_settling = true;
	for (size_t i = 0; i < feeds->count; i++) {
		struct feed *feed = feeds->items[i];

		nats_request_close(feeds->requests, &feed->request);
		if (feed->state == FEED_BOUND && feed->source.acknowledged)
			nats_request_ask(feeds->requests, &feed->request, now_ns,
				feed->source.acknowledged, "+ACK");
	}
}

bool nats_feeds_are_confirmed(struct nats_feeds *feeds, uint64_t now_ns)
{
	if (!feeds->is_settling)
		confirm(feeds, now_ns);
	for (size_t i = 0; i < feeds->count; i++)
		if (feeds->items[i]->request.serial)
			return false;
	return true;
}

/* ---- State ---- */

uint64_t nats_feeds_pending(const struct nats_feeds *feeds)
{
	uint64_t total = 0;

	for (size_t i = 0; i < feeds->count; i++)
		total += nats_source_pending(&feeds->items[i]->source);
	return total;
}

bool nats_feeds_are_none(const struct nats_feeds *feeds)
{
	return !feeds->count;
}

const char *nats_feeds_error(const struct nats_feeds *feeds)
{
	const char *error = NULL;

	for (size_t i = 0; i < feeds->count && !error; i++)
		if (feeds->items[i]->state != FEED_DELETE)
			error = nats_request_error(&feeds->items[i]->request);
	return error;
}

struct nats_feeds *nats_feeds_new(const char *site, const char *handler, const char *command,
	unsigned most_pending, struct nats_requests *requests, struct nats_deliveries *deliveries)
{
	struct nats_feeds *feeds = calloc(1, sizeof(*feeds));

	if (!feeds)
		return NULL;
	feeds->site = site;
	feeds->handler = handler;
	feeds->command = command;
	feeds->most_pending = most_pending;
	feeds->requests = requests;
	feeds->deliveries = deliveries;
	return feeds;
}

void nats_feeds_free(struct nats_feeds *feeds)
{
	if (!feeds)
		return;
	for (size_t i = 0; i < feeds->count; i++)
		feed_free(feeds, feeds->items[i]);
	free(feeds->items);
	free(feeds);
}
