#include "control/client.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

/* So much input is taken off the socket ahead of what is being looked at. */
#define INPUT_MAX (MESSAGE_MAX + 64 * 1024)

struct client {
	struct client_set *set;
	struct client *next, **link; /* in the set */
	struct bufferevent *stream;
	struct framing framing;
	struct event timer; /* an unfinished message, or a half-closed subscription */
	struct send_waiter waiter;
	struct client_stream *endless; /* NULL: requests are answered one by one */
	uid_t uid;
	char terminator; /* of the request at hand */
	bool oneway; /* the request at hand wants no answer */
	bool ended; /* the client writes no more */
	bool mute; /* the client reads no more: what it asked for is done, and not answered */
	bool reset; /* an error in reading was told once */
	bool closing; /* nothing more is looked at; close when all is written */
};

const struct client_set *client_set(const struct client *client)
{
	return client->set;
}

const struct client *client_next(const struct client *client)
{
	return client->next;
}

uid_t client_uid(const struct client *client)
{
	return client->uid;
}

bool client_is_streaming(const struct client *client)
{
	return client->endless;
}

size_t client_backlog(const struct client *client)
{
	return client->mute ? 0 : evbuffer_get_length(bufferevent_get_output(client->stream));
}

void client_wait(struct client *client, struct sender *busy)
{
	sender_wait(busy, &client->waiter);
}

void client_start_stream(struct client *client, struct client_stream *stream)
{
	client->endless = stream;
}

void client_set_oneway(struct client *client, bool oneway)
{
	client->oneway = oneway;
}

static void write_terminator(struct client *client)
{
	bufferevent_write(client->stream, &client->terminator, 1);
}

