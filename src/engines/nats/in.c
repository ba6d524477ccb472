/* Where streams are not named, a route asks the server which ones have its subject, and again each
 * minute, as other sites may get streams of their own. Each stream of a route is a feed: one
 * durable consumer.
 *
 * Answers to requests come to INBOX.q.SERIAL, deliveries to INBOX.d.SERIAL, a new one for each
 * binding of a feed, as the server refuses to deliver to another subject while somebody listens at
 * the old one. It wants a subscription of exactly that subject. A binding ends when anything is
 * missing. */
#include "engines/nats/in.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "data/sites.h"
#include "engines/nats/api.h"

#define REQUEST_NS (3 * NS_PER_S) /* for an answer */
#define RETRY_MIN_NS (100 * NS_PER_MS)
#define RETRY_MAX_NS (5 * NS_PER_S)
#define REBIND_NS (100 * NS_PER_MS) /* between two bindings, at least */
#define ASK_AGAIN_NS (60 * NS_PER_S) /* for the streams of a route */
#define HEARD_NS (7 * NS_PER_S) /* three heartbeats of a consumer */
#define REQUESTS_MAX 256 /* without an answer */
#define HELD_MAX (16 * 1024 * 1024) /* bytes that wait for the intake beside it */
#define MESSAGE_COST 320 /* of one that waits there, besides its bytes */
#define FEEDS_MAX 16384
#define FAILURES_QUIET 3 /* what goes away by itself meanwhile is no error yet */

/* What is asked, and asked again when it fails. */
struct request {
	uint64_t serial; /* 0: none is open */
	uint64_t due_ns; /* when it is asked next, or has failed; 0: never */
	unsigned failures; /* one after the other */
	char *error; /* NULL: none */
};

enum feed_state {
	FEED_ASK_STREAM, /* which of the route's subjects it has, and its last number */
	FEED_ASK, /* for the consumer */
	FEED_CREATE, /* or change */
	FEED_BOUND,
	FEED_OWN, /* nothing of other sites is in the stream */
	FEED_DELETE,
};

struct route {
	struct request request;
	char *group, *site; /* site NULL: any */
	char *filter;
	bool is_wanted;
	natsSubscription *plain; /* without JetStream */
};

struct feed {
	struct request request;
	char *group, *site, *stream;
	char *wanted; /* the subjects of the route */
	char *filter; /* those of them that the stream has; NULL: not known yet */
	char name[NATS_NAME_MAX]; /* of the consumer */
	enum feed_state state;
	natsSubscription *deliveries; /* of this binding; NULL: there is none */
	char deliver_to[NATS_NAME_MAX];
	bool must_rebind;
	uint64_t bound_ns; /* when it was bound last */
	struct nats_position position; /* when it was bound */
	uint64_t next; /* the number that must come next; 0: the first one of the binding */
	uint64_t redelivered; /* of position.pending, in this binding */
	bool is_mistaken; /* position.pending was more than there is */
	bool has_acknowledged; /* in this binding */
	bool is_marked; /* in->acknowledge has it */
	bool is_anew; /* the stream is another one than that of the last binding */
	struct nats_stream is; /* the stream, when it was asked */
	char was[sizeof(((struct nats_stream *)NULL)->created)]; /* the one that taken is of */
	uint64_t taken; /* the last number of the stream that was taken */
	uint64_t judged; /* the same for one that waits for room in the intake */
	uint64_t heard_ns;
	char *acknowledge; /* where to, for all that is done; NULL: nothing new is */
	char *acknowledged;
};

/* Taken, and not known to be done. */
struct hand {
	uint64_t token;
	struct feed *feed; /* NULL: it is gone */
	char *acknowledge;
};

struct feeds {
	struct feed **items; /* by name and stream */
	size_t count;
};

struct routes {
	struct route **items;
	size_t count;
};

struct nats_in {
	char *handler, *site, *subject, *stream, *inbox;
	struct string_list sites;
	bool is_stored;
	unsigned most_pending;
	struct intake *intake;
	struct trash *trash;
	struct sites *numbers;
	natsConnection *connection; /* NULL: none */
	natsSubscription *answers;
	uint64_t serial, due_ns;
	unsigned open; /* requests */
	bool is_stopped, is_settling;
	struct routes routes;
	struct feeds feeds;
	natsMsg *held; /* waits for room in the intake, or for its feed to be bound */
	struct feed *held_feed; /* one of these two has it */
	struct route *held_route;
	size_t turn; /* of the feeds */
	bool is_judged; /* the held one */
	uint64_t token;
	struct hand *hands; /* a ring */
	size_t hand_first, hand_count, hand_capacity;
	struct feeds acknowledge; /* those that have something to acknowledge */
	char error[NATS_REASON_MAX + 2 * NATS_NAME_MAX];
};

/* ---- Requests ---- */

static void plan(struct nats_in *in, struct request *request, uint64_t due_ns)
{
	request->due_ns = due_ns;
	in->due_ns = earlier_ns(in->due_ns, due_ns);
}

static void close_request(struct nats_in *in, struct request *request)
{
	in->open -= request->serial != 0;
	request->serial = 0;
}

static void forget_error(struct request *request)
{
	request->failures = 0;
	free(take(request->error));
}

