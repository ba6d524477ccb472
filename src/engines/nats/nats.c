/* nats: datagrams to and from JetStream, or NATS without it.
 *
 * Each datagram is a message of its own that lies in the window (data/window.h) until the stream
 * has stored it: the acknowledgement comes to a subject that ends in the number of its slot. What
 * is sent again has the same Nats-Msg-Id, by which the stream drops what it has already. Without
 * JetStream, the message leaves the window when the kernel has taken it.
 *
 * One thread does all of it (engines/nats/link.h). While messages keep coming it does not wake for
 * each: after a read it leaves the socket alone for a moment. */
#include <errno.h>
#include <inttypes.h>
#include <nats/nats.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "data/numbers.h"
#include "data/window.h"
#include "engines/certificates.h"
#include "engines/keys.h"
#include "engines/nats/api.h"
#include "engines/nats/in.h"
#include "engines/nats/link.h"
#include "engines/nats/order.h"
#include "engines/nats/subjects.h"
#include "engines/nats/trash.h"
#include "engines/nats/trouble.h"
#include "engines/unconfirmed.h"
#include "formats/envelope.h"

#define NAP_NS (500 * 1000) /* after a read, while nobody waits for what comes in */
#define NAP_IN_NS (100 * 1000)
#define UNWRITTEN_MAX (128 * 1024) /* bytes that libnats holds for the kernel, about */
#define REFUSED_NS                                                                    \
	(5 * NS_PER_S) /* how long a subject that is not permitted is not tried again \
			*/
#define SHOWN_NS (10 * NS_PER_S) /* how long what is refused for good is shown */
#define PATIENCE_NS (250 * 1000) /* how long datagrams wait for more, while they keep coming */
#define SILENCES_MAX 3 /* without any answer: then another connection, perhaps another server */

enum { COUNTED_RESENT };

static const char *const nats_counters[] = {"resent", NULL};

struct nats_handler {
	const char *name;
	char *site, *pattern;
	bool is_stored, has_metadata;
	unsigned limit; /* of messages that are sent and not acknowledged */
	struct nats_link *link;
	struct nats_in *in; /* NULL: it imports nothing */
	struct window window; /* slot->object is the message */
	struct numbers *numbers;
	struct subjects subjects;
	char inbox[96];
	char answers_prefix[96 + 8]; /* of an acknowledgement's subject, before its number */
	natsSubscription *answers; /* NULL: there is no connection */
	struct trash trash;
	struct order order;
	uint64_t heard_ns; /* the last answer, or when one was first waited for */
	uint64_t nap_ns; /* until then the socket is left alone; 0: it is watched */
	uint64_t counted_resent;
	struct trouble trouble;
};

static unsigned nats_needs(const void *settings)
{
	return ((const struct nats_settings *)settings)->common.metadata ? NEED_ALL : 0;
}

static void show_error(struct nats_handler *handler, uint64_t now_ns)
{
	trouble_show(&handler->trouble, nats_link_error(handler->link),
		handler->in ? nats_in_error(handler->in) : NULL, now_ns);
}

/* ---- Messages ---- */

/* The message of a datagram, as the slot of this number will have it; NULL without memory. */
static natsMsg *make_message(struct nats_handler *handler, const struct subject *subject,
	const struct batch *batch, const struct datagram *datagram, unsigned lost)
{
	char reply[sizeof(handler->answers_prefix) + 24], id[ENVELOPE_ID_MAX],
		from[ENVELOPE_FROM_MAX];
	uint64_t run, number;
	natsMsg *message = NULL;
	natsStatus status;

	if (numbers_next(handler->numbers, batch->origin->group, lost, &run, &number) < 0)
		return NULL;
	envelope_write_id(id, handler->site, run, number);
	snprintf(reply, sizeof(reply), "%s%" PRIu64, handler->answers_prefix, handler->window.head);
	status = natsMsg_Create(&message, subject->name, handler->is_stored ? reply : NULL,
		(const char *)datagram->payload, (int)datagram->size);
	status = status ? status : natsMsgHeader_Set(message, "Nats-Msg-Id", id);
	if (status == NATS_OK && handler->has_metadata) {
		envelope_write_from(from, batch->origin, datagram);
		status = natsMsgHeader_Set(message, ENVELOPE_FROM, from);
	}
	status = status ? status : order_expect(&handler->order, message);
	if (status != NATS_OK) {
		natsMsg_Destroy(message);
		return NULL;
	}
	order_added(&handler->order, id);
	return message;
}

