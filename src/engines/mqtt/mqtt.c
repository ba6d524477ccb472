/* mqtt: datagrams to and from topics of an MQTT broker, over libmosquitto.
 *
 * Out: a datagram gets its number and a place in the window when it is taken from the queue, and
 * leaves it when the broker has acknowledged it. The library sends again what it has in its list;
 * so after a reconnection the window goes back, and passes over what the library still has. With
 * QoS 0 it has nothing, and what was not written is published again.
 *
 * What comes in is in engines/mqtt/in.h.
 *
 * Everything runs in the worker's thread. */
#include <errno.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "data/intake.h"
#include "data/numbers.h"
#include "data/window.h"
#include "engines/certificates.h"
#include "engines/keys.h"
#include "engines/mqtt/connection.h"
#include "engines/mqtt/in.h"
#include "engines/mqtt/topics.h"
#include "engines/unconfirmed.h"
#include "handlers/ledger.h"

#define PUBLISH_AGAIN_NS (10 * NS_PER_S) /* to a topic that the broker does not allow */
/* How long a refusal is shown: longer than it takes until the broker is asked again. */
#define SHOWN_NS (2 * PUBLISH_AGAIN_NS)
#define PATIENCE_NS (250 * 1000) /* how long datagrams wait for more, while they keep coming */
#define GOODBYE_NS (NS_PER_S / 2) /* of what is left at the end, for leaving in good order */

enum { COUNTED_RESENT, COUNTED_UNHEARD };

static const char *const mqtt_counters[] = {
	[COUNTED_RESENT] = "resent", [COUNTED_UNHEARD] = "noSubscriber", NULL};

