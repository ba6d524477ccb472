#include "control/control.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/json.h"
#include "base/log.h"
#include "control/method.h"
#include "net/listener.h"
#include "net/peer.h"

/* Everybody may ask for states and counters. Groups have rules of their own (groups/permission.h),
 * and methods that change the daemon require more (method.h). */
#define SOCKET_MODE 0666

struct control {
	struct client_set clients;
	struct turns accepting;
	struct listener *listener;
	struct log_limit limit;
};

/* Before the first request the terminator of the client is unknown: LF and NUL serve both. */
static void turn_away(struct control *control, int fd, uid_t uid, int r)
{
	unsigned own = users_count(control->clients.backend->users, uid);
	AUTO_TEXT struct text reply = {0};

	json_put_open(&reply, NULL, '{');
	json_put_string(&reply, "error", "io.mcastd.TooManyConnections");
	json_put_open(&reply, "parameters", '{');
	json_put_number(&reply, "limit", own);
	json_put_string(
		&reply, "message", "too many connections are open, close some that are not needed");
	json_put_close(&reply, '}');
	json_put_close(&reply, '}');
	text_append(&reply, "\n", 2);
	send(fd, reply.data, reply.length, MSG_DONTWAIT | MSG_NOSIGNAL);
	listener_close(control->listener, fd);
	if (log_limit_pass(&control->limit))
		log_warning("control socket: refusing a connection of uid %u, which has %u: %s",
			(unsigned)uid, own, slot_explain(&control->clients.slots, r));
}

static void on_accept(int fd, void *argument)
{
	struct control *control = argument;
	uid_t uid = peer_uid(fd);
	int r;

	if (peer_has_ended(fd)) { /* and asked nothing */
		listener_close(control->listener, fd);
		return;
	}
	r = client_new(&control->clients, fd, uid);
	if (r == -EUSERS || r == -EMFILE)
		turn_away(control, fd, uid, r);
	else if (r < 0)
		listener_close(control->listener, fd);
}

static void close_client(struct client_set *clients, int fd)
{
	listener_close(container_of(clients, struct control, clients)->listener, fd);
}

int control_new(struct event_base *base, const struct control_backend *backend, const char *path,
	int fd, char why[static WHY_MAX], struct control **ret)
{
	struct listener_options options = {.path = path,
		.type = SOCK_STREAM,
		.mode = SOCKET_MODE,
		.group = (gid_t)-1,
		.fd = fd,
		.spare = true};
	struct control *control = calloc(1, sizeof(*control));
	int r;

	if (!control)
		return because(why, -ENOMEM, "out of memory");
	client_set_init(&control->clients, base, backend, method_dispatch);
	control->clients.close = close_client;
	turns_init(&control->accepting, base, true);
	options.turns = &control->accepting;
	r = listener_new(base, &options, on_accept, why, &control->listener);
	if (r < 0) {
		free(control);
		return r;
	}
	listener_begin(control->listener, control);
	*ret = control;
	return 0;
}

void control_free(struct control *control)
{
	if (!control)
		return;
	client_set_clear(&control->clients);
	listener_free(control->listener);
	turns_clear(&control->accepting);
	free(control);
}

struct control_count control_count(const struct control *control)
{
	if (!control)
		return (struct control_count){0};
	return (struct control_count){control->clients.count, control->clients.streaming};
}
