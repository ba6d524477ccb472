#include "control/client.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdarg.h>
#include <sys/socket.h>

#include "base/escape.h"
#include "base/json.h"
#include "control/framing.h"
#include "net/peer.h"

/* Bytes read from the socket at once; and where the user holds too much input already, which is
 * what each connection may have at least. */
#define READ_SIZE (16 * 1024)
#define READ_SIZE_LEAST 1024

/* Connections of all users together. */
#define CLIENTS_MAX 4096

/* A turn serves at most this many messages, and stops after this much output. */
#define MESSAGES_PER_TURN 64
#define OUTPUT_PER_TURN (64 * 1024)

enum client_state {
	CLIENT_OPEN,
	CLIENT_ENDED, /* end of input: what was requested before is still answered */
	CLIENT_CLOSING, /* no more requests; closes once flushed */
};

struct client {
	struct link link; /* in the set */
	struct client_set *set;
	struct slot slot;
	int fd;
	struct peer peer;
	bool has_peer; /* it was read */
	enum client_state state;
	struct turn turn;
	struct event readable, writable;
	struct event timer; /* an unfinished message, or a half-closed subscription */
	struct text input;
	size_t charged; /* to the user, for input */
	struct framing framing;
	struct outbox output;
	struct send_waiter waiter;
	struct answer *answer; /* in progress, or NULL */
	struct client_pending *pending; /* the request that is answered later, or NULL */
	struct client_stream *stream; /* NULL: requests are answered one by one */
	char terminator; /* of the current request */
	bool oneway; /* the current request wants no answer */
	bool input_drained; /* input has no whole message any more */
	bool refused; /* the message that is discarded: its user held too much */
};

struct client_set *client_set(const struct client *client)
{
	return client->set;
}

struct user *client_user(const struct client *client)
{
	return client->slot.user;
}

const struct peer *client_peer(struct client *client)
{
	if (!client->has_peer)
		client->has_peer = peer_read(client->fd, &client->peer) >= 0;
	return client->has_peer ? &client->peer : NULL;
}

char client_terminator(const struct client *client)
{
	return client->terminator;
}

void client_set_oneway(struct client *client, bool oneway)
{
	client->oneway = oneway;
}

struct outbox *client_output(struct client *client)
{
	return &client->output;
}

void client_wait(struct client *client, struct sender *busy)
{
	sender_wait(busy, &client->waiter);
}

void client_wait_for_groups(struct client *client)
{
	groups_wait(client->set->backend->groups, &client->waiter);
}

void client_start_stream(struct client *client, struct client_stream *stream)
{
	client->stream = stream;
	client->set->streaming++;
}

void client_close(struct client *client)
{
	client->state = CLIENT_CLOSING;
}

static void wake(struct client *client)
{
	user_wait(client->slot.user, &client->turn);
}

void client_defer(struct client *client, struct client_pending *pending)
{
	client->pending = pending;
}

void client_resume(struct client *client)
{
	client->pending = NULL;
	wake(client);
}

void client_abort(struct client *client)
{
	outbox_break(&client->output);
	wake(client);
}

size_t client_try(struct client *client, const char *data, size_t size)
{
	size_t n = outbox_try(&client->output, client->fd, data, size);

	if (client->output.broken)
		wake(client);
	return n;
}

void client_watch(struct client *client)
{
	static const struct timeval stall = {.tv_sec = STALL_SECONDS};

	if (client->output.size && !event_pending(&client->writable, EV_WRITE, NULL) &&
		event_add(&client->writable, &stall) < 0)
		client_abort(client);
}

bool client_has_room(const struct client *client)
{
	size_t size = client->output.size;

	return size == 0 ||
	       (size < OUTPUT_MAX && !user_holds_too_much(client->slot.user, MEMORY_OUTPUT));
}

struct text *client_begin_reply(struct client *client)
{
	struct text *text = outbox_begin(&client->output);

	json_put_open(text, NULL, '{');
	json_put_open(text, "parameters", '{');
	return text;
}

struct text *client_begin_error(struct client *client, const char *error)
{
	struct text *text = outbox_begin(&client->output);

	json_put_open(text, NULL, '{');
	json_put_string(text, "error", error);
	json_put_open(text, "parameters", '{');
	return text;
}

/* Without memory for the whole answer, there is none. */
static void end_answer(struct client *client, bool continues)
{
	struct text *text = &client->output.text;

	json_put_close(text, '}');
	if (continues)
		json_put_true(text, "continues");
	json_put_close(text, '}');
	text_append(text, &client->terminator, 1);
	if (client->oneway)
		outbox_cancel(&client->output);
	else if (outbox_end(&client->output) < 0)
		client_close(client);
}