static void free_message(struct nats_handler *handler, struct window_slot *slot)
{
	trash_add(&handler->trash, slot->object);
	slot->object = NULL;
}

/* It will never be stored. */
static void refuse_for_good(struct nats_handler *handler, uint64_t number, struct outcome *outcome)
{
	struct window_slot *slot = window_slot(&handler->window, number);

	if (!slot || !slot->is_open)
		return;
	order_skip(&handler->order, &handler->window, number);
	free_message(handler, slot);
	if (window_release(&handler->window, number))
		outcome->dropped[DROP_REFUSED]++;
}

static void confirm(
	struct nats_handler *handler, uint64_t number, uint64_t now_ns, struct outcome *outcome)
{
	struct window_slot *slot = window_slot(&handler->window, number);
	uint64_t took_ns;

	/* What was not sent is not acknowledged, whatever the server says. */
	if (!window_acknowledge(&handler->window, number, now_ns, &took_ns))
		return;
	free_message(handler, slot);
	if (handler->is_stored)
		outcome_acknowledge(outcome, took_ns);
	else
		outcome->delivered++;
	trouble_stored(&handler->trouble);
}

/* ---- Answers ---- */

static void take_refusal(struct nats_handler *handler, uint64_t number, const char *json,
	size_t size, uint64_t now_ns, struct outcome *outcome)
{
	struct window_slot *slot = window_slot(&handler->window, number);
	char text[NATS_REASON_MAX];
	const char *subject;
	int code;

	if (!slot || !slot->is_open || !slot->sends)
		return;
	code = nats_api_error(json, size, text);
	subject = natsMsg_GetSubject(slot->object);
	if (code == NATS_ERROR_TOO_LARGE) {
		trouble_refuse(&handler->trouble, now_ns + SHOWN_NS,
			"%s: the stream takes no datagram of %" PRIu32 " bytes: raise its maximum "
			"message size",
			subject, slot->payload);
		refuse_for_good(handler, number, outcome);
		return;
	}
	if (code == NATS_ERROR_LAST_ID)
		order_forget(&handler->window, number);
	else
		trouble_refuse(&handler->trouble, 0, "%s: the server does not store it now: %s",
			subject, text);
	window_refuse(&handler->window, number, now_ns);
}

/* Nobody takes the oldest one; libnats keeps for itself whether it is that. */
static void take_no_responders(struct nats_handler *handler, uint64_t now_ns)
{
	struct window_slot *slot = window_slot(&handler->window, handler->window.low);
	char command[NATS_COMMAND_MAX];

	if (!slot || !slot->is_open || !slot->sends)
		return;
	nats_api_make_command(command, NULL, handler->pattern, NULL);
	trouble_refuse(&handler->trouble, 0,
		"no stream takes %s, or it has no leader at present: if there is none, make one "
		"with \"%s\"",
		natsMsg_GetSubject(slot->object), command);
	window_refuse(&handler->window, handler->window.low, now_ns);
}

/* Returns whether there were any. */
static bool take_answers(struct nats_handler *handler, uint64_t now_ns, struct outcome *outcome)
{
	bool some = false;

	while (handler->answers) {
		natsMsg *message = NULL;
		natsStatus status = natsSubscription_NextMsg(&message, handler->answers, 0);
		const char *json;
		uint64_t number;
		size_t size;

		if (status == NATS_NO_RESPONDERS) {
			take_no_responders(handler, now_ns);
			some = true;
			continue;
		}
		if (status != NATS_OK)
			break;
		json = natsMsg_GetData(message);
		size = (size_t)natsMsg_GetDataLength(message);
		if (nats_api_read_serial(
			    natsMsg_GetSubject(message), handler->answers_prefix, &number) < 0)
			; /* nothing of ours */
		else if (nats_api_is_stored(json, size))
			confirm(handler, number, now_ns, outcome);
		else
			take_refusal(handler, number, json, size, now_ns, outcome);
		trash_add(&handler->trash, message);
		some = true;
	}
	if (some)
		handler->heard_ns = now_ns;
	return some;
}

/* Nothing that was sent to the subject will be stored, nor will be what is sent now. */
static void forbid(struct nats_handler *handler, struct subject *subject, uint64_t now_ns,
	struct outcome *outcome)
{
	subject->refused_until_ns = now_ns + REFUSED_NS;
	for (uint64_t n = handler->window.low; n < handler->window.next; n++) {
		struct window_slot *slot = window_slot(&handler->window, n);

		if (slot && slot->is_open &&
			!strcmp(natsMsg_GetSubject(slot->object), subject->name))
			refuse_for_good(handler, n, outcome);
	}
}

