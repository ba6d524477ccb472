/* kafka: datagrams to topics of a Kafka cluster, by librdkafka. One way: out.
 *
 * librdkafka keeps the order of each partition, sends again what was not acknowledged, and, as the
 * producer is idempotent, the broker stores nothing twice. The window here only counts and bounds
 * what is in the library: a slot holds the size of a datagram, and is open until the library has
 * reported what became of its message. A batch may come as long as the library may have more: what
 * is beyond that waits in its slots. No message expires unless the key "expire" says so: while
 * the brokers are away the window fills up, then the queue, and its policy decides what is lost.
 *
 * The library has threads of its own. What they report lies in its queue, which makes an eventfd
 * readable; everything here is done by the handler's thread, which never waits in the library.
 *
 * An error that ends an idempotent producer (the broker has forgotten it, or does not allow it) is
 * no end of the handler, nor are files that have changed while nothing works: what was not
 * acknowledged comes back, is copied into its slots, and is
 * produced again, in order, by a new producer. Of these, what the old one had sent may be stored
 * twice; Mcastd-Id tells. */
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/io.h"
#include "data/numbers.h"
#include "data/window.h"
#include "engines/certificates.h"
#include "engines/kafka/conf.h"
#include "engines/kafka/message.h"
#include "engines/kafka/producer.h"
#include "engines/kafka/refusals.h"
#include "engines/kafka/topics.h"
#include "engines/kafka/trouble.h"
#include "engines/keys.h"
#include "engines/unconfirmed.h"
#include "formats/envelope.h"
#include "handlers/handler.h"

/* How often it checks whether something is wrong, or wrong no longer. */
#define TICK_NS NS_PER_S

/* What the library gets at the end to report what it had: no network is needed for that. */
#define PURGE_NS (500 * NS_PER_MS)

static const char *const kafka_counters[] = {
	"unknownTopic", "notAuthorized", "tooLarge", "expired", "producerRestarts", "resent", NULL};

struct kafka_handler {
	const char *name;
	struct kafka_settings settings; /* a copy */

	struct producer producer;
	struct topics topics;
	struct numbers *numbers;
	struct window window;

	bool is_finishing;
	uint64_t tick_ns; /* when to check next; 0: nothing to check */

	struct trouble trouble;
	struct log_limit library_limit;
};

/* Gives a message to the library. */
static rd_kafka_resp_err_t produce(struct kafka_handler *kafka, struct topic *topic,
	uint64_t number, const struct message *message)
{
	rd_kafka_resp_err_t error;

	if (!topic->handle)
		topic->handle = rd_kafka_topic_new(kafka->producer.library, topic->name, NULL);
	if (!topic->handle)
		return rd_kafka_last_error();
	error = message_produce(message, kafka->producer.library, topic->handle, (uintptr_t)number);
	if (!error)
		kafka->producer.pending++;
	return error;
}

/* ---- What became of messages ---- */

/* Of the topics that take nothing, one is shown. */
static void show_refusal(struct kafka_handler *kafka, uint64_t now)
{
	const struct topic *topic = topics_refused(&kafka->topics, now);
	char text[WHY_MAX];

	trouble_refuse(&kafka->trouble,
		topic ? refusal_describe(topic->name, topic->refused, text) : NULL);
}

/* A topic takes datagrams again. */
static void end_refusal(struct kafka_handler *kafka, struct topic *topic)
{
	topic->refused = 0;
	if (topic->is_told)
		log_notice("handler %s: topic %s: Kafka takes datagrams again", kafka->name,
			topic->name);
	topic->is_told = false;
	show_refusal(kafka, clock_ns(CLOCK_MONOTONIC));
}

static void drop(struct kafka_handler *kafka, uint64_t number, enum drop_reason reason,
	struct outcome *outcome)
{
	message_forget(window_slot(&kafka->window, number));
	if (window_release(&kafka->window, number))
		outcome->dropped[reason]++;
}

