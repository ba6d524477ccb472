/* mqtt: datagrams to and from topics of an MQTT broker, over libmosquitto.
 *
 * Out: a datagram gets its number and a place in the window when it is taken from the queue, and
 * leaves it when the broker has acknowledged it. The library sends again what it has in its list;
 * so after a reconnection the window goes back, and passes over what the library still has. With
 * QoS 0 it has nothing, and what was not written is published again.
 *
 * In: the broker keeps what comes for our session while we are away. The library acknowledges a
 * message before we see it, so a message that finds no room in the intake is held here, and nothing
 * more is read until there is room.
 *
 * Everything runs in the worker's thread. */
#include <errno.h>
#include <inttypes.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "data/intake.h"
#include "data/numbers.h"
#include "data/sites.h"
#include "data/window.h"
#include "engines/keys.h"
#include "engines/mqtt/connection.h"
#include "handlers/ledger.h"

#define PUBLISH_AGAIN_NS (10 * NS_PER_S) /* to a topic that the broker does not allow */
#define SUBSCRIBE_AGAIN_NS (60 * NS_PER_S) /* where the broker does not allow it */
#define PATIENCE_NS (250 * 1000) /* how long datagrams wait for more, while they keep coming */
#define GOODBYE_NS (NS_PER_S / 2) /* of what is left at the end, for leaving in good order */

enum { COUNTED_RESENT, COUNTED_UNHEARD };

static const char *const mqtt_counters[] = {
	[COUNTED_RESENT] = "resent", [COUNTED_UNHEARD] = "noSubscriber", NULL};

/* Of a group that goes out. */
struct topic {
	bool is_refused; /* was told already */
	uint64_t again_ns; /* when the next one may be published; 0: any time */
	char *name;
	char group[]; /* its name */
};

/* Of a group that takes what comes in. Its topics are base/SITE. */
struct input {
	char *base;
	char *group;
};

/* A message that found no room in the intake. */
struct held {
	struct held *next;
	uint32_t size;
	const char *group; /* behind the payload */
	uint8_t payload[];
};

struct mqtt_handler {
	const char *name;
	struct ledger *ledger;
	struct mqtt_settings settings; /* a copy */
	struct connection *connection;
	struct outcome *outcome; /* of the call under way */
	uint64_t now; /* when it began */
	/* Out. */
	struct window window;
	int *ids; /* of the library's messages, by the number of the slot; 0: it has none */
	unsigned inflight; /* that the library has */
	struct numbers *numbers;
	struct topic **topics; /* by the names of the groups */
	size_t topic_count;
	char refusal[2 * WHY_MAX]; /* of the topic, shown while it is; "": none is */
	const struct topic *refused;
	struct log_limit refused_limit;
	/* In. */
	struct intake *intake;
	struct sites *sites;
	struct input *inputs; /* by base */
	size_t input_count;
	int *requests; /* ids of subscriptions under way, for each input as many as filter_count()
			*/
	size_t answered; /* the place in requests of the last one that was answered */
	char denial[2 * WHY_MAX]; /* of the request, shown while it is; "": none is */
	size_t denied; /* its place in requests */
	bool must_subscribe;
	uint64_t subscribe_ns; /* when to try it again; 0: it has not failed */
	char *left; /* the topic that was left last */
	struct held *first, *last;
	uint64_t token;
	bool waits_for_room; /* the intake's descriptor is in epoll */
};

/* ---- Out: what becomes of messages ---- */

static uint64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

static int *id_of(const struct mqtt_handler *mqtt, uint64_t number)
{
	return &mqtt->ids[number & mqtt->window.mask];
}

/* The number of what the library calls id: nearly always the oldest. Returns false when it is not
 * ours any more. */
static bool find_number(const struct mqtt_handler *mqtt, int id, uint64_t *ret)
{
	for (uint64_t number = mqtt->window.low; number < mqtt->window.head; number++)
		if (*id_of(mqtt, number) == id) {
			*ret = number;
			return true;
		}
	return false;
}

/* What the broker does not allow is an error for as long as that is so. */
static void show_error(const struct mqtt_handler *mqtt)
{
	const char *text = *mqtt->refusal ? mqtt->refusal : *mqtt->denial ? mqtt->denial : NULL;

	ledger_set_error(mqtt->ledger, mqtt, text);
}