/* Such as: Permissions Violation for Publish to "SUBJECT" */
static void take_objections(struct nats_handler *handler, uint64_t now_ns, struct outcome *outcome)
{
	char text[NATS_WHY_MAX];

	while (nats_link_objection(handler->link, text)) {
		const char *name = strchr(text, '"');
		size_t length = name ? strcspn(name + 1, "\"") : 0;

		if (handler->in && nats_in_release(handler->in, text))
			continue;
		trouble_refuse(&handler->trouble, now_ns + SHOWN_NS,
			"the server does not permit it: %s", text);
		if (!name || (handler->in && nats_in_object(handler->in, text, now_ns)))
			continue;
		for (size_t i = 0; i < handler->subjects.count; i++) {
			struct subject *subject = &handler->subjects.items[i];

			if (strlen(subject->name) == length &&
				!memcmp(subject->name, name + 1, length))
				forbid(handler, subject, now_ns, outcome);
		}
	}
}

/* ---- Sending ---- */

/* Without JetStream: the kernel has all that was sent. */
static void confirm_written(struct nats_handler *handler, uint64_t now_ns, struct outcome *outcome)
{
	if (handler->is_stored || !nats_link_connection(handler->link) ||
		nats_link_unwritten(handler->link))
		return;
	for (uint64_t n = handler->window.low; n < handler->window.next; n++)
		confirm(handler, n, now_ns, outcome);
}

/* Returns whether it is sent, or will never be: then its slot may be gone. */
static bool send_one(
	struct nats_handler *handler, uint64_t number, uint64_t now_ns, struct outcome *outcome)
{
	struct window_slot *slot = window_slot(&handler->window, number);
	natsConnection *connection = nats_link_connection(handler->link);
	natsStatus status = natsConnection_PublishMsg(connection, slot->object);

	switch (status) {
	case NATS_OK:
		if (number == handler->window.low && !slot->sends)
			handler->heard_ns = now_ns;
		window_sent(&handler->window, number, now_ns);
		return true;
	case NATS_MAX_PAYLOAD:
		trouble_refuse(&handler->trouble, now_ns + SHOWN_NS,
			"the server takes no datagram of %" PRIu32 " bytes with its headers: raise "
			"its max_payload, which is %" PRId64,
			slot->payload, natsConnection_GetMaxPayload(connection));
		break;
	case NATS_NO_SERVER_SUPPORT:
		trouble_refuse(&handler->trouble, now_ns + SHOWN_NS,
			"the server knows no headers: use 2.2 or later");
		break;
	case NATS_INVALID_SUBJECT:
		trouble_refuse(&handler->trouble, now_ns + SHOWN_NS, "%s cannot be a subject",
			natsMsg_GetSubject(slot->object));
		break;
	default:
		return false; /* the connection has ended, or there is no memory */
	}
	refuse_for_good(handler, number, outcome);
	return true;
}

static void send_window(struct nats_handler *handler, uint64_t now_ns, struct outcome *outcome)
{
	uint64_t number, size = 0;

	/* Where the kernel has no room, nothing is added to what waits for it. */
	if (!nats_link_connection(handler->link) || !nats_link_flush(handler->link))
		return;
	while (window_next(&handler->window, now_ns, &number)) {
		uint32_t payload = window_slot(&handler->window, number)->payload;

		if (number - handler->window.low >= handler->limit ||
			!send_one(handler, number, now_ns, outcome))
			break;
		size += payload + 256;
		if (size < UNWRITTEN_MAX)
			continue;
		size = 0;
		if (!nats_link_flush(handler->link))
			break;
	}
	nats_link_flush(handler->link);
	confirm_written(handler, now_ns, outcome);
	outcome->counted[COUNTED_RESENT] += handler->window.resent - handler->counted_resent;
	handler->counted_resent = handler->window.resent;
}

/* ---- The connection ---- */

static void connected(struct nats_handler *handler, uint64_t now_ns)
{
	natsConnection *connection = nats_link_connection(handler->link);
	char subject[sizeof(handler->answers_prefix) + 2];

	snprintf(subject, sizeof(subject), "%s*", handler->answers_prefix);
	if (natsConnection_SubscribeSync(&handler->answers, connection, subject) != NATS_OK) {
		nats_link_drop(handler->link, "the server's answers cannot be subscribed to");
		return;
	}
	natsSubscription_SetPendingLimits(handler->answers, -1, -1);
	handler->heard_ns = now_ns;
	if (!nats_link_is_unsteady(handler->link)) {
		trouble_connected(&handler->trouble);
		log_info("handler %s: connected to %s", handler->name,
			nats_link_server(handler->link));
	}
	window_connected(&handler->window, now_ns);
	if (handler->in)
		nats_in_connected(handler->in, connection, now_ns);
}