/* How long no broker has acknowledged anything. */
static uint64_t silence_ns(const struct kafka_handler *kafka, uint64_t now)
{
	return now > kafka->window.heard_ns ? now - kafka->window.heard_ns : 0;
}

/* It has waited for too long. was_sent: a broker may have it. Where others are acknowledged
 * meanwhile, they only come too fast. */
static void expire(
	struct kafka_handler *kafka, uint64_t number, bool was_sent, struct outcome *outcome)
{
	uint64_t silence = silence_ns(kafka, clock_ns(CLOCK_MONOTONIC));

	outcome->counted[COUNTED_EXPIRED]++;
	message_forget(window_slot(&kafka->window, number));
	if (window_expire(&kafka->window, number))
		outcome->dropped[was_sent ? DROP_UNCONFIRMED : DROP_ABSENT]++;
	if (!kafka->trouble.cause && silence >= kafka->settings.expire)
		trouble_show_heard(&kafka->trouble, silence);
}

/* A message that will not be tried again: refused, or nobody knows where it is. */
static void refuse(struct kafka_handler *kafka, uint64_t number, rd_kafka_resp_err_t error,
	enum drop_reason reason, struct outcome *outcome)
{
	struct topic *topic = window_slot(&kafka->window, number)->object;
	const struct refusal *refusal = refusal_find(error);
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	char text[WHY_MAX];
	/* What is too large says nothing about others. */
	bool is_lasting = error != RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;

	drop(kafka, number, reason, outcome);
	if (refusal)
		outcome->counted[refusal->counter]++;
	if (is_lasting) {
		topic->is_told = topic->is_told && topic->refused == (int)error;
		topic->refused = (int)error;
		topic->refused_ns = now;
		/* Whoever refuses answers. */
		if (refusal && !kafka->producer.is_failed)
			trouble_clear(&kafka->trouble);
		show_refusal(kafka, now);
	}
	if (!(is_lasting && topic->is_told) && log_limit_pass(&topic->limit)) {
		topic->is_told |= is_lasting;
		log_warning("handler %s: %s", kafka->name,
			refusal_describe(topic->name, (int)error, text));
	}
}

/* Only the low half of a number passes through the library where pointers have 32 bits. */
static uint64_t report_number(const struct kafka_handler *kafka, const rd_kafka_message_t *report)
{
	uint64_t low = kafka->window.low;

	return low + (uintptr_t)((uintptr_t)report->_private - (uintptr_t)low);
}

/* A message that failed. */
static void settle_failure(struct kafka_handler *kafka, const rd_kafka_message_t *report,
	uint64_t number, struct outcome *outcome)
{
	bool was_sent = rd_kafka_message_status(report) != RD_KAFKA_MSG_STATUS_NOT_PERSISTED;
	struct message message;

	if (report->err == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT) {
		expire(kafka, number, was_sent, outcome);
	} else if (refusal_find(report->err)) {
		refuse(kafka, number, report->err, DROP_REFUSED, outcome);
	} else if (kafka->is_finishing) {
		drop(kafka, number, was_sent ? DROP_UNCONFIRMED : DROP_SHUTDOWN, outcome);
	} else if (kafka->producer.is_failed ||
		   rd_kafka_fatal_error(kafka->producer.library, NULL, 0)) {
		message = message_of_report(report);
		if (message_pack(window_slot(&kafka->window, number), &message, was_sent) < 0)
			drop(kafka, number, DROP_IO, outcome);
	} else {
		refuse(kafka, number, report->err, was_sent ? DROP_UNCONFIRMED : DROP_REFUSED,
			outcome);
	}
}

static void settle_report(
	struct kafka_handler *kafka, const rd_kafka_message_t *report, struct outcome *outcome)
{
	uint64_t number = report_number(kafka, report);
	const struct window_slot *slot = window_slot(&kafka->window, number);
	struct topic *topic;
	uint64_t took_ns;