/* Tells that the broker does not take what goes to a topic, once. */
static void tell_refused(struct mqtt_handler *mqtt, struct topic *topic, const char *why)
{
	if (topic->is_refused)
		return;
	topic->is_refused = true;
	mqtt->refused = topic;
	snprintf(mqtt->refusal, sizeof(mqtt->refusal), "publishing to %s: the broker refuses: %s",
		topic->name, why);
	show_error(mqtt);
	if (log_limit_pass(&mqtt->refused_limit))
		log_warning("handler %s: %s", mqtt->name, mqtt->refusal);
}

static void see_accepted(struct mqtt_handler *mqtt, struct topic *topic)
{
	if (!topic->is_refused)
		return;
	topic->is_refused = false;
	topic->again_ns = 0;
	if (mqtt->refused != topic)
		return;
	*mqtt->refusal = '\0';
	show_error(mqtt);
}

/* For good. */
static void refuse(struct mqtt_handler *mqtt, uint64_t number, const char *why)
{
	struct topic *topic = window_slot(&mqtt->window, number)->object;

	if (!window_release(&mqtt->window, number))
		return;
	mqtt->outcome->dropped[DROP_REFUSED]++;
	tell_refused(mqtt, topic, why);
}

/* Of the failures that MQTT 5 names, only an exceeded quota is temporary. */
static void settled(void *object, int id, int reason)
{
	struct mqtt_handler *mqtt = object;
	struct topic *topic;
	uint64_t number;

	if (!find_number(mqtt, id, &number))
		return;
	*id_of(mqtt, number) = 0;
	mqtt->inflight--;
	topic = window_slot(&mqtt->window, number)->object;
	if (reason == MQTT_RC_QUOTA_EXCEEDED) {
		window_refuse(&mqtt->window, number, now_ns());
		return;
	}
	if (reason == MQTT_RC_NOT_AUTHORIZED || reason == MQTT_RC_TOPIC_NAME_INVALID) {
		topic->again_ns = now_ns() + PUBLISH_AGAIN_NS;
		connection_forget(mqtt->connection);
	}
	if (reason >= MQTT_RC_UNSPECIFIED) {
		refuse(mqtt, number, mosquitto_reason_string(reason));
		return;
	}
	if (!window_acknowledge(&mqtt->window, number, mqtt->now))
		return;
	mqtt->outcome->delivered++;
	mqtt->outcome->counted[COUNTED_UNHEARD] += reason == MQTT_RC_NO_MATCHING_SUBSCRIBERS;
	see_accepted(mqtt, topic);
}

static void up(void *object)
{
	struct mqtt_handler *mqtt = object;

	window_connected(&mqtt->window, now_ns());
	mqtt->must_subscribe = true;
	show_error(mqtt);
}

static void down(void *object, bool forgotten)
{
	struct mqtt_handler *mqtt = object;

	window_disconnected(&mqtt->window);
	mqtt->subscribe_ns = 0;
	/* With QoS 0 the library has thrown away what was not written. */
	if (mqtt->settings.qos && !forgotten)
		return;
	memset(mqtt->ids, 0, (mqtt->window.mask + 1) * sizeof(*mqtt->ids));
	mqtt->inflight = 0;
}

/* ---- Out: publishing ---- */

/* What a slot has in front of the payload: the texts of the properties. */
struct message {
	uint16_t id_size, from_size; /* with the zero; 0: there is none */
	char texts[];
};

/* Whether the broker has not allowed this topic, and it is not time to ask again. */
static bool is_forbidden(struct topic *topic)
{
	uint64_t now = topic->again_ns ? now_ns() : 0;

	if (now < topic->again_ns)
		return true;
	if (topic->again_ns)
		topic->again_ns = now + PUBLISH_AGAIN_NS;
	return false;
}

