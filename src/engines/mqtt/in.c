#include "engines/mqtt/in.h"

#include <errno.h>
#include <mqtt_protocol.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "data/sites.h"

#define SUBSCRIBE_AGAIN_NS (60 * NS_PER_S) /* where the broker does not allow it */

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

struct mqtt_in {
	const struct mqtt_settings *settings;
	const char *name;
	struct connection *connection;
	struct log_limit limit; /* of what the broker refuses */
	struct intake *intake; /* NULL: nothing comes in */
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

/* ---- Messages ---- */

static int push(struct mqtt_in *in, const char *group, const void *payload, uint32_t size)
{
	struct intake_item item = {
		.group = group, .payload = payload, .size = size, .token = in->token + 1};
	int r = intake_push(in->intake, &item);

	if (r >= 0)
		in->token++;
	if (r == -ESHUTDOWN) {
		/* It is acknowledged, and will not come again. */
		intake_drop(in->intake, INTAKE_SHUTDOWN);
		r = 0;
	}
	return r;
}

static void wait_for_room(struct mqtt_in *in, bool waits)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = CONNECTION_OTHER};

	if (in->waits_for_room != waits)
		epoll_ctl(connection_descriptor(in->connection),
			waits ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, intake_done_fd(in->intake), &event);
	in->waits_for_room = waits;
	connection_read(in->connection, !waits);
}

/* Holds a message that found no room, and stops reading. */
static void hold(struct mqtt_in *in, const char *group, const void *payload, uint32_t size)
{
	struct held *held = malloc(sizeof(*held) + size + strlen(group) + 1);

	if (!held) {
		intake_drop(in->intake, INTAKE_SEND);
		return;
	}
	held->next = NULL;
	held->size = size;
	if (size)
		memcpy(held->payload, payload, size);
	held->group = strcpy((char *)held->payload + size, group);
	if (in->last)
		in->last->next = held;
	else
		in->first = held;
	in->last = held;
	wait_for_room(in, true);
}

void mqtt_in_push(struct mqtt_in *in)
{
	struct held *held;

	if (!in->first)
		return;
	intake_done(in->intake); /* so that its descriptor tells what comes after this */
	while ((held = in->first)) {
		if (push(in, held->group, held->payload, held->size) == -EAGAIN)
			return;
		in->first = held->next;
		free(held);
	}
	in->last = NULL;
	wait_for_room(in, false);
}

static int compare_inputs(const void *base, const void *item)
{
	return strcmp(base, ((const struct input *)item)->base);
}

/* The first of the inputs with this base, as groups whose topic has no %g share theirs; or NULL. */
static struct input *find_input(struct mqtt_in *in, const char *base)
{
	size_t at = lower_bound(
		base, in->inputs, in->input_count, sizeof(*in->inputs), compare_inputs);

	return at < in->input_count && !strcmp(in->inputs[at].base, base) ? &in->inputs[at] : NULL;
}