	kafka->producer.pending--;
	if (!slot)
		return;
	if (report->err) {
		settle_failure(kafka, report, number, outcome);
		return;
	}
	if (window_acknowledge(&kafka->window, number, clock_ns(CLOCK_MONOTONIC), &took_ns))
		outcome_acknowledge(outcome, took_ns);
	kafka->trouble.heard_cause = 0;
	if (kafka->producer.is_failed)
		return;
	producer_acknowledged(&kafka->producer);
	trouble_end(&kafka->trouble);
	topic = slot->object;
	if (topic->refused)
		end_refusal(kafka, topic);
}

static void log_library(struct kafka_handler *kafka, rd_kafka_event_t *event)
{
	const char *facility, *message;
	char text[WHY_MAX];
	int level;

	/* What comes as an error, too, is said there. */
	if (rd_kafka_event_log(event, &facility, &message, &level) < 0 || level > LOG_WARNING ||
		strcmp(facility, "FAIL") == 0 || strcmp(facility, "REQTMOUT") == 0 ||
		strcmp(facility, "SSLCERTVRFY") == 0 || strcmp(facility, "FATAL") == 0 ||
		!log_limit_pass(&kafka->library_limit))
		return;
	log_warning("handler %s: librdkafka: %s", kafka->name, trouble_text(message, text));
}

/* The producer has ended by itself: it gets the time to hear of what is in flight. */
static void begin_failure(struct kafka_handler *kafka)
{
	char reason[WHY_MAX], escaped[WHY_MAX], text[WHY_MAX];
	rd_kafka_resp_err_t error = rd_kafka_fatal_error(
		kafka->producer.library, reason, sizeof(reason));

	if (kafka->producer.is_failed || kafka->is_finishing)
		return;
	producer_fail(
		&kafka->producer, clock_ns(CLOCK_MONOTONIC) + kafka->settings.common.ack_timeout);
	window_disconnected(&kafka->window);
	reason[strcspn(reason, "(")] = '\0'; /* what only the library's authors understand */
	snprintf(text, sizeof(text), "the producer has ended, and is created again: %.150s%s",
		trouble_text(reason, escaped),
		error == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED
			? "; this user needs IdempotentWrite"
			: "");
	trouble_show(&kafka->trouble, error, text);
}

/* What is wrong may be what the producer has read from its files: once these are others, the next
 * one reads them. What this one had is sent again. */
static void renew_producer(struct kafka_handler *kafka)
{
	producer_fail(
		&kafka->producer, clock_ns(CLOCK_MONOTONIC) + kafka->settings.common.ack_timeout);
	window_disconnected(&kafka->window);
	log_notice("handler %s: its files of certificates or of the password have changed, the "
		   "producer is created again",
		kafka->name);
}

/* Remembers what is wrong with a connection, in words that say more of certificates than OpenSSL's
 * own: of a broker's, or of ours that brokers do not accept. */
static void hear(struct kafka_handler *kafka, int error, const char *reason)
{
	const char *found = strstr(reason, ": ");
	int broker = found ? (int)(found - reason) : 0;
	char why[WHY_MAX], text[WHY_MAX], advice[WHY_MAX];

	if (strstr(reason, "certificate verify failed") &&
		producer_certificate_error(&kafka->producer, reason, why)) {
		because(text, 0, "%.*s: the broker's certificate %s", broker, reason, why);
		trouble_hear(&kafka->trouble, error, text, "");
	} else if (strstr(reason, "alert") && certificates_doubt(&kafka->settings, why)) {
		because(advice, 0, "; %s", why);
		trouble_hear(&kafka->trouble, error, reason, advice);
	} else {
		trouble_hear(&kafka->trouble, error, reason, NULL);
	}
}

/* One connection that fails is no trouble as long as others work; once none does, it is. */
static void settle_error(struct kafka_handler *kafka, rd_kafka_event_t *event)
{
	rd_kafka_resp_err_t error = rd_kafka_event_error(event);
	bool nothing_works = error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
	struct trouble *trouble = &kafka->trouble;

	if (rd_kafka_fatal_error(kafka->producer.library, NULL, 0)) {
		begin_failure(kafka);
		return;
	}
	if (!nothing_works || !trouble->heard_cause)
		hear(kafka, (int)error, rd_kafka_event_error_string(event));
	if (nothing_works || trouble->cause)
		trouble_show_heard(trouble, kafka->settings.common.ack_timeout);
}