static void publish(struct mqtt_handler *mqtt, uint64_t number, uint64_t now)
{
	struct window_slot *slot = window_slot(&mqtt->window, number);
	const struct message *message = (const void *)slot->data;
	struct topic *topic = slot->object;
	struct publication publication = {.topic = topic->name,
		.payload = slot->data + slot->size - slot->payload,
		.size = slot->payload,
		.id = message->id_size ? message->texts : NULL,
		.from = message->from_size ? message->texts + message->id_size : NULL};
	int r;

	if (is_forbidden(topic)) {
		refuse(mqtt, number, "as before");
		return;
	}
	/* For QoS 0 settled() comes before the call returns. */
	mqtt->inflight++;
	window_sent(&mqtt->window, number, now);
	r = connection_publish(mqtt->connection, &publication, id_of(mqtt, number));
	if (r >= 0 || r == -EIO)
		return;
	*id_of(mqtt, number) = 0;
	mqtt->inflight--;
	if (r == -EMSGSIZE)
		refuse(mqtt, number, "larger than it accepts");
	else if (window_release(&mqtt->window, number))
		mqtt->outcome->dropped[DROP_IO]++;
}

static bool may_publish(const struct mqtt_handler *mqtt)
{
	unsigned most = connection_inflight_max(mqtt->connection);

	if ((int64_t)most > mqtt->settings.common.window)
		most = (unsigned)mqtt->settings.common.window;
	return mqtt->inflight < most && connection_is_writable(mqtt->connection);
}

/* Publishes as much as there may be at once. What the library has already, it has sent again. */
static void publish_all(struct mqtt_handler *mqtt)
{
	uint64_t resent = mqtt->window.resent, now = now_ns(), number;

	while (connection_is_up(mqtt->connection) && window_next(&mqtt->window, now, &number)) {
		if (*id_of(mqtt, number)) {
			window_sent(&mqtt->window, number, now);
			continue;
		}
		if (!may_publish(mqtt))
			break;
		publish(mqtt, number, now);
	}
	mqtt->outcome->counted[COUNTED_RESENT] += mqtt->window.resent - resent;
}

/* Whether nothing was acknowledged for ack_timeout. */
static bool is_silent(const struct mqtt_handler *mqtt)
{
	uint64_t silence = mqtt->settings.common.ack_timeout, now = now_ns();

	return connection_is_up(mqtt->connection) && mqtt->inflight &&
	       now > mqtt->window.heard_ns && now - mqtt->window.heard_ns >= silence;
}

/* ---- Out: taking datagrams ---- */

static int compare_topics(const void *group, const void *item)
{
	return strcmp(group, (*(struct topic *const *)item)->group);
}

static struct topic *topic_new(const struct mqtt_handler *mqtt, const char *group)
{
	struct topic *topic = calloc(1, sizeof(*topic) + strlen(group) + 1);
	char base[ENGINE_ADDRESS_MAX];

	if (!topic)
		return NULL;
	strcpy(topic->group, group);
	if (engine_address(base, sizeof(base), mqtt->settings.topic, group) < 0 ||
		asprintf(&topic->name, "%s/%s", base, mqtt->settings.common.site) < 0) {
		free(topic);
		return NULL;
	}
	return topic;
}

/* The topic of a group. They stay: groups do, too. Returns NULL without memory. */
static struct topic *find_topic(struct mqtt_handler *mqtt, const char *group)
{
	size_t at = lower_bound(
		group, mqtt->topics, mqtt->topic_count, sizeof(*mqtt->topics), compare_topics);
	struct topic **all, *topic;

	if (at < mqtt->topic_count && !strcmp(mqtt->topics[at]->group, group))
		return mqtt->topics[at];
	all = reallocarray(mqtt->topics, mqtt->topic_count + 1, sizeof(*all));
	if (!all)
		return NULL;
	mqtt->topics = all;
	topic = topic_new(mqtt, group);
	if (!topic)
		return NULL;
	memmove(&all[at + 1], &all[at], (mqtt->topic_count - at) * sizeof(*all));
	all[at] = topic;
	mqtt->topic_count++;
	return topic;
}