void client_end(struct client *client)
{
	end_answer(client, false);
}

void client_end_message(struct client *client, const char *format, ...)
{
	struct text *text = &client->output.text;
	AUTO_TEXT struct text escaped = {0};
	AUTO_FREE char *message = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&message, format, arguments) < 0)
		text->failed = true;
	va_end(arguments);
	if (message && !utf8_valid(message, strlen(message)))
		text_append_escaped(&escaped, message, strlen(message));
	json_put_string(text, "message", escaped.length ? text_string(&escaped) : message);
	client_end(client);
}

/* Adds a piece of the answer. Without memory the client sees the connection closed in the middle of
 * the answer. */
static void add_piece(struct client *client, bool is_first)
{
	bool is_reply = is_first || client->answer->is_many;
	struct text *text = is_reply ? client_begin_reply(client) : outbox_begin(&client->output);
	bool last = client->answer->next(client->answer, text);

	if (last || client->answer->is_many)
		end_answer(client, !last);
	else if (outbox_end(&client->output) < 0)
		client_close(client);
	if (last || client->state == CLIENT_CLOSING || client->output.broken) {
		struct answer *answer = take(client->answer);

		answer->free(answer);
	}
}

void client_start_answer(struct client *client, struct answer *answer)
{
	if (client->oneway) {
		answer->free(answer);
		return;
	}
	client->answer = answer;
	add_piece(client, true);
}

static void continue_answer(struct client *client)
{
	while (client->answer && client_has_room(client)) {
		add_piece(client, false);
		if (turns_over(&client->slot.user->users->turns))
			break;
	}
}

/* Starts or stops the timer; starting does not prolong one that runs. Returns 0 or -ENOMEM. */
static int set_timer(struct client *client, bool on, int seconds)
{
	struct timeval interval = {.tv_sec = seconds};

	if (!on)
		evtimer_del(&client->timer);
	else if (!evtimer_pending(&client->timer, NULL) &&
		 evtimer_add(&client->timer, &interval) < 0)
		return -ENOMEM;
	return 0;
}

bool client_has_gone(const struct client *client)
{
	return client->output.broken || peer_has_gone(client->fd);
}

/* Reads once, returns how many bytes. A client that goes and leaves answers unread resets the
 * connection; that is reported once, and what it wrote before is still there. One that cannot be
 * answered any more ends where it has written nothing more. */
static size_t receive(struct client *client, char *data, size_t size)
{
	ssize_t n = recv(client->fd, data, size, MSG_DONTWAIT);

	if (n < 0 && errno == ECONNRESET)
		n = recv(client->fd, data, size, MSG_DONTWAIT);
	if (n == 0 || (n < 0 && (client->output.broken || (errno != EAGAIN && errno != EINTR))))
		client->state = CLIENT_ENDED;
	return n > 0 ? (size_t)n : 0;
}

static void receive_requests(struct client *client, size_t size)
{
	char *room;

	if (user_holds_too_much(client->slot.user, MEMORY_INPUT))
		size = READ_SIZE_LEAST;
	room = text_reserve(&client->input, size);
	if (room)
		client->input.length += receive(client, room, size);
	else
		client->state = CLIENT_ENDED;
}

/* Whether requests may be served now. */
static bool is_open(const struct client *client)
{
	return client->state != CLIENT_CLOSING && !client->stream && !client->answer &&
	       !client->pending && !link_is_used(&client->waiter.link) && client_has_room(client);
}

static bool may_continue(const struct client *client, unsigned messages, size_t output)
{
	return messages < MESSAGES_PER_TURN && client->output.size < output + OUTPUT_PER_TURN &&
	       (messages == 0 || !turns_over(&client->slot.user->users->turns));
}

static enum call_result handle(
	struct client *client, enum frame_result result, const struct frame *frame)
{
	client->terminator = frame->terminator;
	client->oneway = false;
	if (result == FRAME_MESSAGE)
		return client->set->dispatch(client, frame->message, frame->length);
	if (client->refused) {
		client->refused = false;
		json_put_number(client_begin_error(client, "io.mcastd.TooMuchInput"), "limit",
			USER_INPUT_MAX);
		client_end_message(client,
			"unfinished messages on all connections of this user took more than %d "
			"bytes, this one was discarded",
			USER_INPUT_MAX);
		return CALL_DONE;
	}
	json_put_number(
		client_begin_error(client, "io.mcastd.MessageTooLarge"), "limit", MESSAGE_MAX);
	client_end_message(
		client, "a message has at most %d bytes, this one was discarded", MESSAGE_MAX);
	return CALL_DONE;
}