static void settle_event(
	struct kafka_handler *kafka, rd_kafka_event_t *event, struct outcome *outcome)
{
	const rd_kafka_message_t *report;

	switch (rd_kafka_event_type(event)) {
	case RD_KAFKA_EVENT_DR:
		while ((report = rd_kafka_event_message_next(event)))
			settle_report(kafka, report, outcome);
		break;
	case RD_KAFKA_EVENT_ERROR:
		settle_error(kafka, event);
		break;
	case RD_KAFKA_EVENT_LOG:
		log_library(kafka, event);
		break;
	}
}

/* Does all that the library has for us. */
static void settle_events(struct kafka_handler *kafka, struct outcome *outcome)
{
	rd_kafka_event_t *event;

	while (kafka->producer.library &&
		(event = rd_kafka_queue_poll(kafka->producer.events, 0))) {
		settle_event(kafka, event, outcome);
		rd_kafka_event_destroy(event);
	}
}

/* ---- Producers ---- */

static void start_producer(struct kafka_handler *kafka)
{
	char why[WHY_MAX], text[WHY_MAX];

	if (producer_start(&kafka->producer, why) < 0)
		trouble_show(&kafka->trouble, RD_KAFKA_RESP_ERR__FAIL, trouble_text(why, text));
	else
		window_connected(&kafka->window, clock_ns(CLOCK_MONOTONIC));
}

/* A failed producer that has reported everything makes room for the next one. */
static void step_failure(struct kafka_handler *kafka, struct outcome *outcome, uint64_t now)
{
	if (!producer_has_reported(&kafka->producer, now))
		return;
	topics_release(&kafka->topics);
	producer_replace(&kafka->producer);
	outcome->counted[COUNTED_RESTARTS]++;
}

/* The library counts from when it gets a message: what has waited here as long is not given to it.
 * It has not waited for longer than there was something in the queue, whatever time the clock was
 * set to meanwhile. */
static bool is_expired(const struct kafka_handler *kafka, const struct window_slot *slot,
	const struct message *message)
{
	uint64_t now_ms = clock_ns(CLOCK_REALTIME) / NS_PER_MS;
	uint64_t expire_ms = kafka->settings.expire / NS_PER_MS;

	return expire_ms && now_ms >= (uint64_t)message->timestamp_ms + expire_ms &&
	       clock_ns(CLOCK_MONOTONIC) - slot->since_ns >= kafka->settings.expire;
}

/* Produces one message, for the first time or again. Returns false when the library takes no more
 * now. */
static bool send_one(struct kafka_handler *kafka, uint64_t number, const struct message *message,
	struct outcome *outcome)
{
	struct window_slot *slot = window_slot(&kafka->window, number);
	rd_kafka_resp_err_t error;

	if (kafka->producer.pending >= kafka->settings.common.window)
		return false;
	error = produce(kafka, slot->object, number, message);
	if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL)
		return false;
	if (error == RD_KAFKA_RESP_ERR__FATAL) {
		begin_failure(kafka);
		return false;
	}
	window_sent(&kafka->window, number, clock_ns(CLOCK_MONOTONIC));
	if (error)
		refuse(kafka, number, error, DROP_REFUSED, outcome);
	return true;
}

/* Produces what waits in its slots. */
static void send_waiting(struct kafka_handler *kafka, struct outcome *outcome)
{
	uint64_t number;

	while (!kafka->is_finishing && producer_works(&kafka->producer) &&
		window_next(&kafka->window, clock_ns(CLOCK_MONOTONIC), &number)) {
		struct window_slot *slot = window_slot(&kafka->window, number);
		struct message message = message_unpack(slot);
		bool is_resent = slot->sends > 0;

		if (!send_one(kafka, number, &message, outcome))
			return;
		outcome->counted[COUNTED_RESENT] += is_resent;
		message_forget(slot);
	}
}