/* Gives a datagram its number and its place. Returns 0 or -ENOMEM, or the error of numbers. */
static int add(struct mqtt_handler *mqtt, struct topic *topic, const struct origin *origin,
	const struct datagram *datagram, unsigned lost)
{
	char id[ENVELOPE_ID_MAX], from[ENVELOPE_FROM_MAX];
	bool has_properties = mqtt->settings.version == MQTT_5;
	struct message message = {0};
	struct window_slot *slot;
	uint64_t run, number;
	uint8_t *at;
	int r;

	if (has_properties) {
		r = numbers_next(mqtt->numbers, origin->group, lost, &run, &number);
		if (r < 0)
			return r;
		message.id_size = (uint16_t)(envelope_write_id(
						     id, mqtt->settings.common.site, run, number) +
					     1);
	}
	if (has_properties && mqtt->settings.common.metadata)
		message.from_size = (uint16_t)(envelope_write_from(from, origin, datagram) + 1);
	slot = window_add(&mqtt->window,
		sizeof(message) + message.id_size + message.from_size + datagram->size,
		datagram->size);
	if (!slot)
		return -ENOMEM;
	at = mempcpy(slot->data, &message, sizeof(message));
	at = mempcpy(at, id, message.id_size);
	at = mempcpy(at, from, message.from_size);
	if (datagram->size)
		memcpy(at, datagram->payload, datagram->size);
	slot->object = topic;
	*id_of(mqtt, mqtt->window.head - 1) = 0;
	return 0;
}

static void serve(struct mqtt_handler *mqtt, struct outcome *outcome);

static void mqtt_deliver(void *object, const struct batch *batch, struct outcome *outcome)
{
	struct mqtt_handler *mqtt = object;
	struct topic *topic = find_topic(mqtt, batch->origin->group);

	for (unsigned i = 0; i < batch->count; i++) {
		int r = !topic ? -ENOMEM
			       : add(mqtt, topic, batch->origin, &batch->datagrams[i],
					 i ? 0 : batch->lost);

		if (r < 0)
			outcome->dropped[DROP_IO]++;
	}
	serve(mqtt, outcome);
}

static bool mqtt_ready(const void *object)
{
	return window_room(&((const struct mqtt_handler *)object)->window) >= BATCH_MAX;
}

static uint64_t mqtt_held_bytes(const void *object)
{
	return ((const struct mqtt_handler *)object)->window.bytes;
}

/* ---- In: messages ---- */

static int push(struct mqtt_handler *mqtt, const char *group, const void *payload, uint32_t size)
{
	struct intake_item item = {
		.group = group, .payload = payload, .size = size, .token = mqtt->token + 1};
	int r = intake_push(mqtt->intake, &item);

	if (r >= 0)
		mqtt->token++;
	if (r == -ESHUTDOWN) {
		/* It is acknowledged, and will not come again. */
		intake_drop(mqtt->intake, INTAKE_SHUTDOWN);
		r = 0;
	}
	return r;
}

static void wait_for_room(struct mqtt_handler *mqtt, bool waits)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = CONNECTION_OTHER};

	if (mqtt->waits_for_room != waits)
		epoll_ctl(connection_descriptor(mqtt->connection),
			waits ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, intake_done_fd(mqtt->intake),
			&event);
	mqtt->waits_for_room = waits;
	connection_read(mqtt->connection, !waits);
}

/* Holds a message that found no room, and stops reading. */
static void hold(struct mqtt_handler *mqtt, const char *group, const void *payload, uint32_t size)
{
	struct held *held = malloc(sizeof(*held) + size + strlen(group) + 1);

	if (!held) {
		intake_drop(mqtt->intake, INTAKE_SEND);
		return;
	}
	held->next = NULL;
	held->size = size;
	if (size)
		memcpy(held->payload, payload, size);
	held->group = strcpy((char *)held->payload + size, group);
	if (mqtt->last)
		mqtt->last->next = held;
	else
		mqtt->first = held;
	mqtt->last = held;
	wait_for_room(mqtt, true);
}

static void push_held(struct mqtt_handler *mqtt)
{
	struct held *held;

	if (!mqtt->first)
		return;
	intake_done(mqtt->intake); /* so that its descriptor tells what comes after this */
	while ((held = mqtt->first)) {
		if (push(mqtt, held->group, held->payload, held->size) == -EAGAIN)
			return;
		mqtt->first = held->next;
		free(held);
	}
	mqtt->last = NULL;
	wait_for_room(mqtt, false);
}

static int compare_inputs(const void *base, const void *item)
{
	return strcmp(base, ((const struct input *)item)->base);
}

/* The first of the inputs with this base, as groups whose topic has no %g share theirs; or NULL. */
static struct input *find_input(struct mqtt_handler *mqtt, const char *base)
{
	size_t at = lower_bound(
		base, mqtt->inputs, mqtt->input_count, sizeof(*mqtt->inputs), compare_inputs);

