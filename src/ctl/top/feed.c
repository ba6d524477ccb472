#include "ctl/top/feed.h"

#include <errno.h>
#include <string.h>

#include "ctl/human.h"

/* For requests that a daemon does not read: nobody who looks at a screen waits longer for a key. */
#define WRITE_NS (200 * NS_PER_MS)

/* The calls of a round, and what is done with their answers. */
struct step {
	const char *method;
	bool is_portioned; /* "more" */
	void (*read)(struct feed *feed, const json_t *answer);
};

static int64_t number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static void copy(char *to, size_t size, const json_t *object, const char *key)
{
	const char *string = json_string_value(json_object_get(object, key));

	snprintf(to, size, "%s", string ? string : "");
}

static void take_status(struct feed *feed, const json_t *answer)
{
	struct daemon_status *status = &feed->status;
	const json_t *memberships = json_object_get(answer, "memberships");

	copy(status->version, sizeof(status->version), answer, "version");
	copy(status->started, sizeof(status->started), answer, "started");
	status->pid = number(answer, "pid");
	status->groups = number(answer, "groups");
	status->handlers = number(answer, "handlers");
	status->joined = number(memberships, "joined");
	status->waiting = number(memberships, "waiting");
	status->failed = number(memberships, "failed");
}

static void take_handlers(struct feed *feed, const json_t *answer)
{
	const json_t *handlers = json_object_get(answer, "handlers");
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);

	for (size_t i = 0; i < json_array_size(handlers); i++)
		model_put_handler(feed->model, json_array_get(handlers, i), now_ns);
}

static void take_groups(struct feed *feed, const json_t *answer)
{
	const json_t *groups = json_object_get(answer, "groups");
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);

	for (size_t i = 0; i < json_array_size(groups); i++)
		model_put_group(feed->model, json_array_get(groups, i), now_ns);
}

static const struct step steps[] = {
	{"GetStatus", false, take_status},
	{"ListHandlers", false, take_handlers},
	{"ListGroups", true, take_groups},
};

/* The round is over, without its end. */
static void fail(struct feed *feed)
{
	feed->is_busy = false;
	model_miss(feed->model);
}

void feed_lose(struct feed *feed, int error)
{
	const char *why = error == -ECONNRESET                         ? "has gone away"
			  : error == -ENOENT || error == -ECONNREFUSED ? "is not there"
			  : error == -EBADMSG ? "does not speak mcastd's protocol"
			  : error == -EAGAIN || error == -ETIMEDOUT ? "does not answer"
								    : strerror(-error);

	client_closep(&feed->client);
	feed->client = NULL;
	/* That it has gone says more than what connecting to it then says. */
	if (!feed->why.length)
		text_append_string(&feed->why, why);
	fail(feed);
}

void feed_begin(struct feed *feed)
{
	struct text *parameters = &feed->session->parameters;
	int r = 0;

	feed->begun_ns = clock_ns(CLOCK_MONOTONIC);
	if (!feed->client)
		r = client_connect_at_once(feed->session->socket, &feed->client);
	if (feed->client)
		client_set_deadline(feed->client, feed->begun_ns + WRITE_NS);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(steps); i++) {
		text_clear(parameters);
		if (steps[i].is_portioned && feed->name_count)
			session_put_names(feed->session, "groups", feed->names, feed->name_count);
		r = client_request(
			feed->client, steps[i].method, parameters, steps[i].is_portioned);
	}
	text_clear(parameters);
	if (r == 0)
		r = client_flush(feed->client);
	if (feed->client)
		client_set_deadline(feed->client, UINT64_MAX); /* others wait for the answers */
	feed->replies = 0;
	feed->is_busy = true;
	model_begin(feed->model);
	if (r < 0)
		feed_lose(feed, r);
}

static int refuse(struct feed *feed, const struct reply *reply)
{
	const char *message = json_string_value(json_object_get(reply->parameters, "message"));

	if (!message)
		message = reply->error;
	text_clear(&feed->why);
	text_append_string(&feed->why, "says: ");
	text_append_shown(&feed->why, message, strlen(message));
	client_closep(&feed->client); /* with the answers that are still to come */
	feed->client = NULL;
	fail(feed);
	return -1;
}

int feed_take(struct feed *feed)
{
	while (feed->is_busy && client_ready(feed->client)) {
		AUTO_REPLY struct reply reply = {0};
		int r = client_receive(feed->client, &reply);

		if (r < 0) {
			feed_lose(feed, r);
			return -1;
		}
		if (reply.error)
			return refuse(feed, &reply);
		steps[feed->replies].read(feed, reply.parameters);
		if (!reply.continues && ++feed->replies == ARRAY_SIZE(steps)) {
			model_end(feed->model);
			feed->is_busy = false;
			feed->answered_ns = clock_ns(CLOCK_MONOTONIC);
			text_clear(&feed->why);
			return 1;
		}
	}
	return 0;
}

void feed_explain(const struct feed *feed, struct text *text)
{
	text_append_string(text, "mcastd at ");
	text_append_shown(text, feed->session->socket, strlen(feed->session->socket));
	text_append(text, " ", 1);
	text_append(text, feed->why.data, feed->why.length);
}

void feed_clear(struct feed *feed)
{
	client_closep(&feed->client);
	text_free(&feed->why);
}