static void fail(struct nats_in *in, struct request *request, uint64_t now_ns, const char *why)
{
	uint64_t pause = RETRY_MIN_NS << (request->failures < 6 ? request->failures : 6);

	close_request(in, request);
	request->failures++;
	free(request->error);
	request->error = strdup(why);
	plan(in, request, now_ns + (pause < RETRY_MAX_NS ? pause : RETRY_MAX_NS));
}

/* Sends it. body may be NULL. */
static void ask(struct nats_in *in, struct request *request, uint64_t now_ns, const char *subject,
	const char *body)
{
	char reply[NATS_NAME_MAX];

	request->serial = ++in->serial;
	in->open++;
	snprintf(reply, sizeof(reply), "%s.q.%" PRIu64, in->inbox, request->serial);
	natsConnection_PublishRequest(
		in->connection, subject, reply, body ? body : "", body ? (int)strlen(body) : 0);
	plan(in, request, now_ns + REQUEST_NS);
}

/* ---- Feeds and routes ---- */

static void drop_held(struct nats_in *in)
{
	trash_add(in->trash, take(in->held));
	in->held_feed = NULL;
	in->held_route = NULL;
	in->is_judged = false;
}

static void request_clear(struct nats_in *in, struct request *request)
{
	close_request(in, request);
	forget_error(request);
}

static void feed_free(struct nats_in *in, struct feed *feed)
{
	if (!feed)
		return;
	request_clear(in, &feed->request);
	natsSubscription_Destroy(feed->deliveries);
	free(feed->group), free(feed->site), free(feed->stream);
	free(feed->wanted), free(feed->filter);
	free(feed->acknowledge), free(feed->acknowledged);
	free(feed);
}

static void route_free(struct nats_in *in, struct route *route)
{
	if (!route)
		return;
	request_clear(in, &route->request);
	natsSubscription_Destroy(route->plain);
	free(route->group), free(route->site), free(route->filter);
	free(route);
}

