#include "control/client_state.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* So much is read off the socket at once. */
#define READ_SIZE (16 * 1024)

struct client_set *client_set(const struct client *client)
{
	return client->set;
}

struct user *client_user(const struct client *client)
{
	return client->user;
}

struct outbox *client_output(struct client *client)
{
	return &client->output;
}

void client_wait(struct client *client, struct sender *busy)
{
	sender_wait(busy, &client->waiter);
}

void client_wake(struct client *client)
{
	user_wait(client->user, &client->turn);
}

void client_start_stream(struct client *client, struct client_stream *stream)
{
	client->stream = stream;
	client->set->streaming++;
}

void client_set_timer(struct client *client, bool on, int seconds)
{
	struct timeval interval = {.tv_sec = seconds};

	if (on && !evtimer_pending(&client->timer, NULL))
		evtimer_add(&client->timer, &interval);
	else if (!on)
		evtimer_del(&client->timer);
}

/* Reads once. Returns how many bytes. A client that goes and leaves answers unread resets the
 * connection, which is told once; what it wrote before is still there. */
static size_t receive(struct client *client, char *data, size_t size)
{
	ssize_t n = recv(client->fd, data, size, MSG_DONTWAIT);

	if (n < 0 && errno == ECONNRESET)
		n = recv(client->fd, data, size, MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		client->state = CLIENT_ENDED;
	return n > 0 ? (size_t)n : 0;
}

static void receive_requests(struct client *client)
{
	char *room = text_reserve(&client->input, READ_SIZE);

	if (room)
		client->input.length += receive(client, room, READ_SIZE);
	else
		client->state = CLIENT_ENDED;
}

void client_watch(struct client *client)
{
	static const struct timeval stall = {.tv_sec = STALL_SECONDS};

	if (client->output.size && !event_pending(&client->writable, EV_WRITE, NULL))
		event_add(&client->writable, &stall);
}

size_t client_try(struct client *client, const char *data, size_t size)
{
	size_t n = outbox_try(&client->output, client->fd, data, size);

	if (client->output.broken)
		client_wake(client);
	return n;
}

void client_break(struct client *client)
{
	outbox_break(&client->output);
	client_wake(client);
}

/* Writes what waits. The time that a client may take begins anew with each byte that it reads. */
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

/* Whether the other side has closed its socket, and not only its writing half (poll(2)). */
static bool has_hung_up(const struct client *client)
{
	struct pollfd poll_fd = {.fd = client->fd};

	return poll(&poll_fd, 1, 0) > 0 && poll_fd.revents & (POLLHUP | POLLERR);
}

/* What a subscriber writes is read only so that its end is noticed; there is nothing to wait for
 * once it has closed its writing half, as the socket then is always readable. */
static void serve_stream(struct client *client)
{
	char ignored[READ_SIZE];

	if (client->state == CLIENT_OPEN)
		receive(client, ignored, sizeof(ignored));
	if (client->output.broken || (client->state == CLIENT_ENDED && has_hung_up(client))) {
		client_free(client);
		return;
	}
	client->stream->written(client->stream);
	client_watch(client);
	if (client->state == CLIENT_OPEN)
		event_add(&client->readable, NULL);
	else
		client_set_timer(client, true, 1);
}

/* What comes next for this client. May free it. */
static void settle(struct client *client)
{
	bool finished = client->state == CLIENT_CLOSING ||
			(client->state == CLIENT_ENDED && client->looked);

	if (client->stream)
		client_wake(client);
	else if (finished && !client->output.size)
		client_free(client);
	else if (client->answer ? client_has_room(client)
				: client_is_open(client) && !client->looked)
		client_wake(client);
	else if (!finished && client_is_open(client))
		event_add(&client->readable, NULL);
}

static void serve(struct turn *turn)
{
	struct client *client = container_of(turn, struct client, turn);

	write_out(client);
	if (client->stream) {
		serve_stream(client);
		return;
	}
	client_go_on(client);
	if (client->looked && client->state == CLIENT_OPEN && client_is_open(client))
		receive_requests(client);
	client_look(client);
	write_out(client);
	settle(client);
}

static void on_timer(evutil_socket_t fd, short what, void *argument)
{
	struct client *client = argument;

	(void)fd, (void)what;
	client_wake(client);
	if (client->stream)
		return;
	client->terminator = client->framing.lines ? '\n' : '\0';
	client_fail_message(client, "io.mcastd.InvalidMessage",
		json_pack("{ss}", "message",
			"the message did not end within 10 seconds; end it with a line feed or a "
			"NUL"));
	client->state = CLIENT_CLOSING;
}

static void on_readable(evutil_socket_t fd, short what, void *argument)
{
	(void)fd, (void)what;
	client_wake(argument);
}

static void cut_stalled(struct client *client)
{
	if (log_limit_pass(&client->set->stall_limit))
		log_warning("control socket: a %s of user %u has read nothing for %d s, and is cut",
			client->stream ? "subscriber" : "client", (unsigned)client->user->uid,
			STALL_SECONDS);
	client_free(client);
}

static void on_writable(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	if (what & EV_TIMEOUT)
		cut_stalled(argument);
	else
		client_wake(argument);
}

static void on_ready(struct send_waiter *waiter)
{
	client_wake(container_of(waiter, struct client, waiter));
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
	struct client *client = calloc(1, sizeof(*client));
	struct user *user = client ? user_connect(&set->users, uid) : NULL;

	if (!user) {
		close(fd);
		free(client);
		return;
	}
	link_client(set, client);
	client->user = user;
	client->fd = fd;
	client->looked = true;
	client->turn.serve = serve;
	client->waiter.ready = on_ready;
	outbox_init(&client->output, user);
	evtimer_assign(&client->timer, set->base, on_timer, client);
	event_assign(&client->readable, set->base, fd, EV_READ, on_readable, client);
	event_assign(&client->writable, set->base, fd, EV_WRITE, on_writable, client);
	event_add(&client->readable, NULL);
}

void client_free(struct client *client)
{
	struct client_set *set = client->set;

	*client->link = client->next;
	if (client->next)
		client->next->link = client->link;
	set->count--;
	if (client->stream) {
		set->streaming--;
		client->stream->free(client->stream);
	}
	if (client->answer)
		client->answer->free(client->answer);
	turn_cancel(&client->turn);
	sender_cancel(&client->waiter);
	evtimer_del(&client->timer);
	event_del(&client->readable);
	event_del(&client->writable);
	outbox_clear(&client->output);
	text_free(&client->input);
	close(client->fd);
	user_disconnect(client->user);
	free(client);
}