struct mqtt_handler {
	const char *name;
	struct ledger *ledger;
	struct mqtt_settings settings; /* a copy */
	struct connection *connection;
	struct mqtt_in *in;
	struct outcome *outcome; /* of the call under way */
	uint64_t now; /* when it began */
	struct window window;
	int *ids; /* of the library's messages, by the number of the slot; 0: it has none */
	unsigned inflight; /* that the library has */
	struct numbers *numbers;
	struct topics topics;
	const struct topic *refused; /* that is shown; NULL: none */
	struct log_limit refused_limit, accepted_limit;
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

static const char *describe_refusal(const struct topic *topic, char ret[static 2 * WHY_MAX])
{
	snprintf(ret, 2 * WHY_MAX, "publishing to %s: the broker refuses: %s", topic->name,
		topic->refusal);
	return ret;
}

/* What the broker does not allow is an error for as long as that is so, and something is sent
 * there. */
static void show_error(struct mqtt_handler *mqtt)
{
	char text[2 * WHY_MAX];

	mqtt->refused = topics_refused(&mqtt->topics, now_ns(), SHOWN_NS);
	ledger_set_error(mqtt->ledger, mqtt,
		mqtt->refused ? describe_refusal(mqtt->refused, text) : mqtt_in_error(mqtt->in));
}

/* When what is shown is no error any more; 0: nothing is shown. */
static uint64_t refusal_deadline(const struct mqtt_handler *mqtt)
{
	return mqtt->refused ? mqtt->refused->refused_ns + SHOWN_NS : 0;
}

/* While there is no connection, that is the error. */
static void end_old_refusal(struct mqtt_handler *mqtt)
{
	if (mqtt->refused && mqtt->now >= refusal_deadline(mqtt)) {
		mqtt->refused = NULL;
		if (connection_is_up(mqtt->connection))
			show_error(mqtt);
	}
}

/* Tells that the broker does not take what goes to a topic, once. */
static void tell_refused(struct mqtt_handler *mqtt, struct topic *topic, const char *why)
{
	char text[2 * WHY_MAX];
	bool is_new = !topic->refusal;

	topic->refused_ns = now_ns();
	if (is_new)
		topic->refusal = why;
	if (is_new && log_limit_pass(&mqtt->refused_limit))
		log_warning("handler %s: %s", mqtt->name, describe_refusal(topic, text));
	if (!mqtt->refused)
		show_error(mqtt);
}

static void see_accepted(struct mqtt_handler *mqtt, struct topic *topic)
{
	if (!topic->refusal)
		return;
	topic->refusal = NULL;
	topic->again_ns = 0;
	if (log_limit_pass(&mqtt->accepted_limit))
		log_notice("handler %s: publishing to %s: the broker takes it again", mqtt->name,
			topic->name);
	if (mqtt->refused == topic)
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
	uint64_t number, took_ns;

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
	if (!window_acknowledge(&mqtt->window, number, mqtt->now, &took_ns))
		return;
	if (mqtt->settings.qos)
		outcome_acknowledge(mqtt->outcome, took_ns);
	else
		mqtt->outcome->delivered++;
	mqtt->outcome->counted[COUNTED_UNHEARD] += reason == MQTT_RC_NO_MATCHING_SUBSCRIBERS;
	see_accepted(mqtt, topic);
}

static void up(void *object)
{
	struct mqtt_handler *mqtt = object;

	window_connected(&mqtt->window, now_ns());
	mqtt_in_up(mqtt->in);
	show_error(mqtt);
}

static void down(void *object, bool forgotten)
{
	struct mqtt_handler *mqtt = object;

	window_disconnected(&mqtt->window);
	mqtt_in_down(mqtt->in);
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
	struct topic *topic = topics_find(&mqtt->topics, mqtt->settings.topic,
		mqtt->settings.common.site, batch->origin->group);

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

/* ---- In ---- */

static void message(
	void *object, const struct mosquitto_message *message, const mosquitto_property *properties)
{
	mqtt_in_message(((const struct mqtt_handler *)object)->in, message, properties);
}

static void subscribed(void *object, int id, int reason)
{
	struct mqtt_handler *mqtt = object;

	if (mqtt_in_subscribed(mqtt->in, id, reason))
		show_error(mqtt);
}

static void mqtt_subscribe(void *object, const struct string_list *groups)
{
	struct mqtt_handler *mqtt = object;

	mqtt_in_subscribe(mqtt->in, groups);
	if (connection_is_up(mqtt->connection))
		show_error(mqtt);
}

/* ---- The worker's thread ---- */

static void serve(struct mqtt_handler *mqtt, struct outcome *outcome)
{
	mqtt->outcome = outcome;
	mqtt->now = now_ns();
	connection_gather(mqtt->connection, true);
	connection_serve(mqtt->connection);
	mqtt_in_push(mqtt->in);
	if (is_silent(mqtt))
		connection_renew(mqtt->connection, "nothing was acknowledged for ack_timeout");
	mqtt_in_subscribe_due(mqtt->in);
	end_old_refusal(mqtt);
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
	deadline = earlier_ns(deadline, refusal_deadline(mqtt));
	return earlier_ns(deadline, mqtt_in_deadline(mqtt->in));
}

static int mqtt_descriptor(const void *object)
{
	return connection_descriptor(((const struct mqtt_handler *)object)->connection);
}

static void mqtt_begin(void *object)
{
	connection_start(((struct mqtt_handler *)object)->connection);
}

static void mqtt_finish(void *object, uint64_t until_ns, struct outcome *outcome)
{
	struct mqtt_handler *mqtt = object;
	uint64_t goodbye_ns = until_ns > GOODBYE_NS ? until_ns - GOODBYE_NS : until_ns;

	while (mqtt->window.open && now_ns() < goodbye_ns) {
		wait_until_ready(
			mqtt_descriptor(mqtt), POLLIN, earlier_ns(mqtt_deadline(mqtt), goodbye_ns));
		serve(mqtt, outcome);
	}
	connection_stop(mqtt->connection, until_ns);
	mqtt_in_finish(mqtt->in, until_ns);
	engine_drop_window(mqtt->name, &mqtt->window, outcome);
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

	if (!mqtt)
		return;
	connection_free(mqtt->connection);
	mqtt_in_free(mqtt->in);
	topics_clear(&mqtt->topics);
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
	return mqtt->ids && mqtt->numbers ? 0 : -ENOMEM;
}

static int mqtt_open(const void *settings, const struct handler_context *context,
	char why[static WHY_MAX], void **ret)
{
	static const struct connection_events events = {.up = up,
		.down = down,
		.of_client = {.settled = settled, .message = message, .subscribed = subscribed}};
	struct mqtt_handler *mqtt = calloc(1, sizeof(*mqtt));
	int r;

	if (!mqtt)
		return -ENOMEM;
	mqtt->name = context->name;
	mqtt->ledger = context->ledger;
	if (context->intake)
		intake_stay_open(context->intake); /* what the library reads is acknowledged */
	r = prepare(mqtt, settings);
	if (r >= 0)
		r = connection_new(&mqtt->settings, mqtt->name, mqtt->ledger, &events, mqtt, why,
			&mqtt->connection);
	if (r >= 0) {
		mqtt->in = mqtt_in_new(
			&mqtt->settings, mqtt->name, mqtt->connection, context->intake);
		r = mqtt->in ? 0 : because(why, -ENOMEM, "out of memory");
	}
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
	.check_files = certificates_check,
	.doubt = certificates_doubt,
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