static bool is_wanted_site(const struct mqtt_in *in, const char *site)
{
	const struct string_list *sites = &in->settings->sites;

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
static bool is_new(struct mqtt_in *in, const mosquitto_property *properties, const char *site)
{
	struct envelope_id id;
	int64_t gaps = 0;
	bool is_first;

	if (!read_id(properties, site, &id))
		return true;
	is_first = sites_see(in->sites, id.site, id.run, id.number, &gaps);
	if (gaps)
		intake_count_gaps(in->intake, gaps);
	return is_first;
}

static void give(
	struct mqtt_in *in, const struct input *first, const struct mosquitto_message *message)
{
	const struct input *end = in->inputs + in->input_count;
	uint32_t size = (uint32_t)message->payloadlen;

	for (const struct input *input = first; input < end && !strcmp(input->base, first->base);
		input++)
		if (in->first || push(in, input->group, message->payload, size) == -EAGAIN)
			hold(in, input->group, message->payload, size);
}

/* An earlier session's subscription that nobody wants any more: ends it. The message is lost. A
 * broker that reads nothing gets no more to read. */
static void leave(struct mqtt_in *in, const char *topic, const char *base)
{
	AUTO_FREE char *all = NULL;

	if (in->intake)
		intake_drop(in->intake, INTAKE_SEND);
	if ((in->left && !strcmp(in->left, topic)) || !connection_is_writable(in->connection))
		return;
	free(in->left);
	in->left = strdup(topic);
	connection_unsubscribe(in->connection, topic);
	if (base && asprintf(&all, "%s/+", base) >= 0)
		connection_unsubscribe(in->connection, all);
}

void mqtt_in_message(struct mqtt_in *in, const struct mosquitto_message *message,
	const mosquitto_property *properties)
{
	AUTO_FREE char *base = strdup(message->topic);
	char *slash = base ? strrchr(base, '/') : NULL;
	struct input *input;

	/* What was retained is old. MQTT 3.1.1 cannot ask the broker to leave it out. */
	if (message->retain)
		return;
	if (slash)
		*slash++ = '\0';
	input = slash ? find_input(in, base) : NULL;
	if (!in->intake)
		leave(in, message->topic, base);
	else if (slash && !strcmp(slash, in->settings->common.site))
		intake_drop(in->intake, INTAKE_OWN);
	else if (!input || !is_wanted_site(in, slash))
		leave(in, message->topic, base);
	else if (!is_new(in, properties, slash))
		intake_drop(in->intake, INTAKE_DUPLICATE);
	else if (message->payloadlen > DATAGRAM_MAX)
		intake_drop(in->intake, INTAKE_SIZE);
	else
		give(in, input, message);
}

/* ---- Subscriptions ---- */

static size_t filter_count(const struct mqtt_in *in)
{
	return in->settings->sites.count ? in->settings->sites.count : 1;
}

/* The i-th filter of a base, to be freed; NULL without memory. */
static char *filter(const struct mqtt_in *in, const char *base, size_t i)
{
	const struct string_list *sites = &in->settings->sites;
	char *filter;

	if (asprintf(&filter, "%s/%s", base, sites->count ? sites->items[i] : "+") < 0)
		return NULL;
	return filter;
}

static void unsubscribe(struct mqtt_in *in, const char *base)
{
	for (size_t i = 0; i < filter_count(in); i++) {
		AUTO_FREE char *topics = filter(in, base, i);

		if (topics)
			connection_unsubscribe(in->connection, topics);
	}
}

/* A subscription has failed: that is told once, and it is tried again later. */
static void deny(struct mqtt_in *in, size_t at, const char *why)
{
	AUTO_FREE char *topics = filter(
		in, in->inputs[at / filter_count(in)].base, at % filter_count(in));

	in->denied = at;
	snprintf(in->denial, sizeof(in->denial), "subscribing to %s: %s", topics ? topics : "?",
		why);
	if (!in->subscribe_ns && log_limit_pass(&in->limit))
		log_warning("handler %s: %s", in->name, in->denial);
	in->subscribe_ns = clock_ns(CLOCK_MONOTONIC) + SUBSCRIBE_AGAIN_NS;
}

/* The session may have more than is wanted from an earlier run, for all sites. */
static void subscribe_input(struct mqtt_in *in, size_t at)
{
	const char *base = in->inputs[at].base;
	size_t count = filter_count(in);
	AUTO_FREE char *all = NULL;

	if (in->settings->sites.count && asprintf(&all, "%s/+", base) >= 0)
		connection_unsubscribe(in->connection, all);
	for (size_t i = 0; i < count; i++) {
		AUTO_FREE char *topics = filter(in, base, i);

		if (!topics || connection_subscribe(
				       in->connection, topics, &in->requests[at * count + i]) < 0)
			deny(in, at * count + i, "it could not be sent");
	}
}

void mqtt_in_subscribe_due(struct mqtt_in *in)
{
	bool is_due = in->subscribe_ns && clock_ns(CLOCK_MONOTONIC) >= in->subscribe_ns;

	if (!connection_is_up(in->connection) || (!in->must_subscribe && !is_due))
		return;
	in->must_subscribe = false;
	in->subscribe_ns = 0;
	for (size_t i = 0; i < in->input_count; i++)
		if (!i || strcmp(in->inputs[i - 1].base, in->inputs[i].base) != 0)
			subscribe_input(in, i);
}

/* Requests are answered in their order, nearly always. Returns false for what is none of ours. */
static bool find_request(struct mqtt_in *in, int id, size_t *ret)
{
	size_t count = in->input_count * filter_count(in);

	for (size_t i = 0; i < count; i++) {
		size_t at = (in->answered + i) % count;

		if (in->requests[at] == id) {
			in->answered = at;
			*ret = at;
			return true;
		}
	}
	return false;
}

bool mqtt_in_subscribed(struct mqtt_in *in, int id, int reason)
{
	char why[WHY_MAX];
	size_t at;

	if (!find_request(in, id, &at))
		return false;
	in->requests[at] = 0;
	if (reason < MQTT_RC_UNSPECIFIED) {
		if (!*in->denial || in->denied != at)
			return false;
		*in->denial = '\0';
		log_notice("handler %s: what comes in is taken again", in->name);
		return true;
	}
	snprintf(why, sizeof(why), "the broker refuses: %s", mosquitto_reason_string(reason));
	deny(in, at, why);
	return true;
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
static struct input *inputs_new(const struct mqtt_in *in, const struct string_list *groups)
{
	struct input *inputs = calloc(groups->count + 1, sizeof(*inputs));
	char base[ENGINE_ADDRESS_MAX];

	for (size_t i = 0; inputs && i < groups->count; i++) {
		if (engine_address(base, sizeof(base), in->settings->topic, groups->items[i]) >= 0)
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

void mqtt_in_subscribe(struct mqtt_in *in, const struct string_list *groups)
{
	struct input *inputs = inputs_new(in, groups), *old = in->inputs;
	int *requests = calloc(groups->count * filter_count(in) + 1, sizeof(*requests));
	size_t old_count = in->input_count;

	if (!inputs || !requests) {
		log_error("handler %s: subscribing: out of memory", in->name);
		inputs_free(inputs, groups->count);
		free(requests);
		return;
	}
	free(in->requests);
	in->requests = requests;
	in->answered = 0;
	/* The places are others now. It comes again where it still is so. */
	*in->denial = '\0';
	in->inputs = inputs;
	in->input_count = groups->count;
	in->must_subscribe = true;
	free(take(in->left));
	for (size_t i = 0; i < old_count; i++)
		if (!find_input(in, old[i].base))
			unsubscribe(in, old[i].base);
	inputs_free(old, old_count);
}

/* ---- The end ---- */

void mqtt_in_finish(struct mqtt_in *in, uint64_t until_ns)
{
	if (!in->intake)
		return;
	mqtt_in_push(in);
	while (in->first && clock_ns(CLOCK_MONOTONIC) < until_ns) {
		wait_until_ready(intake_done_fd(in->intake), POLLIN, until_ns);
		mqtt_in_push(in);
	}
	for (struct held *held = in->first; held; held = held->next)
		intake_drop(in->intake, INTAKE_SHUTDOWN);
	intake_end(in->intake);
	intake_wait_empty(in->intake, until_ns);
}

/* ---- State ---- */

void mqtt_in_up(struct mqtt_in *in)
{
	in->must_subscribe = true;
}

void mqtt_in_down(struct mqtt_in *in)
{
	in->subscribe_ns = 0;
}

uint64_t mqtt_in_deadline(const struct mqtt_in *in)
{
	return in->subscribe_ns;
}

const char *mqtt_in_error(const struct mqtt_in *in)
{
	return *in->denial ? in->denial : NULL;
}

struct mqtt_in *mqtt_in_new(const struct mqtt_settings *settings, const char *name,
	struct connection *connection, struct intake *intake)
{
	struct mqtt_in *in = calloc(1, sizeof(*in));

	if (!in)
		return NULL;
	in->settings = settings;
	in->name = name;
	in->connection = connection;
	in->intake = intake;
	in->sites = sites_new();
	if (in->sites)
		return in;
	free(in);
	return NULL;
}

void mqtt_in_free(struct mqtt_in *in)
{
	struct held *held;

	if (!in)
		return;
	while ((held = in->first)) {
		in->first = held->next;
		free(held);
	}
	inputs_free(in->inputs, in->input_count);
	free(in->requests);
	free(in->left);
	sites_free(in->sites);
	free(in);
}