/* Drops what has waited in its slot for too long: there may be no producer that would. */
static void expire_waiting(struct kafka_handler *kafka, struct outcome *outcome)
{
	uint64_t end = kafka->settings.expire ? kafka->window.head : 0;

	for (uint64_t number = kafka->window.low; number < end; number++) {
		struct window_slot *slot = window_slot(&kafka->window, number);
		struct message message;

		if (!slot || !slot->is_open || !slot->data)
			continue;
		message = message_unpack(slot);
		if (is_expired(kafka, slot, &message))
			expire(kafka, number, message_was_sent(slot), outcome);
	}
}

/* ---- Looking after it ---- */

/* Whether a broker is connected. Asks it for the topics in use, whose answer nobody waits for. */
static bool is_connected(const struct kafka_handler *kafka)
{
	const struct rd_kafka_metadata *metadata = NULL;
	rd_kafka_resp_err_t error = rd_kafka_metadata(
		kafka->producer.library, 0, NULL, &metadata, 0);

	if (metadata)
		rd_kafka_metadata_destroy(metadata);
	return error != RD_KAFKA_RESP_ERR__TRANSPORT;
}

/* Nothing acknowledged for too long is an error; and one is over when a broker is there, although
 * nothing was sent since. */
static void look(struct kafka_handler *kafka, uint64_t now)
{
	const struct window *window = &kafka->window;
	struct trouble *trouble = &kafka->trouble;

	if (!producer_works(&kafka->producer) || kafka->is_finishing)
		return;
	if (trouble->cause && producer_is_outdated(&kafka->producer)) {
		renew_producer(kafka);
	} else if (window->open) {
		if (!trouble->cause && silence_ns(kafka, now) > kafka->settings.common.ack_timeout)
			trouble_show_heard(trouble, kafka->settings.common.ack_timeout);
	} else if (trouble->cause && trouble->cause != RD_KAFKA_RESP_ERR__TIMED_OUT &&
		   is_connected(kafka)) {
		trouble_end(trouble); /* one that is silent is connected all the time */
	}
}

/* Looks every second while there is something to look for. */
static void tick(struct kafka_handler *kafka, uint64_t now, struct outcome *outcome)
{
	bool is_wanted = kafka->window.open || trouble_is_shown(&kafka->trouble);

	if (kafka->tick_ns && now < kafka->tick_ns)
		return;
	if (kafka->tick_ns) {
		look(kafka, now);
		show_refusal(kafka, now);
		expire_waiting(kafka, outcome);
	}
	kafka->tick_ns = is_wanted ? now + TICK_NS : 0;
}

static void kafka_serve(void *object, struct outcome *outcome)
{
	struct kafka_handler *kafka = object;
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	eventfd_t count;

	eventfd_read(kafka->producer.wake, &count);
	settle_events(kafka, outcome);
	if (kafka->producer.is_failed)
		step_failure(kafka, outcome, now);
	if (producer_is_due(&kafka->producer, now) && !kafka->is_finishing)
		start_producer(kafka);
	send_waiting(kafka, outcome);
	tick(kafka, now, outcome);
}

static uint64_t kafka_deadline(const void *object)
{
	const struct kafka_handler *kafka = object;

	return earlier_ns(producer_deadline(&kafka->producer), kafka->tick_ns);
}

static int kafka_descriptor(const void *object)
{
	return ((const struct kafka_handler *)object)->producer.wake;
}

static bool kafka_ready(const void *object)
{
	const struct kafka_handler *kafka = object;

	return window_room(&kafka->window) >= BATCH_MAX && kafka->window.bytes < HELD_MAX;
}

static uint64_t kafka_held_bytes(const void *object)
{
	return ((const struct kafka_handler *)object)->window.bytes;
}

/* ---- Datagrams ---- */