	return at < mqtt->input_count && !strcmp(mqtt->inputs[at].base, base) ? &mqtt->inputs[at]
									      : NULL;
}

static bool is_wanted_site(const struct mqtt_handler *mqtt, const char *site)
{
	const struct string_list *sites = &mqtt->settings.sites;

	for (size_t i = 0; i < sites->count; i++)
		if (!strcmp(sites->items[i], site))
			return true;
	return !sites->count;
}

/* The id of a message, if it has one of the site that its topic names: only that the broker's
 * access lists protect. */
static bool read_id(const mosquitto_property *properties, const char *site, struct envelope_id *ret)
{
	const mosquitto_property *at = properties;
	bool is_found = false, is_next = false;
	char *name, *value;

	while (!is_found && (at = mosquitto_property_read_string_pair(
				     at, MQTT_PROP_USER_PROPERTY, &name, &value, is_next))) {
		is_next = true;
		is_found = !strcmp(name, ENVELOPE_ID) &&
			   !envelope_read_id(value, strlen(value), ret) && !strcmp(ret->site, site);
		free(name);
		free(value);
	}
	return is_found;
}

/* Whether it is the first copy of a message. What has no id always is. */
static bool is_new(
	struct mqtt_handler *mqtt, const mosquitto_property *properties, const char *site)
{
	struct envelope_id id;
	int64_t gaps = 0;
	bool is_first;

	if (!read_id(properties, site, &id))
		return true;
	is_first = sites_see(mqtt->sites, id.site, id.run, id.number, &gaps);
	if (gaps)
		intake_count_gaps(mqtt->intake, gaps);
	return is_first;
}

static void give(struct mqtt_handler *mqtt, const struct input *first,
	const struct mosquitto_message *message)
{
	const struct input *end = mqtt->inputs + mqtt->input_count;
	uint32_t size = (uint32_t)message->payloadlen;

	for (const struct input *input = first; input < end && !strcmp(input->base, first->base);
		input++)
		if (mqtt->first || push(mqtt, input->group, message->payload, size) == -EAGAIN)
			hold(mqtt, input->group, message->payload, size);
}

/* An earlier session's subscription that nobody wants any more: ends it. The message is lost. A
 * broker that reads nothing gets no more to read. */
static void leave(struct mqtt_handler *mqtt, const char *topic, const char *base)
{
	AUTO_FREE char *all = NULL;

	if (mqtt->intake)
		intake_drop(mqtt->intake, INTAKE_SEND);
	if ((mqtt->left && !strcmp(mqtt->left, topic)) || !connection_is_writable(mqtt->connection))
		return;
	free(mqtt->left);
	mqtt->left = strdup(topic);
	connection_unsubscribe(mqtt->connection, topic);
	if (base && asprintf(&all, "%s/+", base) >= 0)
		connection_unsubscribe(mqtt->connection, all);
}

static void message(
	void *object, const struct mosquitto_message *message, const mosquitto_property *properties)
{
	struct mqtt_handler *mqtt = object;
	AUTO_FREE char *base = strdup(message->topic);
	char *slash = base ? strrchr(base, '/') : NULL;
	struct input *input;

	/* What was retained is old. MQTT 3.1.1 cannot ask the broker to leave it out. */
	if (message->retain)
		return;
	if (slash)
		*slash++ = '\0';
	input = slash ? find_input(mqtt, base) : NULL;
	if (!mqtt->intake)
		leave(mqtt, message->topic, base);
	else if (slash && !strcmp(slash, mqtt->settings.common.site))
		intake_drop(mqtt->intake, INTAKE_OWN);
	else if (!input || !is_wanted_site(mqtt, slash))
		leave(mqtt, message->topic, base);
	else if (!is_new(mqtt, properties, slash))
		intake_drop(mqtt->intake, INTAKE_DUPLICATE);
	else if (message->payloadlen > DATAGRAM_MAX)
		intake_drop(mqtt->intake, INTAKE_SIZE);
	else
		give(mqtt, input, message);
}

/* ---- In: subscriptions ---- */

static size_t filter_count(const struct mqtt_handler *mqtt)
{
	return mqtt->settings.sites.count ? mqtt->settings.sites.count : 1;
}

