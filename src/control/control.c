#include "control/control.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/json.h"
#include "base/log.h"
#include "control/method.h"
#include "net/listener.h"

/* Connections of all users together, and of one user other than root and the daemon's own: nobody
 * can lock out the others. */
#define CLIENTS_MAX 4096
#define CLIENTS_PER_USER_MAX 1024

/* Reserved for root and the daemon's own user. */
#define CLIENTS_RESERVED 64

/* Everybody may ask for states and counters. Groups have rules of their own (groups/permission.h),
 * and methods that change the daemon require more (method.h). */
#define SOCKET_MODE 0666

struct control {
	struct client_set clients;
	struct listener *listener;
	struct log_limit limit;
};

/* Before the first request the terminator of the client is unknown: LF and NUL serve both. */
static void turn_away(struct control *control, int fd, unsigned limit)
{
	AUTO_TEXT struct text reply = {0};

	json_put_open(&reply, NULL, '{');
	json_put_string(&reply, "error", "io.mcastd.TooManyConnections");
	json_put_open(&reply, "parameters", '{');
	json_put_number(&reply, "limit", limit);
	json_put_string(
		&reply, "message", "too many connections are open, close some that are not needed");
	json_put_close(&reply, '}');
	json_put_close(&reply, '}');
	text_append(&reply, "\n", 2);
	send(fd, reply.data, reply.length, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
	if (log_limit_pass(&control->limit))
		log_warning("control socket: refusing a connection, %u are open", limit);
}

static void on_accept(int fd, void *argument)
{
	struct control *control = argument;
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t length = sizeof(peer);
	bool privileged;

	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length);
	privileged = user_is_privileged(peer.uid);
	if (control->clients.count >= CLIENTS_MAX - (privileged ? 0 : CLIENTS_RESERVED)) {
		turn_away(control, fd, CLIENTS_MAX);
		return;
	}
	if (!privileged && users_count(&control->clients.users, peer.uid) >= CLIENTS_PER_USER_MAX) {
		turn_away(control, fd, CLIENTS_PER_USER_MAX);
		return;
	}
	client_new(&control->clients, fd, peer.uid);
}

int control_new(struct event_base *base, const struct control_backend *backend, const char *path,
	int fd, char why[static WHY_MAX], struct control **ret)
{
	struct listener_options options = {.path = path,
		.type = SOCK_STREAM,
		.mode = SOCKET_MODE,
		.group = (gid_t)-1,
		.fd = fd};
	struct control *control = calloc(1, sizeof(*control));
	int r;

	if (!control)
		return because(why, -ENOMEM, "out of memory");
	client_set_init(&control->clients, base, backend, method_dispatch);
	r = listener_new(base, &options, on_accept, control, why, &control->listener);
	if (r < 0) {
		free(control);
		return r;
	}
	*ret = control;
	return 0;
}

void control_free(struct control *control)
{
	if (!control)
		return;
	client_set_clear(&control->clients);
	listener_free(control->listener);
	free(control);
}