static void disconnected(struct nats_handler *handler)
{
	natsSubscription_Destroy(take(handler->answers));
	window_disconnected(&handler->window);
	if (handler->in)
		nats_in_disconnected(handler->in);
}

/* A server that takes and says nothing at all is left for another one. */
static uint64_t silence_deadline(const struct nats_handler *handler)
{
	const struct window *window = &handler->window;

	if (!handler->is_stored || !handler->answers || window->next == window->low ||
		nats_link_is_paused(handler->link))
		return 0;
	return handler->heard_ns + SILENCES_MAX * window->silence_ns;
}

static void leave_silent_server(struct nats_handler *handler, uint64_t now_ns)
{
	uint64_t deadline = silence_deadline(handler);

	if (!deadline || now_ns < deadline)
		return;
	disconnected(handler);
	nats_link_drop(handler->link, "the server acknowledges nothing");
}

/* How long the socket may be left alone after a read. */
static uint64_t nap_length(const struct nats_handler *handler)
{
	if (handler->window.open >= handler->limit / 2 || !handler->answers)
		return 0;
	return handler->in && nats_in_is_used(handler->in) ? NAP_IN_NS : NAP_NS;
}

static void nats_serve(void *object, struct outcome *outcome)
{
	struct nats_handler *handler = object;
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	enum nats_change change = nats_link_step(handler->link, now);
	bool some;

	if (change == NATS_UP)
		connected(handler, now);
	else if (change == NATS_DOWN)
		disconnected(handler);
	some = take_answers(handler, now, outcome);
	take_objections(handler, now, outcome);
	if (handler->in) {
		nats_in_step(handler->in, now);
		nats_link_pause_reading(handler->link, nats_in_is_full(handler->in));
	}
	leave_silent_server(handler, now);
	send_window(handler, now, outcome);
	show_error(handler, now);
	if (!handler->window.open)
		trash_empty(&handler->trash);
	handler->nap_ns = some && nap_length(handler) ? now + nap_length(handler) : 0;
}

static void nats_deliver(void *object, const struct batch *batch, struct outcome *outcome)
{
	struct nats_handler *handler = object;
	struct subject *subject = subjects_find(
		&handler->subjects, handler->pattern, handler->site, batch->origin->group);
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	unsigned lost = batch->lost;

	for (unsigned i = 0; i < batch->count; i++) {
		const struct datagram *datagram = &batch->datagrams[i];
		struct window_slot *slot;
		natsMsg *message;

		if (subject && subject->refused_until_ns > now) {
			outcome->dropped[DROP_REFUSED]++;
			lost++;
			continue;
		}
		message = subject ? make_message(handler, subject, batch, datagram, lost) : NULL;
		slot = message ? window_add(&handler->window, 0, datagram->size) : NULL;
		if (!slot) {
			natsMsg_Destroy(message);
			outcome->dropped[DROP_IO]++;
			lost++;
			continue;
		}
		slot->object = message;
		lost = 0;
	}
	send_window(handler, now, outcome);
}

static bool nats_ready(const void *object)
{
	return window_room(&((const struct nats_handler *)object)->window) >= BATCH_MAX;
}

static uint64_t nats_held_bytes(const void *object)
{
	return ((const struct nats_handler *)object)->window.bytes;
}

static uint64_t nats_deadline(const void *object)
{
	const struct nats_handler *handler = object;
	uint64_t deadline = earlier_ns(handler->nap_ns, nats_link_deadline(handler->link));

	deadline = earlier_ns(deadline, window_deadline(&handler->window));
	deadline = earlier_ns(deadline, silence_deadline(handler));
	deadline = earlier_ns(deadline, trouble_deadline(&handler->trouble));
	return handler->in ? earlier_ns(deadline, nats_in_deadline(handler->in)) : deadline;
}

static uint64_t nats_patience(const void *object)
{
	(void)object;
	return PATIENCE_NS;
}

/* While it naps, its deadline wakes it. */
static int nats_descriptor(const void *object)
{
	const struct nats_handler *handler = object;

	return handler->nap_ns ? -1 : nats_link_descriptor(handler->link);
}

/* ---- Beginning and end ---- */

static void nats_begin(void *object)
{
	struct nats_handler *handler = object;

	if (handler->in)
		nats_in_inherit(handler->in, handler->trouble.ledger, clock_ns(CLOCK_MONOTONIC));
	nats_link_begin(handler->link);
}