/* The i-th filter of a base, to be freed; NULL without memory. */
static char *filter(const struct mqtt_handler *mqtt, const char *base, size_t i)
{
	const struct string_list *sites = &mqtt->settings.sites;
	char *filter;

	if (asprintf(&filter, "%s/%s", base, sites->count ? sites->items[i] : "+") < 0)
		return NULL;
	return filter;
}

static void unsubscribe(struct mqtt_handler *mqtt, const char *base)
{
	for (size_t i = 0; i < filter_count(mqtt); i++) {
		AUTO_FREE char *topics = filter(mqtt, base, i);

		if (topics)
			connection_unsubscribe(mqtt->connection, topics);
	}
}

/* The session may have more than is wanted from an earlier run, for all sites. */
static void subscribe_input(struct mqtt_handler *mqtt, size_t at)
{
	const char *base = mqtt->inputs[at].base;
	size_t count = filter_count(mqtt);
	AUTO_FREE char *all = NULL;

	if (mqtt->settings.sites.count && asprintf(&all, "%s/+", base) >= 0)
		connection_unsubscribe(mqtt->connection, all);
	for (size_t i = 0; i < count; i++) {
		AUTO_FREE char *topics = filter(mqtt, base, i);

		if (topics)
			connection_subscribe(
				mqtt->connection, topics, &mqtt->requests[at * count + i]);
	}
}

static void subscribe_due(struct mqtt_handler *mqtt)
{
	bool is_due = mqtt->subscribe_ns && now_ns() >= mqtt->subscribe_ns;

	if (!connection_is_up(mqtt->connection) || (!mqtt->must_subscribe && !is_due))
		return;
	mqtt->must_subscribe = false;
	mqtt->subscribe_ns = 0;
	for (size_t i = 0; i < mqtt->input_count; i++)
		if (!i || strcmp(mqtt->inputs[i - 1].base, mqtt->inputs[i].base) != 0)
			subscribe_input(mqtt, i);
}

/* Requests are answered in their order, nearly always. Returns false for what is none of ours. */
static bool find_request(struct mqtt_handler *mqtt, int id, size_t *ret)
{
	size_t count = mqtt->input_count * filter_count(mqtt);

	for (size_t i = 0; i < count; i++) {
		size_t at = (mqtt->answered + i) % count;

		if (mqtt->requests[at] == id) {
			mqtt->answered = at;
			*ret = at;
			return true;
		}
	}
	return false;
}

static void subscribed(void *object, int id, int reason)
{
	struct mqtt_handler *mqtt = object;
	AUTO_FREE char *topics = NULL;
	size_t at;

	if (!find_request(mqtt, id, &at))
		return;
	mqtt->requests[at] = 0;
	if (reason < MQTT_RC_UNSPECIFIED) {
		if (*mqtt->denial && mqtt->denied == at) {
			*mqtt->denial = '\0';
			show_error(mqtt);
		}
		return;
	}
	topics = filter(mqtt, mqtt->inputs[at / filter_count(mqtt)].base, at % filter_count(mqtt));
	mqtt->denied = at;
	snprintf(mqtt->denial, sizeof(mqtt->denial), "subscribing to %s: the broker refuses: %s",
		topics ? topics : "?", mosquitto_reason_string(reason));
	show_error(mqtt);
	if (!mqtt->subscribe_ns && log_limit_pass(&mqtt->refused_limit))
		log_warning("handler %s: %s", mqtt->name, mqtt->denial);
	mqtt->subscribe_ns = now_ns() + SUBSCRIBE_AGAIN_NS;
}

static void inputs_free(struct input *inputs, size_t count)
{
	for (size_t i = 0; inputs && i < count; i++) {
		free(inputs[i].base);
		free(inputs[i].group);
	}
	free(inputs);
}

static int order_inputs(const void *a, const void *b)
{
	const struct input *one = a, *other = b;
	int order = strcmp(one->base, other->base);

	return order ? order : strcmp(one->group, other->group);
}

/* Returns NULL without memory. */
static struct input *inputs_new(const struct mqtt_handler *mqtt, const struct string_list *groups)
{
	struct input *inputs = calloc(groups->count + 1, sizeof(*inputs));
	char base[ENGINE_ADDRESS_MAX];