/* What decides about the partition; "": nothing does. */
static const char *partition_key(const struct kafka_handler *kafka, const struct origin *origin,
	const struct datagram *datagram, char source[static INET6_ADDRSTRLEN])
{
	struct address address;

	switch ((enum partition_key)kafka->settings.partition_key) {
	case PARTITION_BY_SITE:
		return kafka->settings.common.site;
	case PARTITION_BY_GROUP:
		return origin->group;
	case PARTITION_BY_SOURCE:
		address = endpoint_address(&datagram->source);
		return address_format(&address, source);
	case PARTITION_BY_NOTHING:
		break;
	}
	return "";
}

static void deliver_one(struct kafka_handler *kafka, struct topic *topic, const struct batch *batch,
	unsigned i, struct outcome *outcome)
{
	const struct origin *origin = batch->origin;
	const struct datagram *datagram = &batch->datagrams[i];
	char id[ENVELOPE_ID_MAX], from[ENVELOPE_FROM_MAX], source[INET6_ADDRSTRLEN];
	struct message message = {.payload = datagram->size ? datagram->payload : (uint8_t *)"",
		.size = datagram->size,
		.id = id,
		.from = from,
		.timestamp_ms = (int64_t)(datagram->timestamp_ns / NS_PER_MS)};
	uint64_t run, number, next;
	struct window_slot *slot;

	if (numbers_next(kafka->numbers, origin->group, i ? 0 : batch->lost, &run, &number) < 0 ||
		!(slot = window_add(&kafka->window, 0, datagram->size))) {
		outcome->dropped[DROP_IO]++;
		return;
	}
	slot->object = topic;
	slot->since_ns = batch->since_ns;
	if (kafka->settings.common.metadata) {
		message.id_size = envelope_write_id(id, kafka->settings.common.site, run, number);
		message.from_size = envelope_write_from(from, origin, datagram);
	}
	message.key = partition_key(kafka, origin, datagram, source);
	message.key_size = strlen(message.key);
	number = kafka->window.head - 1;
	if (is_expired(kafka, slot, &message)) {
		expire(kafka, number, false, outcome);
		return;
	}
	/* Behind what waits, and in its place. */
	if (window_next(&kafka->window, clock_ns(CLOCK_MONOTONIC), &next) && next == number &&
		send_one(kafka, number, &message, outcome))
		return;
	if (message_pack(slot, &message, false) < 0)
		drop(kafka, number, DROP_IO, outcome);
}

static void kafka_deliver(void *object, const struct batch *batch, struct outcome *outcome)
{
	struct kafka_handler *kafka = object;
	struct topic *topic;

	settle_events(kafka, outcome);
	send_waiting(kafka, outcome);
	topic = topics_find(&kafka->topics, kafka->settings.topic, batch->origin->group);
	if (!topic) {
		outcome->dropped[DROP_IO] += batch->count;
		return;
	}
	for (unsigned i = 0; i < batch->count; i++)
		deliver_one(kafka, topic, batch, i, outcome);
	tick(kafka, clock_ns(CLOCK_MONOTONIC), outcome);
}

/* ---- The end ---- */

static void serve_until(struct kafka_handler *kafka, uint64_t until_ns, struct outcome *outcome)
{
	while ((kafka->is_finishing ? kafka->producer.pending : kafka->window.open) &&
		clock_ns(CLOCK_MONOTONIC) < until_ns) {
		wait_until_ready(
			kafka->producer.wake, POLLIN, earlier_ns(until_ns, kafka_deadline(kafka)));
		kafka_serve(kafka, outcome);
	}
}

/* What is left in the window: it is in no producer. */
static void abandon(struct kafka_handler *kafka, struct outcome *outcome)
{
	unsigned sent;

	for (uint64_t number = kafka->window.low; number < kafka->window.head; number++) {
		const struct window_slot *slot = window_slot(&kafka->window, number);

		if (slot->is_open)
			outcome->dropped[message_was_sent(slot) ? DROP_UNCONFIRMED
								: DROP_SHUTDOWN]++;
	}
	window_abandon(&kafka->window, &sent);
}