/* Serves as many requests as there is time for. Returns how many bytes of input they were. */
static size_t handle_messages(struct client *client)
{
	const char *data = client->input.data ? client->input.data : "";
	size_t size = client->input.length, used = 0, output = client->output.size;

	client->input_drained = false;
	for (unsigned messages = 0; is_open(client) && may_continue(client, messages, output);
		messages++) {
		struct framing before = client->framing;
		enum frame_result result;
		struct frame frame;

		result = (client->state == CLIENT_ENDED ? framing_end : framing_next)(
			&client->framing, data + used, size - used, &frame);
		if (result == FRAME_INCOMPLETE) {
			client->input_drained = true;
			return used + frame.consumed;
		}
		if (handle(client, result, &frame) == CALL_RETRY) {
			client->framing = before;
			return used;
		}
		used += frame.consumed;
	}
	return used;
}

static void charge_input(struct client *client)
{
	user_release(client->slot.user, MEMORY_INPUT, client->charged);
	client->charged = client->input.capacity;
	user_hold(client->slot.user, MEMORY_INPUT, client->charged);
}

static void remove_input(struct client *client, size_t size)
{
	struct text *input = &client->input;

	input->length -= size;
	if (size && input->length)
		memmove(input->data, input->data + size, input->length);
	text_shrink(input);
	charge_input(client);
}

/* The user's unfinished messages take too much: this one makes room. It is answered at its end. */
static void refuse_input(struct client *client)
{
	struct user *user = client->slot.user;

	if (log_limit_pass(&client->set->input_limit))
		log_warning("control socket: discarding a message of uid %u: the unfinished "
			    "messages of this user take %zu bytes",
			(unsigned)user->uid, user->held[MEMORY_INPUT]);
	client->refused = true;
	framing_discard(&client->framing);
	remove_input(client, client->input.length);
}

static bool is_unfinished(const struct client *client)
{
	return client->input_drained && client->state == CLIENT_OPEN && !client->stream &&
	       (client->input.length || client->framing.discarding);
}

/* The timer runs while a message is unfinished. */
static void watch_unfinished(struct client *client)
{
	bool unfinished = is_unfinished(client);

	if (unfinished && client->input.length > READ_SIZE_LEAST &&
		user_holds_too_much(client->slot.user, MEMORY_INPUT))
		refuse_input(client);
	if (set_timer(client, unfinished, MESSAGE_SECONDS) < 0)
		client_close(client);
}

static void serve_requests(struct client *client)
{
	size_t used = handle_messages(client);

	if (used)
		set_timer(client, false, 0); /* an unfinished message is another one now */
	remove_input(client, client->stream ? client->input.length : used);
}

static void free_stream(struct client *client)
{
	struct client_stream *stream = take(client->stream);

	if (!stream)
		return;
	client->set->streaming--;
	stream->free(stream);
}

void client_end_stream(struct client *client)
{
	free_stream(client);
	set_timer(client, false, 0);
	client_close(client);
	client_watch(client);
	wake(client);
}

static void close_connection(struct client_set *set, int fd)
{
	if (set->close)
		set->close(set, fd);
	else
		close(fd);
}

static void client_free(struct client *client)
{
	link_remove(&client->link);
	client->set->count--;
	free_stream(client);
	if (client->answer)
		client->answer->free(client->answer);
	if (client->pending)
		client->pending->gone(client->pending);
	link_remove(&client->turn.link);
	sender_cancel(&client->waiter);
	evtimer_del(&client->timer);
	event_del(&client->readable);
	event_del(&client->writable);
	outbox_clear(&client->output);
	text_free(&client->input);
	peer_clear(&client->peer);
	charge_input(client);
	close_connection(client->set, client->fd);
	slot_leave(&client->slot);
	free(client);
}

/* Whose end was not read yet. */
static bool close_gone(struct slot *slot)
{
	struct client *client = container_of(slot, struct client, slot);

	if (!client->stream && (client->input.length || !peer_has_ended(client->fd)))
		return false;
	client_free(client);
	return true;
}

/* Writes what waits. Each byte that the client reads restarts the time after which it is
 * disconnected. */
static void write_out(struct client *client)
{
	size_t before = client->output.size;

	if (!before)
		return;
	outbox_write(&client->output, client->fd);
	if (client->output.size < before)
		event_del(&client->writable);
	client_watch(client);
}

