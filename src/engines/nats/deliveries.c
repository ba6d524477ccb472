/* What waits for its token is a hand, in a ring in the order of the tokens. An acknowledgement is
 * for all before it, too, so a source has one hand for a token, and one acknowledgement is written
 * for all its hands that are done. */
#include "engines/nats/deliveries.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "data/sites.h"
#include "formats/envelope.h"

#define MESSAGE_COST 320 /* of one that waits in a subscription, besides its bytes */

/* Taken, and not known to be done. */
struct hand {
	uint64_t token;
	struct nats_source *source; /* NULL: it is gone */
	char *acknowledge;
};

struct marked {
	struct nats_source **items;
	size_t count;
};

struct nats_deliveries {
	const char *site;
	struct intake *intake;
	struct trash *trash;
	struct sites *numbers;
	natsConnection *connection; /* NULL: none */
	natsMsg *held; /* waits for room in the intake, or for its source to be bound */
	struct nats_source *held_source; /* has it; NULL: none is held */
	bool is_judged; /* the held one */
	uint64_t token; /* of what was taken last */
	struct hand *hands; /* a ring */
	size_t hand_first, hand_count, hand_capacity;
	struct marked acknowledge; /* those that have something to acknowledge */
};

/* ---- Sources ---- */

void nats_source_clear(struct nats_source *source)
{
	nats_source_close(source);
	free(take(source->acknowledge));
	free(take(source->acknowledged));
}

bool nats_source_listen(struct nats_source *source, natsConnection *connection, const char *subject)
{
	nats_source_close(source);
	snprintf(source->deliver_to, sizeof(source->deliver_to), "%s", subject);
	return natsConnection_SubscribeSync(&source->subscription, connection, subject) ==
		       NATS_OK &&
	       natsSubscription_SetPendingLimits(source->subscription, -1, -1) == NATS_OK;
}

void nats_source_close(struct nats_source *source)
{
	natsSubscription_Destroy(take(source->subscription));
}

void nats_source_bind(
	struct nats_source *source, const struct nats_position *position, uint64_t now_ns)
{
	source->position = *position;
	source->next = source->redelivered = 0;
	source->has_acknowledged = false;
	/* From there on, should the consumer be lost before anything comes. */
	if (!position->pending && position->delivered_in_stream > source->taken)
		source->taken = position->delivered_in_stream;
	source->heard_ns = now_ns;
}

void nats_source_restart(struct nats_source *source)
{
	source->taken = source->judged = 0;
}

uint64_t nats_source_pending(const struct nats_source *source)
{
	int messages, bytes;

	if (!source->subscription ||
		natsSubscription_GetPending(source->subscription, &messages, &bytes) != NATS_OK)
		return 0;
	return (uint64_t)bytes + (uint64_t)messages * MESSAGE_COST;
}

/* ---- What waits for its token ---- */

