#include "control/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "control/method.h"
#include "net/listener.h"

/* All clients together, and those of one user other than root and the daemon's own: nobody can keep
 * the others out. */
#define CLIENTS_MAX 4096
#define CLIENTS_PER_USER_MAX 1024

/* Kept free for root and the daemon's own user. */
#define CLIENTS_RESERVED 64

/* Whoever may open the socket may send and listen, as any local program may on the network itself;
 * what changes the daemon asks for more (method.h). */
#define SOCKET_MODE 0666

struct control {
	struct client_set clients;
	struct listener *listener;
	struct log_limit limit;
};

/* Before the first request nobody knows which terminator it will use: a line feed and a NUL serve
 * both. */
static void turn_away(struct control *control, int fd, unsigned limit)
{
	char reply[256];
	int length = snprintf(reply, sizeof(reply),
		"{\"error\":\"io.mcastd.TooManyConnections\",\"parameters\":{\"limit\":%u,"
		"\"message\":"
		"\"too many connections are open, close some that are not needed\"}}\n",
		limit);

	send(fd, reply, (size_t)length + 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
	if (log_limit_pass(&control->limit))
		log_warning(
			"control socket: more than %u connections, the next is turned away", limit);
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
		return -ENOMEM;
	control->clients = (struct client_set){
		.base = base, .backend = backend, .dispatch = method_dispatch};
	users_init(&control->clients.users, base);
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
	while (control->clients.first)
		client_free(control->clients.first);
	users_clear(&control->clients.users);
	text_free(&control->clients.press.text);
	listener_free(control->listener);
	free(control);
}