	for (size_t i = 0; inputs && i < groups->count; i++) {
		if (engine_address(base, sizeof(base), mqtt->settings.topic, groups->items[i]) >= 0)
			inputs[i].base = strdup(base);
		inputs[i].group = strdup(groups->items[i]);
		if (!inputs[i].base || !inputs[i].group) {
			inputs_free(inputs, groups->count);
			return NULL;
		}
	}
	if (inputs)
		qsort(inputs, groups->count, sizeof(*inputs), order_inputs);
	return inputs;
}

static void mqtt_subscribe(void *object, const struct string_list *groups)
{
	struct mqtt_handler *mqtt = object;
	struct input *inputs = inputs_new(mqtt, groups), *old = mqtt->inputs;
	int *requests = calloc(groups->count * filter_count(mqtt) + 1, sizeof(*requests));
	size_t old_count = mqtt->input_count;

	if (!inputs || !requests) {
		log_error("handler %s: subscribing: out of memory", mqtt->name);
		inputs_free(inputs, groups->count);
		free(requests);
		return;
	}
	free(mqtt->requests);
	mqtt->requests = requests;
	mqtt->answered = 0;
	/* The places are others now. It comes again where it still is so. */
	*mqtt->denial = '\0';
	if (connection_is_up(mqtt->connection))
		show_error(mqtt);
	mqtt->inputs = inputs;
	mqtt->input_count = groups->count;
	mqtt->must_subscribe = true;
	free(take(mqtt->left));
	for (size_t i = 0; i < old_count; i++)
		if (!find_input(mqtt, old[i].base))
			unsubscribe(mqtt, old[i].base);
	inputs_free(old, old_count);
}

/* ---- The worker's thread ---- */

static void serve(struct mqtt_handler *mqtt, struct outcome *outcome)
{
	mqtt->outcome = outcome;
	mqtt->now = now_ns();
	connection_gather(mqtt->connection, true);
	connection_serve(mqtt->connection);
	push_held(mqtt);
	if (is_silent(mqtt))
		connection_renew(mqtt->connection, "nothing was acknowledged for ack_timeout");
	subscribe_due(mqtt);
	publish_all(mqtt);
	connection_gather(mqtt->connection, false);
}

static void mqtt_serve(void *object, struct outcome *outcome)
{
	serve(object, outcome);
}

static uint64_t mqtt_deadline(const void *object)
{
	const struct mqtt_handler *mqtt = object;
	uint64_t deadline = earlier_ns(
		connection_deadline(mqtt->connection), window_deadline(&mqtt->window));

	if (connection_is_up(mqtt->connection) && mqtt->inflight)
		deadline = earlier_ns(
			deadline, mqtt->window.heard_ns + mqtt->settings.common.ack_timeout);
	return earlier_ns(deadline, mqtt->subscribe_ns);
}

static int mqtt_descriptor(const void *object)
{
	return connection_descriptor(((const struct mqtt_handler *)object)->connection);
}

static void mqtt_begin(void *object)
{
	connection_start(((struct mqtt_handler *)object)->connection);
}

static void wait_for(int fd, uint64_t until_ns)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	uint64_t now = now_ns();
	struct timespec left = ns_timespec(until_ns > now ? until_ns - now : 0);

	ppoll(&poll_fd, 1, &left, NULL);
}

/* What is held is acknowledged: it must reach the network, or be counted. */
static void finish_intake(struct mqtt_handler *mqtt, uint64_t until_ns)
{
	push_held(mqtt);
	while (mqtt->first && now_ns() < until_ns) {
		wait_for(intake_done_fd(mqtt->intake), until_ns);
		push_held(mqtt);
	}
	for (struct held *held = mqtt->first; held; held = held->next)
		intake_drop(mqtt->intake, INTAKE_SHUTDOWN);
	intake_end(mqtt->intake);
	intake_wait_empty(mqtt->intake, until_ns);
}