/* Remembers what to acknowledge once its token is done. Returns 0 or -ENOMEM. */
static int make_hand(struct nats_deliveries *deliveries)
{
	size_t capacity = deliveries->hand_capacity ? 2 * deliveries->hand_capacity : 256;
	struct hand *grown;

	if (deliveries->hand_count < deliveries->hand_capacity)
		return 0;
	grown = calloc(capacity, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	for (size_t i = 0; i < deliveries->hand_count; i++)
		grown[i] =
			deliveries->hands[(deliveries->hand_first + i) % deliveries->hand_capacity];
	free(deliveries->hands);
	deliveries->hands = grown;
	deliveries->hand_first = 0;
	deliveries->hand_capacity = capacity;
	return 0;
}

/* The one of a source for the last token, which all that is dropped behind it waits for: so what
 * waits here is bounded by the intake, however much is dropped. */
static struct hand *find_hand(
	struct nats_deliveries *deliveries, const struct nats_source *source, uint64_t token)
{
	for (size_t i = deliveries->hand_count; i-- > 0;) {
		struct hand *hand = &deliveries->hands[(deliveries->hand_first + i) %
						       deliveries->hand_capacity];

		if (hand->token != token)
			break;
		if (hand->source == source)
			return hand;
	}
	return NULL;
}

static void remember(struct nats_deliveries *deliveries, struct nats_source *source, uint64_t token,
	const char *reply)
{
	struct hand *same = find_hand(deliveries, source, token);
	char *acknowledge = strdup(reply);

	if (acknowledge && same) {
		free(same->acknowledge);
		same->acknowledge = acknowledge;
	} else if (acknowledge && make_hand(deliveries) >= 0) {
		deliveries->hands[(deliveries->hand_first + deliveries->hand_count++) %
				  deliveries->hand_capacity] = (struct hand){
			token, source, acknowledge};
	} else {
		free(acknowledge); /* the next one of the source acknowledges it, too */
	}
}

static void mark(struct nats_deliveries *deliveries, struct nats_source *source)
{
	if (!source->is_marked && array_add(&deliveries->acknowledge, source) >= 0)
		source->is_marked = true;
}

void nats_deliveries_acknowledge(struct nats_deliveries *deliveries)
{
	uint64_t done = intake_done(deliveries->intake);

	while (deliveries->hand_count) {
		struct hand *hand = &deliveries->hands[deliveries->hand_first];

		if (hand->token > done)
			break;
		if (hand->source) {
			free(hand->source->acknowledge);
			hand->source->acknowledge = take(hand->acknowledge);
			mark(deliveries, hand->source);
		}
		free(take(hand->acknowledge));
		deliveries->hand_first = (deliveries->hand_first + 1) % deliveries->hand_capacity;
		deliveries->hand_count--;
	}
	for (size_t i = 0; i < deliveries->acknowledge.count; i++) {
		struct nats_source *source = deliveries->acknowledge.items[i];

		source->is_marked = false;
		source->has_acknowledged = true;
		free(source->acknowledged);
		source->acknowledged = take(source->acknowledge);
		if (deliveries->connection)
			natsConnection_Publish(
				deliveries->connection, source->acknowledged, "+ACK", 4);
	}
	deliveries->acknowledge.count = 0;
}

/* ---- Taking ---- */

/* Whether the message is the one that has to come: if not, an earlier one was lost. */
static bool follows(struct nats_source *source, const struct nats_delivery *delivery)
{
	const struct nats_position *position = &source->position;

	if (source->next ? delivery->number != source->next
			 : delivery->number > position->delivered + 1)
		return false;
	source->next = delivery->number + 1;
	if (delivery->in_stream <= position->delivered_in_stream) {
		source->redelivered++;
	} else if (source->redelivered < position->pending && !source->has_acknowledged &&
		   !source->is_mistaken) {
		/* The stream may have lost some of them itself: once is enough. */
		source->is_mistaken = true;
		return false;
	}
	return true;
}

/* Whether it has come before, by what its publisher says. Messages of others have no id. */
static bool is_repeated(struct nats_deliveries *deliveries, natsMsg *message, const char *site)
{
	struct envelope_id id;
	const char *text = NULL;
	int64_t gaps = 0;
	bool is_new;

	if (natsMsgHeader_Get(message, "Nats-Msg-Id", &text) != NATS_OK || !text ||
		envelope_read_id(text, strlen(text), &id) < 0 ||
		!envelope_is_site(site, strlen(site)))
		return false;
	is_new = sites_see(deliveries->numbers, site, id.run, id.number, &gaps);
	if (is_new && gaps)
		intake_count_gaps(deliveries->intake, gaps);
	return !is_new;
}

static int push(struct nats_deliveries *deliveries, const char *group, natsMsg *message)
{
	struct intake_item item = {.group = group,
		.payload = (const uint8_t *)natsMsg_GetData(message),
		.size = (uint32_t)natsMsg_GetDataLength(message),
		.token = deliveries->token + 1};
	int r = intake_push(deliveries->intake, &item);

	deliveries->token += r >= 0;
	return r;
}

/* Whether nothing is to be sent of it, which is counted. */
static bool is_dropped(struct nats_deliveries *deliveries, natsMsg *message)
{
	const char *site = nats_api_site(natsMsg_GetSubject(message));
	bool is_own = !strcmp(site, deliveries->site);

	if (!is_own && !is_repeated(deliveries, message, site))
		return false;
	intake_drop(deliveries->intake, is_own ? INTAKE_OWN : INTAKE_DUPLICATE);
	return true;
}

/* Of a source that is bound. Returns 0, -EAGAIN: it has to wait, or -EPROTO: some are missing. */
static int take_bound(struct nats_deliveries *deliveries, struct nats_source *source,
	natsMsg *message, const struct nats_delivery *delivery)
{
	bool is_old = delivery->in_stream <= source->taken;
	int r = 0;

	if (!deliveries->is_judged && !follows(source, delivery))
		return -EPROTO;
	if (!deliveries->is_judged && is_old)
		intake_drop(deliveries->intake, INTAKE_DUPLICATE);
	else if (!deliveries->is_judged && source->judged != delivery->in_stream)
		is_old = is_dropped(deliveries, message);
	if (!is_old) {
		deliveries->is_judged = true;
		source->judged = delivery->in_stream;
		r = push(deliveries, source->group, message);
		if (r == -EAGAIN)
			return r;
	}
	deliveries->is_judged = false;
	if (r < 0)
		return 0; /* nothing more is wanted: it stays with the server */
	if (delivery->in_stream > source->taken)
		source->taken = delivery->in_stream;
	remember(deliveries, source, deliveries->token, natsMsg_GetReply(message));
	return 0;
}

/* An idle consumer says how far it has come. Where it has delivered all that it may without an
 * acknowledgement, that one was lost with a leader of the cluster. Returns 0 or -EPROTO. */
static int take_heartbeat(
	struct nats_deliveries *deliveries, struct nats_source *source, natsMsg *message)
{
	const char *text = NULL;

	if (natsMsgHeader_Get(message, "Nats-Last-Consumer", &text) != NATS_OK || !text)
		return 0;
	if (strtoull(text, NULL, 10) >=
		(source->next ? source->next : source->position.delivered + 1))
		return -EPROTO;
	if (source->acknowledged)
		natsConnection_Publish(deliveries->connection, source->acknowledged, "+ACK", 4);
	return 0;
}

static int take_delivery(struct nats_deliveries *deliveries, struct nats_source *source,
	natsMsg *message, enum nats_phase phase, uint64_t now_ns)
{
	struct nats_delivery delivery;

	if (phase == NATS_PHASE_WAIT)
		return -EAGAIN;
	if (phase != NATS_PHASE_BOUND)
		return 0;
	source->heard_ns = now_ns;
	if (!strcmp(natsMsg_GetSubject(message), source->deliver_to))
		return take_heartbeat(deliveries, source, message);
	if (nats_api_read_delivery(natsMsg_GetReply(message), &delivery) < 0)
		return 0;
	return take_bound(deliveries, source, message, &delivery);
}

/* The one that is held, if any, or the next one. NULL: there is none. */
static natsMsg *next_message(struct nats_deliveries *deliveries, struct nats_source *source)
{
	natsMsg *message = take(deliveries->held);

	deliveries->held_source = NULL;
	if (!message && source->subscription &&
		natsSubscription_NextMsg(&message, source->subscription, 0) != NATS_OK)
		return NULL;
	return message;
}

static void hold(struct nats_deliveries *deliveries, struct nats_source *source, natsMsg *message)
{
	deliveries->held = message;
	deliveries->held_source = source;
}

static void finish(struct nats_deliveries *deliveries, natsMsg *message)
{
	deliveries->is_judged = false;
	trash_add(deliveries->trash, message);
}

int nats_deliveries_take(struct nats_deliveries *deliveries, struct nats_source *source,
	enum nats_phase phase, uint64_t now_ns)
{
	natsMsg *message;
	int r = 0;

	while (r >= 0 && (message = next_message(deliveries, source))) {
		r = take_delivery(deliveries, source, message, phase, now_ns);
		if (r == -EAGAIN)
			hold(deliveries, source, message);
		else
			finish(deliveries, message);
	}
	return r;
}

int nats_deliveries_take_plain(struct nats_deliveries *deliveries, struct nats_source *source)
{
	natsMsg *message;

	while ((message = next_message(deliveries, source))) {
		if (!deliveries->is_judged)
			deliveries->is_judged = !is_dropped(deliveries, message);
		if (deliveries->is_judged && push(deliveries, source->group, message) == -EAGAIN) {
			hold(deliveries, source, message);
			return -EAGAIN;
		}
		finish(deliveries, message);
	}
	return 0;
}

struct nats_source *nats_deliveries_held(const struct nats_deliveries *deliveries)
{
	return deliveries->held_source;
}

void nats_deliveries_drop_held(struct nats_deliveries *deliveries, const struct nats_source *source)
{
	if (source && deliveries->held_source != source)
		return;
	deliveries->held_source = NULL;
	finish(deliveries, take(deliveries->held));
}

uint64_t nats_deliveries_heard(
	const struct nats_deliveries *deliveries, struct nats_source *source, uint64_t now_ns)
{
	if (deliveries->held)
		source->heard_ns = now_ns;
	return source->heard_ns;
}

/* ---- The whole ---- */

void nats_deliveries_connect(struct nats_deliveries *deliveries, natsConnection *connection)
{
	deliveries->connection = connection;
}

void nats_deliveries_forget(struct nats_deliveries *deliveries, const struct nats_source *source)
{
	struct marked *marked = &deliveries->acknowledge;

	nats_deliveries_drop_held(deliveries, source);
	for (size_t i = 0; i < deliveries->hand_count; i++) {
		struct hand *hand = &deliveries->hands[(deliveries->hand_first + i) %
						       deliveries->hand_capacity];

		if (hand->source == source)
			hand->source = NULL;
	}
	for (size_t i = 0; i < marked->count; i++)
		if (marked->items[i] == source)
			marked->items[i--] = marked->items[--marked->count];
}

bool nats_deliveries_settle(struct nats_deliveries *deliveries)
{
	/* What had to be dropped is never done. */
	bool is_empty = intake_wait_empty(deliveries->intake, 0);

	nats_deliveries_acknowledge(deliveries);
	return !deliveries->hand_count || is_empty;
}

struct nats_deliveries *nats_deliveries_new(
	const char *site, struct intake *intake, struct trash *trash)
{
	struct nats_deliveries *deliveries = calloc(1, sizeof(*deliveries));

	if (!deliveries)
		return NULL;
	deliveries->site = site;
	deliveries->intake = intake;
	deliveries->trash = trash;
	deliveries->numbers = sites_new();
	if (deliveries->numbers)
		return deliveries;
	nats_deliveries_free(deliveries);
	return NULL;
}

void nats_deliveries_free(struct nats_deliveries *deliveries)
{
	if (!deliveries)
		return;
	nats_deliveries_drop_held(deliveries, NULL);
	for (; deliveries->hand_count; deliveries->hand_count--) {
		free(deliveries->hands[deliveries->hand_first].acknowledge);
		deliveries->hand_first = (deliveries->hand_first + 1) % deliveries->hand_capacity;
	}
	free(deliveries->hands), free(deliveries->acknowledge.items);
	sites_free(deliveries->numbers);
	free(deliveries);
}