static void write_json(struct client *client, json_t *message)
{
	char *string = message ? json_dumps(message, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;

	json_decref(message);
	if (!string) {
		client->closing = true; /* without memory for the answer, none is better than half */
		return;
	}
	bufferevent_write(client->stream, string, strlen(string));
	write_terminator(client);
	free(string);
}

static bool is_silent(const struct client *client)
{
	return client->oneway || client->mute;
}

void client_reply(struct client *client, json_t *parameters)
{
	if (is_silent(client))
		json_decref(parameters);
	else
		write_json(client, json_pack("{so}", "parameters", parameters));
}

void client_fail(struct client *client, const char *error, json_t *parameters)
{
	if (is_silent(client))
		json_decref(parameters);
	else
		write_json(client, json_pack("{ssso}", "error", error, "parameters", parameters));
}

void client_reply_raw(struct client *client, const char *parameters, size_t size, bool continues)
{
	static const char head[] = "{\"parameters\":", more[] = ",\"continues\":true}";
	struct evbuffer *output = bufferevent_get_output(client->stream);

	if (is_silent(client))
		return;
	evbuffer_add(output, head, sizeof(head) - 1);
	evbuffer_add(output, parameters, size);
	if (continues)
		evbuffer_add(output, more, sizeof(more) - 1);
	else
		evbuffer_add(output, "}", 1);
	write_terminator(client);
}

/* Answers about a message that is none. */
static void fail_message(struct client *client, const char *error, json_t *parameters)
{
	client->oneway = false;
	client_fail(client, error, parameters);
}

static enum call_result handle(struct client *client, enum frame_result result, const struct frame *frame)
{
	client->terminator = frame->terminator;
	client->oneway = false;
	if (result == FRAME_MESSAGE)
		return client->set->dispatch(client, frame->message, frame->length);
	fail_message(client, "io.mcastd.MessageTooLarge",
		json_pack("{siss}", "limit", MESSAGE_MAX, "message",
			"a message has at most 131072 bytes, this one was passed over"));
	return CALL_DONE;
}

/* Whether requests may be looked at now. */
static bool is_open(const struct client *client)
{
	return !client->closing && !client->endless && !client->waiter.sender &&
	       client_backlog(client) < OUTPUT_MAX;
}

/* Looks at the requests in data. Returns how many bytes are done with; *ret_rest tells that all whole messages
 * are. */
static size_t handle_messages(struct client *client, const char *data, size_t size, bool *ret_rest)
{
	size_t used = 0;

	*ret_rest = false;
	while (is_open(client)) {
		struct framing before = client->framing;
		enum frame_result result;
		struct frame frame;

		result = (client->ended ? framing_end : framing_next)(
			&client->framing, data + used, size - used, &frame);
		if (result == FRAME_INCOMPLETE) {
			*ret_rest = true;
			return used + frame.consumed;
		}
		if (handle(client, result, &frame) == CALL_RETRY) {
			client->framing = before;
			break;
		}
		used += frame.consumed;
	}
	return used;
}

static void set_timer(struct client *client, bool on, int seconds)
{
	struct timeval interval = {.tv_sec = seconds};

	if (on && !evtimer_pending(&client->timer, NULL))
		evtimer_add(&client->timer, &interval);
	else if (!on)
		evtimer_del(&client->timer);
}

/* Whether the other side has closed its socket, and not only its writing half (poll(2)). */
static bool has_hung_up(struct client *client)
{
	struct pollfd poll_fd = {.fd = bufferevent_getfd(client->stream)};

	return poll(&poll_fd, 1, 0) > 0 && poll_fd.revents & (POLLHUP | POLLERR);
}

/* Looks at what has come in. May free the client. */
static void process(struct client *client)
{
	struct evbuffer *input = bufferevent_get_input(client->stream);
	const char *data = (const char *)evbuffer_pullup(input, -1);
	size_t size = data ? evbuffer_get_length(input) : 0;
	bool rest = false;
	size_t used = handle_messages(client, data ? data : "", size, &rest);

	evbuffer_drain(input, used);
	if (client->endless) {
		set_timer(client, client->ended, 1);
		return;
	}
	if (used)
		set_timer(client, false, 0); /* what is unfinished now has only begun */
	set_timer(client, rest && (used < size || client->framing.discarding) && !client->ended, MESSAGE_SECONDS);
	if (((client->ended && rest) || client->closing) && client_backlog(client) == 0)
		client_free(client);
}

static void on_timer(evutil_socket_t fd, short what, void *argument)
{
	struct client *client = argument;

	(void)fd, (void)what;
	if (client->endless) {
		if (has_hung_up(client))
			client_free(client);
		else
			set_timer(client, true, 1);
		return;
	}
	client->terminator = client->framing.lines ? '\n' : '\0';
	fail_message(client, "io.mcastd.InvalidMessage",
		json_pack("{ss}", "message", "the message did not end within 10 seconds; end it with a line feed or a NUL"));
	client->closing = true;
	bufferevent_disable(client->stream, EV_READ);
	process(client);
}

static void on_read(struct bufferevent *stream, void *argument)
{
	(void)stream;
	process(argument);
}

/* All replies are written: requests that waited for that are looked at, gaps are told. */
static void on_written(struct bufferevent *stream, void *argument)
{
	struct client *client = argument;

	(void)stream;
	if (client->endless)
		client->endless->drained(client->endless);
	else
		process(client);
}

static void on_ready(struct send_waiter *waiter)
{
	process(container_of(waiter, struct client, waiter));
}

/* The end of the input may be a half-close: what was asked is still answered. A client that has gone altogether has
 * asked for it all the same, also when it left answers unread, which is told as an error before the rest can be read. */
static void on_event(struct bufferevent *stream, short what, void *argument)
{
	struct client *client = argument;

	if (what & BEV_EVENT_TIMEOUT || (client->endless && (what & BEV_EVENT_ERROR || has_hung_up(client)))) {
		client_free(client);
		return;
	}
	client->mute = client->mute || what & BEV_EVENT_ERROR || has_hung_up(client);
	if (what & BEV_EVENT_EOF)
		client->ended = true;
	else if (what & BEV_EVENT_READING && !client->reset)
		bufferevent_enable(stream, EV_READ);
	else if (what & BEV_EVENT_READING)
		client->ended = true;
	client->reset = client->reset || what & BEV_EVENT_READING;
	process(client);
}

static void link_client(struct client_set *set, struct client *client)
{
	client->set = set;
	client->next = set->first;
	client->link = &set->first;
	if (client->next)
		client->next->link = &client->next;
	set->first = client;
	set->count++;
}

void client_new(struct client_set *set, int fd, uid_t uid)
{
	static const struct timeval stall = {.tv_sec = STALL_SECONDS};
	struct client *client = calloc(1, sizeof(*client));

	if (client)
		client->stream = bufferevent_socket_new(set->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!client || !client->stream) {
		close(fd);
		free(client);
		return;
	}
	link_client(set, client);
	client->uid = uid;
	client->waiter.ready = on_ready;
	evtimer_assign(&client->timer, set->base, on_timer, client);
	bufferevent_setcb(client->stream, on_read, on_written, on_event, client);
	bufferevent_setwatermark(client->stream, EV_READ, 0, INPUT_MAX);
	bufferevent_set_timeouts(client->stream, NULL, &stall);
	bufferevent_enable(client->stream, EV_READ | EV_WRITE);
}

void client_free(struct client *client)
{
	*client->link = client->next;
	if (client->next)
		client->next->link = client->link;
	client->set->count--;
	if (client->endless)
		client->endless->free(client->endless);
	sender_cancel(&client->waiter);
	evtimer_del(&client->timer);
	bufferevent_free(client->stream);
	free(client);
}