static int copy(char **ret, const char *string)
{
	*ret = string ? strdup(string) : NULL;
	return string && !*ret ? -ENOMEM : 0;
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
static size_t find_place(const struct nats_in *in, const char *name, const char *stream)
{
	struct feed_key key = {name, stream};

	return lower_bound(
		&key, in->feeds.items, in->feeds.count, sizeof(*in->feeds.items), compare_feed);
}

static struct feed *find_feed(struct nats_in *in, const char *name, const char *stream)
{
	struct feed_key key = {name, stream};
	size_t at = find_place(in, name, stream);

	return at < in->feeds.count && !compare_feed(&key, &in->feeds.items[at])
		       ? in->feeds.items[at]
		       : NULL;
}

static int insert_feed(struct nats_in *in, struct feed *feed)
{
	size_t at = find_place(in, feed->name, feed->stream);
	int r = array_add(&in->feeds, NULL);

	if (r < 0)
		return r;
	memmove(in->feeds.items + at + 1, in->feeds.items + at,
		(in->feeds.count - 1 - at) * sizeof(*in->feeds.items));
	in->feeds.items[at] = feed;
	return 0;
}

/* Adds the feed of a route and a stream, unless it is there. */
static int add_feed(
	struct nats_in *in, const struct route *route, const char *stream, uint64_t now_ns)
{
	struct feed *feed = calloc(1, sizeof(*feed)), *there;
	int r;

	if (!feed)
		return -ENOMEM;
	r = nats_api_name(feed->name, in->site, in->handler, route->group, route->site);
	there = r < 0 ? NULL : find_feed(in, feed->name, stream);
	if (there && there->state == FEED_DELETE) {
		close_request(in, &there->request);
		there->state = FEED_ASK_STREAM;
		plan(in, &there->request, now_ns);
	}
	if (r >= 0 && !there && in->feeds.count == FEEDS_MAX)
		r = -E2BIG;
	if (r < 0 || there) {
		free(feed);
		return r;
	}
	if (copy(&feed->group, route->group) < 0 || copy(&feed->site, route->site) < 0 ||
		copy(&feed->wanted, route->filter) < 0 || copy(&feed->stream, stream) < 0 ||
		insert_feed(in, feed) < 0) {
		feed_free(in, feed);
		return -ENOMEM;
	}
	plan(in, &feed->request, now_ns);
	return 0;
}

static void remove_feed(struct nats_in *in, struct feed *feed)
{
	size_t at = find_place(in, feed->name, feed->stream);

	if (in->held_feed == feed)
		drop_held(in);
	memmove(in->feeds.items + at, in->feeds.items + at + 1,
		(in->feeds.count - 1 - at) * sizeof(*in->feeds.items));
	in->feeds.count--;
	for (size_t i = 0; i < in->hand_count; i++) {
		struct hand *hand = &in->hands[(in->hand_first + i) % in->hand_capacity];

		if (hand->feed == feed)
			hand->feed = NULL;
	}
	for (size_t i = 0; i < in->acknowledge.count; i++)
		if (in->acknowledge.items[i] == feed)
			in->acknowledge.items[i--] = in->acknowledge.items[--in->acknowledge.count];
	feed_free(in, feed);
}

/* ---- What was taken ---- */

/* Remembers what to acknowledge once its token is done. Returns 0 or -ENOMEM. */
static int make_hand(struct nats_in *in)
{
	size_t capacity = in->hand_capacity ? 2 * in->hand_capacity : 256;
	struct hand *grown;

	if (in->hand_count < in->hand_capacity)
		return 0;
	grown = calloc(capacity, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	for (size_t i = 0; i < in->hand_count; i++)
		grown[i] = in->hands[(in->hand_first + i) % in->hand_capacity];
	free(in->hands);
	in->hands = grown;
	in->hand_first = 0;
	in->hand_capacity = capacity;
	return 0;
}

/* The one of a feed for the last token, which all that is dropped behind it waits for: so what
 * waits here is bounded by the intake, however much is dropped. */
static struct hand *find_hand(struct nats_in *in, const struct feed *feed, uint64_t token)
{
	for (size_t i = in->hand_count; i-- > 0;) {
		struct hand *hand = &in->hands[(in->hand_first + i) % in->hand_capacity];

		if (hand->token != token)
			break;
		if (hand->feed == feed)
			return hand;
	}
	return NULL;
}

static void remember(struct nats_in *in, struct feed *feed, uint64_t token, const char *reply)
{
	struct hand *same = find_hand(in, feed, token);
	char *acknowledge = strdup(reply);

	if (acknowledge && same) {
		free(same->acknowledge);
		same->acknowledge = acknowledge;
	} else if (acknowledge && make_hand(in) >= 0) {
		in->hands[(in->hand_first + in->hand_count++) % in->hand_capacity] = (struct hand){
			token, feed, acknowledge};
	} else {
		free(acknowledge); /* the next one of the feed acknowledges it, too */
	}
}

static void mark(struct nats_in *in, struct feed *feed)
{
	if (!feed->is_marked && array_add(&in->acknowledge, feed) >= 0)
		feed->is_marked = true;
}

/* Acknowledges what the network has: one message for each feed. */
static void settle(struct nats_in *in)
{
	uint64_t done = intake_done(in->intake);

	while (in->hand_count) {
		struct hand *hand = &in->hands[in->hand_first];

		if (hand->token > done)
			break;
		if (hand->feed) {
			free(hand->feed->acknowledge);
			hand->feed->acknowledge = take(hand->acknowledge);
			mark(in, hand->feed);
		}
		free(take(hand->acknowledge));
		in->hand_first = (in->hand_first + 1) % in->hand_capacity;
		in->hand_count--;
	}
	for (size_t i = 0; i < in->acknowledge.count; i++) {
		struct feed *feed = in->acknowledge.items[i];

		feed->is_marked = false;
		feed->has_acknowledged = true;
		free(feed->acknowledged);
		feed->acknowledged = take(feed->acknowledge);
		if (in->connection)
			natsConnection_Publish(in->connection, feed->acknowledged, "+ACK", 4);
	}
	in->acknowledge.count = 0;
}

/* ---- Taking ---- */

static natsMsg *next_message(natsSubscription *subscription)
{
	natsMsg *message = NULL;

	if (!subscription || natsSubscription_NextMsg(&message, subscription, 0) != NATS_OK)
		return NULL;
	return message;
}

/* Whether the message is the one that has to come: if not, an earlier one was lost. */
static bool follows(struct feed *feed, const struct nats_delivery *delivery)
{
	const struct nats_position *position = &feed->position;

	if (feed->next ? delivery->number != feed->next
		       : delivery->number > position->delivered + 1)
		return false;
	feed->next = delivery->number + 1;
	if (delivery->in_stream <= position->delivered_in_stream) {
		feed->redelivered++;
	} else if (feed->redelivered < position->pending && !feed->has_acknowledged &&
		   !feed->is_mistaken) {
		/* The stream may have lost some of them itself: once is enough. */
		feed->is_mistaken = true;
		return false;
	}
	return true;
}

/* The last token of the subject: the broker's permissions protect it. */
static const char *site_of(const char *subject)
{
	const char *dot = strrchr(subject, '.');

	return dot ? dot + 1 : subject;
}

/* Whether it has come before, by what its publisher says. Messages of others have no id. */
static bool is_repeated(struct nats_in *in, natsMsg *message, const char *site)
{
	struct envelope_id id;
	const char *text = NULL;
	int64_t gaps = 0;
	bool is_new;

	if (natsMsgHeader_Get(message, "Nats-Msg-Id", &text) != NATS_OK || !text ||
		envelope_read_id(text, strlen(text), &id) < 0 ||
		!envelope_is_site(site, strlen(site)))
		return false;
	is_new = sites_see(in->numbers, site, id.run, id.number, &gaps);
	if (is_new && gaps)
		intake_count_gaps(in->intake, gaps);
	return !is_new;
}

static int push(struct nats_in *in, const char *group, natsMsg *message)
{
	struct intake_item item = {.group = group,
		.payload = (const uint8_t *)natsMsg_GetData(message),
		.size = (uint32_t)natsMsg_GetDataLength(message),
		.token = in->token + 1};
	int r = intake_push(in->intake, &item);

	in->token += r >= 0;
	return r;
}

/* Whether nothing is to be sent of it, which is counted. */
static bool is_dropped(struct nats_in *in, natsMsg *message)
{
	const char *site = site_of(natsMsg_GetSubject(message));
	bool is_own = !strcmp(site, in->site);

	if (!is_own && !is_repeated(in, message, site))
		return false;
	intake_drop(in->intake, is_own ? INTAKE_OWN : INTAKE_DUPLICATE);
	return true;
}

/* Of a feed that is bound. Returns 0, -EAGAIN: it has to wait, or -EPROTO: some are missing. */
static int take_bound(struct nats_in *in, struct feed *feed, natsMsg *message,
	const struct nats_delivery *delivery)
{
	bool is_old = delivery->in_stream <= feed->taken;
	int r = 0;

	if (!in->is_judged && !follows(feed, delivery))
		return -EPROTO;
	if (!in->is_judged && is_old)
		intake_drop(in->intake, INTAKE_DUPLICATE);
	else if (!in->is_judged && feed->judged != delivery->in_stream)
		is_old = is_dropped(in, message);
	if (!is_old) {
		in->is_judged = true;
		feed->judged = delivery->in_stream;
		r = push(in, feed->group, message);
		if (r == -EAGAIN)
			return r;
	}
	in->is_judged = false;
	if (r < 0)
		return 0; /* nothing more is wanted: it stays with the server */
	if (delivery->in_stream > feed->taken)
		feed->taken = delivery->in_stream;
	remember(in, feed, in->token, natsMsg_GetReply(message));
	return 0;
}

/* An idle consumer says how far it has come. Where it has delivered all that it may without an
 * acknowledgement, that one was lost with a leader of the cluster. Returns 0 or -EPROTO. */
static int take_heartbeat(struct nats_in *in, struct feed *feed, natsMsg *message)
{
	const char *text = NULL;

	if (natsMsgHeader_Get(message, "Nats-Last-Consumer", &text) != NATS_OK || !text)
		return 0;
	if (strtoull(text, NULL, 10) >= (feed->next ? feed->next : feed->position.delivered + 1))
		return -EPROTO;
	if (feed->acknowledged)
		natsConnection_Publish(in->connection, feed->acknowledged, "+ACK", 4);
	return 0;
}

static int take_delivery(struct nats_in *in, struct feed *feed, natsMsg *message, uint64_t now_ns)
{
	struct nats_delivery delivery;

	if (feed->state == FEED_CREATE && feed->request.serial)
		return -EAGAIN; /* the answer says whether this is the first one */
	if (feed->state != FEED_BOUND)
		return 0;
	feed->heard_ns = now_ns;
	if (!strcmp(natsMsg_GetSubject(message), feed->deliver_to))
		return take_heartbeat(in, feed, message);
	if (nats_api_read_delivery(natsMsg_GetReply(message), &delivery) < 0)
		return 0;
	return take_bound(in, feed, message, &delivery);
}

/* Something is missing: it begins again with what is not acknowledged. */
static void plan_binding(struct nats_in *in, struct feed *feed, uint64_t now_ns)
{
	uint64_t earliest_ns = feed->bound_ns + REBIND_NS;

	feed->must_rebind = true;
	natsSubscription_Destroy(take(feed->deliveries));
	feed->state = FEED_ASK;
	plan(in, &feed->request, now_ns > earliest_ns ? now_ns : earliest_ns);
}

/* Returns 0, or -EAGAIN when nothing more can be taken now. */
static int take_feed(struct nats_in *in, struct feed *feed, uint64_t now_ns)
{
	natsMsg *message;
	int r = 0;

	while (!feed->must_rebind &&
		(message = in->held ? take(in->held) : next_message(feed->deliveries))) {
		r = take_delivery(in, feed, message, now_ns);
		if (r == -EAGAIN) {
			in->held = message;
			in->held_feed = feed;
			return r;
		}
		in->held_feed = NULL;
		in->is_judged = false;
		trash_add(in->trash, message);
		if (r == -EPROTO)
			plan_binding(in, feed, now_ns);
	}
	return 0;
}

/* Each feed in turn, as the intake may be full after any of them. */
static void take_deliveries(struct nats_in *in, uint64_t now_ns)
{
	size_t count = in->feeds.count;

	if (in->is_stopped || (in->held_feed && take_feed(in, in->held_feed, now_ns) < 0))
		return;
	for (size_t i = 0; i < count; i++)
		if (take_feed(in, in->feeds.items[in->turn++ % count], now_ns) < 0)
			return;
}

/* Without JetStream. Returns 0, or -EAGAIN when nothing more can be taken now. */
static int take_route(struct nats_in *in, struct route *route)
{
	natsMsg *message;

	while ((message = in->held ? take(in->held) : next_message(route->plain))) {
		bool is_wanted = in->is_judged || !is_dropped(in, message);

		in->is_judged = is_wanted;
		if (is_wanted && push(in, route->group, message) == -EAGAIN) {
			in->held = message;
			in->held_route = route;
			return -EAGAIN;
		}
		in->is_judged = false;
		in->held_route = NULL;
		trash_add(in->trash, message);
	}
	return 0;
}

static void take_plain(struct nats_in *in)
{
	size_t count = in->routes.count;

	if (in->is_stopped || (in->held_route && take_route(in, in->held_route) < 0))
		return;
	for (size_t i = 0; i < count; i++)
		if (take_route(in, in->routes.items[in->turn++ % count]) < 0)
			return;
}

/* ---- Answers ---- */

static void bound(struct nats_in *in, struct feed *feed, const struct nats_position *position,
	uint64_t now_ns)
{
	forget_error(&feed->request);
	feed->state = FEED_BOUND;
	feed->position = *position;
	feed->next = feed->redelivered = 0;
	feed->has_acknowledged = false;
	/* From there on, should the consumer be lost before anything comes. */
	if (!position->pending && position->delivered_in_stream > feed->taken)
		feed->taken = position->delivered_in_stream;
	snprintf(feed->was, sizeof(feed->was), "%s", feed->is.created);
	feed->is_anew = false;
	feed->heard_ns = now_ns;
	plan(in, &feed->request, now_ns + HEARD_NS);
}

static void explain(const struct feed *feed, int code, const char *text, char *ret, size_t size)
{
	switch (code) {
	case NATS_ERROR_CONSUMER_IN_USE:
		snprintf(ret, size,
			"consumer %s of stream %s is in use: another daemon has this site and a "
			"handler of this name, or did until a moment ago; give each its own site",
			feed->name, feed->stream);
		return;
	case NATS_ERROR_NO_STREAM:
		snprintf(ret, size,
			"there is no stream %s: make it with \"nats stream add %s --subjects "
			"'%s'\"",
			feed->stream, feed->stream, feed->wanted);
		return;
	case NATS_ERROR_DISABLED:
		snprintf(ret, size, "JetStream is not enabled for this account");
		return;
	default:
		snprintf(ret, size, "consumer %s of stream %s: %s", feed->name, feed->stream, text);
	}
}

static void fail_feed(
	struct nats_in *in, struct feed *feed, int code, const char *text, uint64_t now_ns)
{
	char why[sizeof(in->error)];

	explain(feed, code, text, why, sizeof(why));
	fail(in, &feed->request, now_ns, why);
}

/* The consumer is not there. It begins with what comes from now on, or where it was lost; but where
 * the stream was lost, too, all that is in it is new. */
static void plan_creation(struct nats_in *in, struct feed *feed, uint64_t now_ns)
{
	feed->position = (struct nats_position){.start = NATS_START_NEW};
	if (feed->is_anew) {
		feed->position.start = NATS_START_ALL;
	} else if (feed->taken && feed->is.last >= feed->taken) {
		feed->position.start = NATS_START_AT;
		feed->position.start_at = feed->taken + 1;
	} else if (feed->taken) {
		feed->position.start = NATS_START_ALL;
		feed->taken = feed->judged = 0;
	}
	feed->state = FEED_CREATE;
	plan(in, &feed->request, now_ns);
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
		if (copy(&feed->filter, common) < 0)
			return -ENOMEM;
	}
	return count == 1 ? 0 : count ? -E2BIG : -ENOENT;
}

static void answer_stream(
	struct nats_in *in, struct feed *feed, const char *json, size_t size, uint64_t now_ns)
{
	struct string_list subjects = {0};
	int r = nats_api_read_stream(json, size, &subjects, &feed->is);

	r = r < 0 ? r : choose_filter(feed, &subjects);
	string_list_clear(&subjects);
	if (r < 0) {
		fail_feed(in, feed, NATS_ERROR_UNKNOWN,
			r == -E2BIG    ? "it has several subjects for the group: name the sites "
					 "with \"sites\""
			: r == -ENOENT ? "it has no subject for the group any more"
				       : "an answer that is not understood",
			now_ns);
		return;
	}
	if (*feed->was && strcmp(feed->was, feed->is.created) != 0) {
		feed->is_anew = true;
		feed->taken = feed->judged = 0;
	}
	feed->state = strcmp(site_of(feed->filter), in->site) != 0 ? FEED_ASK : FEED_OWN;
	if (feed->state == FEED_OWN)
		forget_error(&feed->request);
	plan(in, &feed->request, feed->state == FEED_OWN ? 0 : now_ns);
}

static void answer_feed(
	struct nats_in *in, struct feed *feed, const char *json, size_t size, uint64_t now_ns)
{
	char text[NATS_REASON_MAX];
	struct nats_position position;
	int code = nats_api_error(json, size, text);

	close_request(in, &feed->request);
	if (feed->state == FEED_DELETE &&
		(code == NATS_ERROR_NONE || code == NATS_ERROR_NO_CONSUMER ||
			code == NATS_ERROR_NO_STREAM)) {
		remove_feed(in, feed);
	} else if (feed->state == FEED_ASK && code == NATS_ERROR_NO_CONSUMER) {
		plan_creation(in, feed, now_ns);
	} else if (code != NATS_ERROR_NONE) {
		fail_feed(in, feed, code, text, now_ns);
	} else if (feed->state == FEED_ASK_STREAM) {
		answer_stream(in, feed, json, size, now_ns);
	} else if (nats_api_read_position(json, size, &position) < 0) {
		fail_feed(in, feed, NATS_ERROR_UNKNOWN, "an answer that is not understood", now_ns);
	} else if (feed->state == FEED_ASK) {
		feed->position = position;
		feed->state = FEED_CREATE;
		plan(in, &feed->request, now_ns);
	} else {
		bound(in, feed, &position, now_ns);
	}
}

static void answer_route(
	struct nats_in *in, struct route *route, const char *json, size_t size, uint64_t now_ns)
{
	struct string_list names = {0};
	char text[NATS_REASON_MAX], why[sizeof(in->error)];
	int code = nats_api_error(json, size, text), r;

	close_request(in, &route->request);
	r = code == NATS_ERROR_NONE ? nats_api_read_names(json, size, &names) : 0;
	for (size_t i = 0; i < names.count && r >= 0; i++)
		r = add_feed(in, route, names.items[i], now_ns);
	if (names.count && r >= 0) {
		forget_error(&route->request);
		plan(in, &route->request, now_ns + ASK_AGAIN_NS);
	} else {
		snprintf(why, sizeof(why),
			r == -E2BIG ? "more streams have %s than are followed: name one with "
				      "\"stream\""
			: r < 0 ? "asking for the stream of %s: an answer that is not understood"
			: code == NATS_ERROR_DISABLED ? "JetStream is not enabled for this account"
			: code != NATS_ERROR_NONE
				? "asking for the stream of %s: %s"
				: "no stream has %s: make one with \"nats stream add mcast "
				  "--subjects '%s'\"",
			route->filter, code != NATS_ERROR_NONE ? text : route->filter);
		fail(in, &route->request, now_ns, why);
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
	for (size_t i = 0; i < in->feeds.count; i++)
		if (in->feeds.items[i]->request.serial == serial) {
			struct feed *feed = in->feeds.items[i];

			if (!in->is_settling)
				answer_feed(in, feed, json, size, now_ns);
			else
				close_request(in, &feed->request);
			return;
		}
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
			fail(in, &in->routes.items[i]->request, now_ns, why);
	for (size_t i = 0; i < in->feeds.count; i++)
		if (in->feeds.items[i]->request.serial)
			fail(in, &in->feeds.items[i]->request, now_ns, why);
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

/* Another subject to deliver to: the server begins with what is not acknowledged. */
static bool listen_anew(struct nats_in *in, struct feed *feed)
{
	if (in->held_feed == feed)
		drop_held(in);
	natsSubscription_Destroy(take(feed->deliveries));
	snprintf(feed->deliver_to, sizeof(feed->deliver_to), "%s.d.%" PRIu64, in->inbox,
		++in->serial);
	feed->must_rebind = false;
	return natsConnection_SubscribeSync(&feed->deliveries, in->connection, feed->deliver_to) ==
		       NATS_OK &&
	       natsSubscription_SetPendingLimits(feed->deliveries, -1, -1) == NATS_OK;
}

static void create_consumer(struct nats_in *in, struct feed *feed, uint64_t now_ns)
{
	char subject[2 * NATS_NAME_MAX + 64];
	struct nats_consumer consumer = {.stream = feed->stream,
		.name = feed->name,
		.filter = feed->filter,
		.deliver_to = feed->deliver_to,
		.start = feed->position.start,
		.start_at = feed->position.start_at,
		.most_pending = in->most_pending};
	AUTO_FREE char *body = NULL;

	feed->bound_ns = now_ns;
	snprintf(subject, sizeof(subject), "$JS.API.CONSUMER.DURABLE.CREATE.%s.%s", feed->stream,
		feed->name);
	body = listen_anew(in, feed) ? nats_api_create(&consumer) : NULL;
	if (body)
		ask(in, &feed->request, now_ns, subject, body);
	else
		fail(in, &feed->request, now_ns, strerror(ENOMEM));
}

static void ask_feed(struct nats_in *in, struct feed *feed, uint64_t now_ns)
{
	static const char *const verbs[] = {[FEED_ASK] = "CONSUMER.INFO",
		[FEED_ASK_STREAM] = "STREAM.INFO",
		[FEED_DELETE] = "CONSUMER.DELETE"};
	char subject[2 * NATS_NAME_MAX + 64];

	if (feed->state == FEED_CREATE) {
		create_consumer(in, feed, now_ns);
		return;
	}
	snprintf(subject, sizeof(subject), "$JS.API.%s.%s%s%s", verbs[feed->state], feed->stream,
		feed->state == FEED_ASK_STREAM ? "" : ".",
		feed->state == FEED_ASK_STREAM ? "" : feed->name);
	ask(in, &feed->request, now_ns, subject, NULL);
}

static void step_feed(struct nats_in *in, struct feed *feed, uint64_t now_ns)
{
	struct request *request = &feed->request;

	if (!request->due_ns || now_ns < request->due_ns) {
		in->due_ns = earlier_ns(in->due_ns, request->due_ns);
	} else if (feed->state == FEED_BOUND) {
		/* An idle one sends heartbeats: one that does not may be gone. */
		if (in->held)
			feed->heard_ns = now_ns; /* nothing is listened to now */
		if (now_ns - feed->heard_ns >= HEARD_NS)
			feed->state = FEED_ASK_STREAM;
		plan(in, request, feed->state == FEED_BOUND ? feed->heard_ns + HEARD_NS : now_ns);
	} else if (request->serial) {
		fail_feed(in, feed, NATS_ERROR_UNKNOWN, "the server does not answer", now_ns);
	} else if (in->open < REQUESTS_MAX) {
		ask_feed(in, feed, now_ns);
	} else {
		in->due_ns = earlier_ns(in->due_ns, now_ns + RETRY_MIN_NS);
	}
}

static void subscribe_plainly(struct nats_in *in, struct route *route)
{
	route->request.due_ns = 0;
	if (!route->plain && natsConnection_SubscribeSync(
				     &route->plain, in->connection, route->filter) == NATS_OK)
		natsSubscription_SetPendingLimits(route->plain, -1, -1);
}

static void step_route(struct nats_in *in, struct route *route, uint64_t now_ns)
{
	struct request *request = &route->request;
	AUTO_FREE char *body = NULL;
	char why[NATS_REASON_MAX];

	if (!request->due_ns || now_ns < request->due_ns) {
		in->due_ns = earlier_ns(in->due_ns, request->due_ns);
	} else if (!in->is_stored) {
		subscribe_plainly(in, route);
	} else if (in->stream) {
		int r = add_feed(in, route, in->stream, now_ns);

		request->due_ns = 0;
		if (r < 0)
			fail(in, request, now_ns, strerror(-r));
	} else if (request->serial) {
		snprintf(why, sizeof(why),
			"asking for the stream of %s: the server does not answer", route->filter);
		fail(in, request, now_ns, why);
	} else if (in->open < REQUESTS_MAX && (body = nats_api_find(route->filter))) {
		ask(in, request, now_ns, "$JS.API.STREAM.NAMES", body);
	} else {
		in->due_ns = earlier_ns(in->due_ns, now_ns + RETRY_MIN_NS);
	}
}

void nats_in_step(struct nats_in *in, uint64_t now_ns)
{
	if (in->connection && in->is_stored)
		take_answers(in, now_ns);
	if (in->is_stored)
		take_deliveries(in, now_ns);
	else
		take_plain(in);
	settle(in);
	if (!in->connection || in->is_stopped || !in->due_ns || now_ns < in->due_ns)
		return;
	in->due_ns = 0;
	for (size_t i = 0; i < in->routes.count; i++)
		step_route(in, in->routes.items[i], now_ns);
	for (size_t i = 0; i < in->feeds.count; i++)
		step_feed(in, in->feeds.items[i], now_ns);
}

uint64_t nats_in_deadline(const struct nats_in *in)
{
	return in->connection ? in->due_ns : 0;
}

/* ---- The connection ---- */

void nats_in_connected(struct nats_in *in, natsConnection *connection, uint64_t now_ns)
{
	char subject[NATS_NAME_MAX];

	in->connection = connection;
	snprintf(subject, sizeof(subject), "%s.q.*", in->inbox);
	if (in->is_stored &&
		natsConnection_SubscribeSync(&in->answers, connection, subject) == NATS_OK)
		natsSubscription_SetPendingLimits(in->answers, -1, -1);
	for (size_t i = 0; i < in->routes.count; i++)
		plan(in, &in->routes.items[i]->request, now_ns);
	for (size_t i = 0; i < in->feeds.count; i++)
		plan(in, &in->feeds.items[i]->request, now_ns);
}

void nats_in_disconnected(struct nats_in *in)
{
	in->connection = NULL;
	drop_held(in);
	natsSubscription_Destroy(take(in->answers));
	for (size_t i = 0; i < in->routes.count; i++) {
		natsSubscription_Destroy(take(in->routes.items[i]->plain));
		close_request(in, &in->routes.items[i]->request);
	}
	for (size_t i = 0; i < in->feeds.count; i++) {
		struct feed *feed = in->feeds.items[i];

		natsSubscription_Destroy(take(feed->deliveries));
		close_request(in, &feed->request);
		if (feed->state != FEED_DELETE)
			feed->state = FEED_ASK_STREAM;
	}
}

/* ---- Groups ---- */

static struct route *find_route(struct nats_in *in, const char *group, const char *site)
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
		if (!route->filter || copy(&route->group, group) < 0 ||
			copy(&route->site, site) < 0 || array_add(&in->routes, route) < 0) {
			route_free(in, route);
			return;
		}
		plan(in, &route->request, now_ns);
	}
	route->is_wanted = true;
}

/* Routes that nobody wants are forgotten, and their consumers deleted. */
static void drop_unwanted(struct nats_in *in, uint64_t now_ns)
{
	for (size_t i = 0; i < in->routes.count; i++) {
		struct route *route = in->routes.items[i];

		if (route->is_wanted)
			continue;
		if (in->held_route == route)
			drop_held(in);
		in->routes.items[i--] = in->routes.items[--in->routes.count];
		route_free(in, route);
	}
	for (size_t i = 0; i < in->feeds.count; i++) {
		struct feed *feed = in->feeds.items[i];

		if (find_route(in, feed->group, feed->site))
			continue;
		close_request(in, &feed->request);
		feed->state = FEED_DELETE;
		plan(in, &feed->request, now_ns);
	}
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

/* ---- The end ---- */

void nats_in_stop(struct nats_in *in)
{
	in->is_stopped = true;
	drop_held(in);
	for (size_t i = 0; i < in->routes.count; i++)
		natsSubscription_Destroy(take(in->routes.items[i]->plain));
	for (size_t i = 0; i < in->feeds.count; i++)
		natsSubscription_Destroy(take(in->feeds.items[i]->deliveries));
}

/* Asks the server for an answer to the last acknowledgement of each feed. */
static void confirm(struct nats_in *in, uint64_t now_ns)
{
	in->is_settling = true;
	for (size_t i = 0; i < in->feeds.count; i++) {
		struct feed *feed = in->feeds.items[i];

		close_request(in, &feed->request);
		if (feed->state == FEED_BOUND && feed->acknowledged)
			ask(in, &feed->request, now_ns, feed->acknowledged, "+ACK");
	}
}

bool nats_in_is_settled(struct nats_in *in, uint64_t now_ns)
{
	/* What had to be dropped is never done. */
	bool is_empty = intake_wait_empty(in->intake, 0);

	settle(in);
	if (in->hand_count && !is_empty)
		return false;
	if (!in->connection || !in->is_stored)
		return true;
	if (!in->is_settling)
		confirm(in, now_ns);
	for (size_t i = 0; i < in->feeds.count; i++)
		if (in->feeds.items[i]->request.serial)
			return false;
	return true;
}

/* ---- State ---- */

/* Bytes that libnats holds for a subscription, about. */
static uint64_t pending_bytes(natsSubscription *subscription)
{
	int messages, bytes;

	if (!subscription ||
		natsSubscription_GetPending(subscription, &messages, &bytes) != NATS_OK)
		return 0;
	return (uint64_t)bytes + (uint64_t)messages * MESSAGE_COST;
}

bool nats_in_is_full(const struct nats_in *in)
{
	uint64_t total = 0;

	for (size_t i = 0; in->held && i < in->feeds.count; i++)
		total += pending_bytes(in->feeds.items[i]->deliveries);
	for (size_t i = 0; in->held && i < in->routes.count; i++)
		total += pending_bytes(in->routes.items[i]->plain);
	return total > HELD_MAX;
}

bool nats_in_is_used(const struct nats_in *in)
{
	return in->routes.count || in->feeds.count;
}

const char *nats_in_error(const struct nats_in *in)
{
	for (size_t i = 0; i < in->routes.count; i++)
		if (in->routes.items[i]->request.failures >= FAILURES_QUIET)
			return in->routes.items[i]->request.error;
	for (size_t i = 0; i < in->feeds.count; i++)
		if (in->feeds.items[i]->request.failures >= FAILURES_QUIET)
			return in->feeds.items[i]->request.error;
	return NULL;
}

bool nats_in_object(struct nats_in *in, const char *text, uint64_t now_ns)
{
	bool is_ours = strstr(text, "\"$JS.") || strstr(text, "Subscription");

	if (!is_ours)
		return false;
	for (size_t i = 0; i < in->routes.count; i++)
		if (in->routes.items[i]->request.serial)
			fail(in, &in->routes.items[i]->request, now_ns, text);
	for (size_t i = 0; i < in->feeds.count; i++)
		if (in->feeds.items[i]->request.serial)
			fail(in, &in->feeds.items[i]->request, now_ns, text);
	return true;
}

struct nats_in *nats_in_new(const struct nats_settings *settings, const char *handler,
	const char *inbox, struct intake *intake, struct trash *trash)
{
	struct nats_in *in = calloc(1, sizeof(*in));
	int r = 0;

	if (!in)
		return NULL;
	in->intake = intake;
	in->trash = trash;
	in->is_stored = settings->acknowledge == ACKNOWLEDGE_STORED;
	in->most_pending = (unsigned)settings->common.window;
	in->numbers = sites_new();
	for (size_t i = 0; i < settings->sites.count && r >= 0; i++)
		r = string_list_add(&in->sites, settings->sites.items[i]);
	if (r >= 0 && in->numbers && copy(&in->handler, handler) >= 0 &&
		copy(&in->site, settings->common.site) >= 0 &&
		copy(&in->subject, settings->subject) >= 0 &&
		copy(&in->stream, settings->stream) >= 0 && copy(&in->inbox, inbox) >= 0)
		return in;
	nats_in_free(in);
	return NULL;
}

void nats_in_free(struct nats_in *in)
{
	if (!in)
		return;
	nats_in_disconnected(in);
	for (size_t i = 0; i < in->routes.count; i++)
		route_free(in, in->routes.items[i]);
	for (size_t i = 0; i < in->feeds.count; i++)
		feed_free(in, in->feeds.items[i]);
	for (; in->hand_count; in->hand_count--) {
		free(in->hands[in->hand_first].acknowledge);
		in->hand_first = (in->hand_first + 1) % in->hand_capacity;
	}
	free(in->routes.items), free(in->feeds.items), free(in->acknowledge.items);
	free(in->hands);
	sites_free(in->numbers);
	string_list_clear(&in->sites);
	free(in->handler), free(in->site), free(in->subject), free(in->stream), free(in->inbox);
	free(in);
}