/* A subscriber's input is read only to notice its end. Once it has closed its writing half the
 * socket is always readable, so a timer takes over. */
static void serve_stream(struct client *client)
{
	char ignored[READ_SIZE];

	if (client->state == CLIENT_OPEN)
		receive(client, ignored, sizeof(ignored));
	if (client->output.broken || (client->state == CLIENT_ENDED && peer_has_gone(client->fd))) {
		client_free(client);
		return;
	}
	client->stream->written(client->stream);
	client_watch(client);
	if ((client->state == CLIENT_OPEN ? event_add(&client->readable, NULL)
					  : set_timer(client, true, 1)) < 0)
		client_free(client);
}

/* Decides what the client waits for next. May free it. */
static void settle(struct client *client)
{
	bool finished = client->state == CLIENT_CLOSING ||
			(client->state == CLIENT_ENDED && client->input_drained);

	if (client->stream)
		wake(client);
	else if (finished && !client->output.size)
		client_free(client);
	else if (client->answer
			 ? client_has_room(client)
			 : is_open(client) && (!client->input_drained || client->output.broken))
		wake(client);
	else if (!finished && is_open(client) && event_add(&client->readable, NULL) < 0)
		client_free(client);
}

static void serve(struct turn *turn)
{
	struct client *client = container_of(turn, struct client, turn);

	write_out(client);
	if (client->stream) {
		serve_stream(client);
		return;
	}
	continue_answer(client);
	if (client->input_drained && client->state == CLIENT_OPEN && is_open(client))
		receive_requests(client, READ_SIZE);
	serve_requests(client);
	/* The rest of a large message is there already, unless the client is slow. */
	if (is_unfinished(client) && is_open(client) && client->input.length >= READ_SIZE) {
		receive_requests(client, MESSAGE_MAX);
		serve_requests(client);
	}
	watch_unfinished(client);
	write_out(client);
	settle(client);
}

static void on_timer(evutil_socket_t fd, short what, void *argument)
{
	struct client *client = argument;

	(void)fd, (void)what;
	wake(client);
	if (client->stream)
		return;
	client->terminator = client->framing.lines ? '\n' : '\0';
	client->oneway = false;
	client_begin_error(client, "io.mcastd.InvalidMessage");
	client_end_message(client,
		"the message did not end within %d seconds; end it with a line feed or a NUL",
		MESSAGE_SECONDS);
	client_close(client);
}

static void on_readable(evutil_socket_t fd, short what, void *argument)
{
	(void)fd, (void)what;
	wake(argument);
}

static void disconnect_stalled(struct client *client)
{
	if (log_limit_pass(&client->set->stall_limit))
		log_warning("control socket: disconnecting a %s of uid %u: no read for %d s",
			client->stream ? "subscriber" : "client", (unsigned)client->slot.user->uid,
			STALL_SECONDS);
	client_free(client);
}

static void on_writable(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	if (what & EV_TIMEOUT)
		disconnect_stalled(argument);
	else
		wake(argument);
}

static void on_ready(struct send_waiter *waiter)
{
	wake(container_of(waiter, struct client, waiter));
}

int client_new(struct client_set *set, int fd, uid_t uid)
{
	struct client *client = calloc(1, sizeof(*client));
	int r = client ? slot_take(&client->slot, &set->slots, set->backend->users, uid, fd)
		       : -ENOMEM;

	if (r < 0) {
		free(client);
		return r;
	}
	list_append(&set->clients, &client->link);
	set->count++;
	client->set = set;
	client->fd = fd;
	client->input_drained = true;
	client->turn.serve = serve;
	client->waiter.ready = on_ready;
	outbox_init(&client->output, client->slot.user);
	evtimer_assign(&client->timer, set->base, on_timer, client);
	event_assign(&client->readable, set->base, fd, EV_READ, on_readable, client);
	event_assign(&client->writable, set->base, fd, EV_WRITE, on_writable, client);
	wake(client); /* most have asked already */
	return 0;
}

void client_set_init(struct client_set *set, struct event_base *base,
	const struct control_backend *backend, client_dispatch dispatch)
{
	*set = (struct client_set){.base = base, .backend = backend, .dispatch = dispatch};
	list_init(&set->clients);
	list_init(&set->fan_outs);
	slots_init(&set->slots, CLIENTS_MAX, close_gone);
}

void client_set_clear(struct client_set *set)
{
	struct client *client;

	list_for_each(client, &set->clients, link)
		client_free(client);
	text_free(&set->formatted);
}