static void nats_subscribe(void *object, const struct string_list *groups)
{
	struct nats_handler *handler = object;

	if (handler->in)
		nats_in_subscribe(handler->in, groups, clock_ns(CLOCK_MONOTONIC));
}

static bool is_settled(struct nats_handler *handler)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (handler->window.open)
		return false;
	return !handler->in || nats_in_is_settled(handler->in, now);
}

static void nats_finish(void *object, uint64_t until_ns, struct outcome *outcome)
{
	struct nats_handler *handler = object;

	if (handler->in)
		nats_in_stop(handler->in);
	while (!is_settled(handler) && clock_ns(CLOCK_MONOTONIC) < until_ns) {
		wait_until_ready(nats_descriptor(handler), POLLIN,
			earlier_ns(nats_deadline(handler), until_ns));
		nats_serve(handler, outcome);
	}
	if (handler->in)
		nats_in_leave(handler->in, handler->trouble.ledger);
	for (uint64_t n = handler->window.low; n < handler->window.head; n++)
		free_message(handler, window_slot(&handler->window, n));
	engine_drop_window(handler->name, &handler->window, outcome);
}

static void nats_close(void *object)
{
	struct nats_handler *handler = object;

	if (!handler)
		return;
	nats_in_free(handler->in);
	natsSubscription_Destroy(handler->answers);
	for (uint64_t n = handler->window.low; n < handler->window.head; n++)
		free_message(handler, window_slot(&handler->window, n));
	trash_empty(&handler->trash);
	nats_link_free(handler->link);
	window_clear(&handler->window);
	numbers_free(handler->numbers);
	subjects_clear(&handler->subjects);
	free(handler->site), free(handler->pattern);
	free(handler);
}

static int set_up(struct nats_handler *handler, const struct nats_settings *settings,
	struct intake *intake, char why[static WHY_MAX])
{
	uint64_t random;
	int r;

	if (getrandom(&random, sizeof(random), 0) < 0)
		return because(why, -errno, "a random number: %s", strerror(errno));
	snprintf(handler->inbox, sizeof(handler->inbox), "_INBOX.mcastd.%s.%016" PRIx64,
		settings->common.site, random);
	snprintf(handler->answers_prefix, sizeof(handler->answers_prefix), "%s.a.", handler->inbox);
	handler->site = strdup(settings->common.site);
	handler->pattern = strdup(settings->subject);
	handler->numbers = numbers_new();
	if (!handler->site || !handler->pattern || !handler->numbers)
		return -ENOMEM;
	r = window_init(&handler->window, handler->limit + BATCH_MAX,
		handler->is_stored ? settings->common.ack_timeout : 0);
	r = r < 0 ? r : nats_link_new(settings, handler->name, why, &handler->link);
	if (r < 0 || !intake)
		return r;
	handler->in = nats_in_new(settings, handler->name, handler->inbox, intake, &handler->trash);
	if (!handler->in)
		return -ENOMEM;
	r = nats_link_watch(handler->link, intake_done_fd(intake));
	return r < 0 ? because(why, r, "%s", strerror(-r)) : 0;
}

static int nats_open(const void *object, const struct handler_context *context,
	char why[static WHY_MAX], void **ret)
{
	const struct nats_settings *settings = object;
	struct nats_handler *handler = calloc(1, sizeof(*handler));
	int r;

	if (!handler)
		return -ENOMEM;
	handler->name = context->name;
	handler->trouble = (struct trouble){
		.name = context->name, .ledger = context->ledger, .object = handler};
	handler->is_stored = settings->acknowledge == ACKNOWLEDGE_STORED;
	handler->order.is_wanted = settings->ordered;
	handler->has_metadata = settings->common.metadata;
	handler->limit = (unsigned)settings->common.window;
	r = set_up(handler, settings, context->intake, why);
	if (r < 0)
		nats_close(handler);
	else
		*ret = handler;
	return r;
}

const struct handler_kind engine = {
	.counters = nats_counters,
	.needs = nats_needs,
	.open = nats_open,
	.check_files = certificates_check,
	.doubt = certificates_doubt,
	.begin = nats_begin,
	.deliver = nats_deliver,
	.deadline = nats_deadline,
	.descriptor = nats_descriptor,
	.serve = nats_serve,
	.ready = nats_ready,
	.patience = nats_patience,
	.exclusive = true,
	.held_bytes = nats_held_bytes,
	.subscribe = nats_subscribe,
	.finish = nats_finish,
	.close = nats_close,
};