static void mqtt_finish(void *object, uint64_t until_ns, struct outcome *outcome)
{
	struct mqtt_handler *mqtt = object;
	uint64_t goodbye_ns = until_ns > GOODBYE_NS ? until_ns - GOODBYE_NS : until_ns;
	unsigned open, sent;

	while (mqtt->window.open && now_ns() < goodbye_ns) {
		wait_for(mqtt_descriptor(mqtt), earlier_ns(mqtt_deadline(mqtt), goodbye_ns));
		serve(mqtt, outcome);
	}
	connection_stop(mqtt->connection, until_ns);
	if (mqtt->intake)
		finish_intake(mqtt, until_ns);
	open = window_abandon(&mqtt->window, &sent);
	outcome->dropped[DROP_UNCONFIRMED] += sent;
	outcome->dropped[DROP_SHUTDOWN] += open - sent;
	if (open)
		log_warning("handler %s: %u datagram%s dropped when it had to stop, of which %u "
			    "were sent and not acknowledged",
			mqtt->name, open, plural(open), sent);
}

/* ---- Beginning and end ---- */

static unsigned mqtt_needs(const void *settings)
{
	const struct mqtt_settings *mqtt = settings;

	return mqtt->version == MQTT_5 && mqtt->common.metadata ? NEED_ALL : 0;
}

static void mqtt_close(void *object)
{
	struct mqtt_handler *mqtt = object;
	struct held *held;

	if (!mqtt)
		return;
	connection_free(mqtt->connection);
	while ((held = mqtt->first)) {
		mqtt->first = held->next;
		free(held);
	}
	for (size_t i = 0; i < mqtt->topic_count; i++) {
		free(mqtt->topics[i]->name);
		free(mqtt->topics[i]);
	}
	free(mqtt->topics);
	inputs_free(mqtt->inputs, mqtt->input_count);
	free(mqtt->requests);
	free(mqtt->left);
	sites_free(mqtt->sites);
	numbers_free(mqtt->numbers);
	window_clear(&mqtt->window);
	free(mqtt->ids);
	schema_clear(&mqtt_kind.config.schema, &mqtt->settings);
	free(mqtt);
}

/* The window has room for a batch beyond what the library may have: so that there is something to
 * publish as soon as something is acknowledged. */
static int prepare(struct mqtt_handler *mqtt, const struct mqtt_settings *settings)
{
	int r = schema_copy(&mqtt_kind.config.schema, &mqtt->settings, settings);

	if (r >= 0)
		r = window_init(&mqtt->window, (unsigned)settings->common.window + BATCH_MAX, 0);
	if (r < 0)
		return r;
	mqtt->ids = calloc(mqtt->window.mask + 1, sizeof(*mqtt->ids));
	mqtt->numbers = numbers_new();
	mqtt->sites = sites_new();
	return mqtt->ids && mqtt->numbers && mqtt->sites ? 0 : -ENOMEM;
}

static int mqtt_open(const void *settings, const struct handler_context *context,
	char why[static WHY_MAX], void **ret)
{
	static const struct connection_events events = {.up = up,
		.down = down,
		.settled = settled,
		.message = message,
		.subscribed = subscribed};
	struct mqtt_handler *mqtt = calloc(1, sizeof(*mqtt));
	int r;

	if (!mqtt)
		return -ENOMEM;
	mqtt->name = context->name;
	mqtt->ledger = context->ledger;
	mqtt->intake = context->intake;
	if (mqtt->intake)
		intake_stay_open(mqtt->intake); /* what the library reads is acknowledged */
	r = prepare(mqtt, settings);
	if (r >= 0)
		r = connection_new(&mqtt->settings, mqtt->name, mqtt->ledger, &events, mqtt, why,
			&mqtt->connection);
	if (r < 0)
		mqtt_close(mqtt);
	else
		*ret = mqtt;
	return r;
}

static uint64_t mqtt_patience(const void *object)
{
	(void)object;
	return PATIENCE_NS;
}

const struct handler_kind engine = {
	.counters = mqtt_counters,
	.needs = mqtt_needs,
	.open = mqtt_open,
	.begin = mqtt_begin,
	.deliver = mqtt_deliver,
	.deadline = mqtt_deadline,
	.descriptor = mqtt_descriptor,
	.serve = mqtt_serve,
	.patience = mqtt_patience,
	.ready = mqtt_ready,
	.exclusive = true,
	.held_bytes = mqtt_held_bytes,
	.subscribe = mqtt_subscribe,
	.finish = mqtt_finish,
	.close = mqtt_close,
};