static void kafka_finish(void *object, uint64_t until_ns, struct outcome *outcome)
{
	struct kafka_handler *kafka = object;

	serve_until(kafka, until_ns > PURGE_NS ? until_ns - PURGE_NS : 0, outcome);
	kafka->is_finishing = true;
	if (kafka->producer.pending) {
		producer_purge(&kafka->producer);
		serve_until(kafka, clock_ns(CLOCK_MONOTONIC) + PURGE_NS, outcome);
	}
	abandon(kafka, outcome);
	engine_log_unconfirmed(
		kafka->name, outcome->dropped[DROP_UNCONFIRMED], outcome->dropped[DROP_SHUTDOWN]);
}

static void kafka_close(void *object)
{
	struct kafka_handler *kafka = object;

	if (!kafka)
		return;
	topics_release(&kafka->topics);
	producer_close(&kafka->producer);
	topics_clear(&kafka->topics);
	closep(&kafka->producer.wake);
	window_clear(&kafka->window);
	numbers_free(kafka->numbers);
	schema_clear(&kafka_kind.config.schema, &kafka->settings);
	free(kafka);
}
DEFINE_CLEANUP(struct kafka_handler *, kafka_close)

/* The window has room for a batch beyond what the library may have. */
static int prepare(struct kafka_handler *kafka, const struct kafka_settings *settings)
{
	int r = schema_copy(&kafka_kind.config.schema, &kafka->settings, settings);

	if (r < 0)
		return r;
	kafka->numbers = numbers_new();
	if (!kafka->numbers)
		return -ENOMEM;
	return window_init(&kafka->window, (unsigned)settings->common.window + BATCH_MAX, 0);
}

static int kafka_open(const void *object, const struct handler_context *context,
	char why[static WHY_MAX], void **ret)
{
	const struct kafka_settings *settings = object;
	CLEANUP(kafka_closep) struct kafka_handler *kafka = calloc(1, sizeof(*kafka));
	CLEANUP(rd_kafka_conf_destroyp) rd_kafka_conf_t *conf = NULL;
	int r;

	if (!kafka)
		return -ENOMEM;
	producer_init(&kafka->producer, &kafka->settings, context->name);
	kafka->name = context->name;
	kafka->trouble = (struct trouble){
		.name = context->name, .ledger = context->ledger, .object = kafka};
	if (prepare(kafka, settings) < 0)
		return -ENOMEM;
	kafka->producer.wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (kafka->producer.wake < 0)
		return because(why, -errno, "eventfd: %s", strerror(errno));
	/* The same that each producer gets. */
	r = conf_new(settings, context->name, why, &conf);
	if (r >= 0)
		*ret = take(kafka);
	return r;
}

static void kafka_begin(void *object)
{
	start_producer(object);
}

static bool kafka_doubt(const void *settings, char why[static WHY_MAX])
{
	return certificates_doubt(settings, why) || conf_doubt(settings, why);
}

static unsigned kafka_needs(const void *object)
{
	const struct kafka_settings *settings = object;
	unsigned needs = NEED_DATAGRAMS | NEED_TIMESTAMP;

	if (settings->partition_key == PARTITION_BY_SOURCE)
		needs |= NEED_SOURCE;
	return settings->common.metadata ? needs | NEED_ALL : needs;
}

const struct handler_kind engine = {
	.counters = kafka_counters,
	.needs = kafka_needs,
	.open = kafka_open,
	.check_files = certificates_check,
	.doubt = kafka_doubt,
	.begin = kafka_begin,
	.deliver = kafka_deliver,
	.deadline = kafka_deadline,
	.descriptor = kafka_descriptor,
	.serve = kafka_serve,
	.ready = kafka_ready,
	.exclusive = true, /* for the order: what the one before has comes first */
	.held_bytes = kafka_held_bytes,
	.finish = kafka_finish,
	.close = kafka_close,
};
