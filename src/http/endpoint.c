#include "http/endpoint.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/timer.h"
#include "net/listen_address.h"
#include "net/low_port.h"
#include "net/socket_file.h"
#include "net/tcp_holder.h"

/* All connections that are not accepted yet; who finds it full tries again. */
#define BACKLOG 64

#define HEADERS_MAX 8192 /* bytes of a request, with its first line */

/* A request with a body that is no larger is refused by http_judge(), which says what is wrong with
 * it; evhttp refuses others by itself. */
#define BODY_MAX 4096

/* What the kernel takes of an answer that is not read. */
#define SEND_BUFFER 262144

#define PAUSE_US 100000

struct http_endpoint {
	struct link link; /* in endpoints */
	struct http_clients *clients;
	struct evhttp *http;
	struct evconnlistener *listener; /* of http */
	struct http_client *next, *accepted; /* for the next connection; of the last one */
	struct event admit, resume;
	struct socket_file file; /* without an inode: TCP, or still that of replaced */
	struct http_endpoint *replaced; /* whose socket it has, until it begins */
	bool checks_host;
	char *item;
	int64_t mode;
	struct principal group;
	struct log_limit limit;
};

/* A listener that fails does not tell whose it is: its callback is given the evhttp. */
static struct link endpoints = {&endpoints, &endpoints};

/* ---- Accepting ---- */

static void pause_accepting(struct http_endpoint *endpoint)
{
	static const struct timeval pause = {.tv_usec = PAUSE_US};

	evconnlistener_disable(endpoint->listener);
	timer_start(&endpoint->resume, &pause);
}

static void accept_next(struct http_endpoint *endpoint)
{
	if (!endpoint->next)
		endpoint->next = http_client_new(endpoint->clients);
	if (!endpoint->next || evconnlistener_enable(endpoint->listener) < 0)
		pause_accepting(endpoint);
}

static void on_resume(evutil_socket_t fd, short what, void *argument)
{
	(void)fd, (void)what;
	accept_next(argument);
}

static void on_admit(evutil_socket_t fd, short what, void *argument)
{
	struct http_endpoint *endpoint = argument;

	(void)fd, (void)what;
	http_client_admit(take(endpoint->accepted));
	accept_next(endpoint);
}

/* evhttp asks for the buffer of a connection that was accepted. What its descriptor is, it does not
 * know yet. */
static struct bufferevent *on_accepted(struct event_base *base, void *argument)
{
	struct http_endpoint *endpoint = argument;

	(void)base;
	evconnlistener_disable(endpoint->listener);
	event_active(&endpoint->admit, EV_TIMEOUT, 0);
	endpoint->accepted = take(endpoint->next);
	return http_client_buffer(endpoint->accepted);
}

/* errno is that of accept(2). */
static void on_accept_failed(struct evconnlistener *listener, void *http)
{
	struct http_endpoint *endpoint;
	int error = errno;

	list_for_each(endpoint, &endpoints, link) {
		if (endpoint->listener != listener)
			continue;
		if (log_limit_pass(&endpoint->limit))
			log_warning("http: %s: accepting connections: %s; waiting for a free "
				    "descriptor",
				endpoint->item, strerror(error));
		pause_accepting(endpoint);
	}
	(void)http;
}

static void on_request(struct evhttp_request *request, void *argument)
{
	const struct http_endpoint *endpoint = argument;

	http_clients_answer(endpoint->clients, request, endpoint->checks_host);
}

/* ---- Binding ---- */

static int set_options(int fd, sa_family_t family)
{
	const int on = 1, size = SEND_BUFFER;
	bool is_v6 = family == AF_INET6;

	/* An address may come later than the daemon. Accepted sockets inherit what is set here. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
		setsockopt(fd, is_v6 ? IPPROTO_IPV6 : IPPROTO_IP,
			is_v6 ? IPV6_FREEBIND : IP_FREEBIND, &on, sizeof(on)) < 0 ||
		(is_v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0) ||
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) < 0)
		return -errno;
	return 0;
}

static int set_shared(int fd, bool is_shared)
{
	const int value = is_shared;

	return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* Returns a descriptor, or a negative errno with the reason in why. */
static int bind_address(const struct listen_address *address, const char *item, bool is_shared,
	char why[static WHY_MAX])
{
	sa_family_t family = address->address.family;
	AUTO_CLOSE int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	union endpoint endpoint;
	socklen_t length = address_to_endpoint(&address->address, address->port, 0, &endpoint);
	int r = fd < 0 ? -errno : set_options(fd, family);
	char fix[WHY_MAX];

	if (r >= 0 && is_shared)
		r = set_shared(fd, true);
	if (r >= 0 && bind(fd, &endpoint.any, length) < 0)
		r = -errno;
	if (r == -EADDRINUSE)
		return because(why, r,
			"%s: port %u is in use: ss -ltnp sport = %u shows by what; choose another",
			item, address->port, address->port);
	if (r == -EACCES)
		return because(why, r, "%s: %s; choose a port from 1024 on, or %s", item,
			strerror(-r), low_port_fix(address->port, fix));
	if (r < 0)
		return because(why, r, "%s: %s", item, strerror(-r));
	return take_fd(fd);
}

static int try_to_listen(const struct listen_address *address, const char *item, bool is_shared,
	char why[static WHY_MAX])
{
	AUTO_CLOSE int fd = bind_address(address, item, is_shared, why);

	if (fd < 0)
		return fd;
	/* Another socket may have been bound, and shared the address until it listened. */
	if (listen(fd, BACKLOG) < 0)
		return because(why, -errno, "%s: %s", item, strerror(errno));
	return take_fd(fd);
}

/* Has the other addresses of this server that have the port share it, or no longer. Returns whether
 * there are any. */
static bool share_port(const struct listen_address *address, bool is_shared)
{
	struct http_endpoint *endpoint;
	bool are_any = false;

	list_for_each(endpoint, &endpoints, link) {
		struct listen_address other;
		char why[WHY_MAX];

		if (!endpoint->listener || listen_address_parse(endpoint->item, &other, why) < 0 ||
			other.path || other.port != address->port ||
			address_equal(&other.address, &address->address))
			continue;
		are_any |= set_shared(evconnlistener_get_fd(endpoint->listener), is_shared) >= 0;
	}
	return are_any;
}

/* All addresses of this host and one of them collide, where one of them is to take the place of the
 * other. Then the port is shared for a moment (SO_REUSEPORT, socket(7)): the old one goes on until
 * it is freed, and whatever happens until then, nothing has to be restored. */
static int listen_address(
	const struct listen_address *address, const char *item, char why[static WHY_MAX])
{
	int fd = try_to_listen(address, item, false, why);

	if (fd != -EADDRINUSE || !share_port(address, true))
		return fd;
	fd = try_to_listen(address, item, true, why);
	share_port(address, false);
	if (fd >= 0)
		set_shared(fd, false);
	return fd;
}

static gid_t group_of(const struct http_endpoint *endpoint)
{
	return endpoint->group.kind == PRINCIPAL_GROUP ? endpoint->group.id : (gid_t)-1;
}

static int listen_path(
	struct http_endpoint *endpoint, struct http_endpoint *replaced, char why[static WHY_MAX])
{
	gid_t group = group_of(endpoint);
	int fd;

	if (!replaced || !socket_file_is_there(&replaced->file))
		return socket_file_bind(&(struct socket_file_options){.path = endpoint->item,
						.type = SOCK_STREAM,
						.mode = (mode_t)endpoint->mode,
						.group = group,
						.backlog = BACKLOG},
			&endpoint->file, why);
	if (group != (gid_t)-1 && group != group_of(replaced) &&
		(fd = socket_file_check_group(group, why)) < 0)
		return fd;
	endpoint->replaced = replaced;
	fd = fcntl(evconnlistener_get_fd(replaced->listener), F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? because(why, -errno, "%s: %s", endpoint->item, strerror(errno)) : fd;
}

/* ---- Making one ---- */

/* Takes fd over. */
static int make_server(struct http_endpoint *endpoint, int fd)
{
	struct event_base *base = endpoint->clients->base;
	const unsigned flags = LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_CLOSE_ON_FREE | LEV_OPT_DISABLED;

	endpoint->http = evhttp_new(base);
	endpoint->next = http_client_new(endpoint->clients);
	if (endpoint->http && endpoint->next)
		endpoint->listener = evconnlistener_new(base, NULL, NULL, flags, 0, fd);
	if (!endpoint->listener) {
		close(fd);
		return -ENOMEM;
	}
	if (!evhttp_bind_listener(endpoint->http, endpoint->listener)) {
		evconnlistener_free(endpoint->listener);
		return -ENOMEM;
	}
	evconnlistener_set_error_cb(endpoint->listener, on_accept_failed);
	evhttp_set_max_headers_size(endpoint->http, HEADERS_MAX);
	evhttp_set_max_body_size(endpoint->http, BODY_MAX);
	evhttp_set_allowed_methods(endpoint->http, UINT16_MAX); /* refused by http_judge() */
	evhttp_set_bevcb(endpoint->http, on_accepted, endpoint);
	evhttp_set_gencb(endpoint->http, on_request, endpoint);
	return 0;
}

/* The connections are closed with evhttp. */
void http_endpoint_free(struct http_endpoint *endpoint)
{
	if (!endpoint)
		return;
	if (endpoint->accepted)
		http_client_admit(take(endpoint->accepted));
	event_del(&endpoint->admit);
	event_del(&endpoint->resume);
	if (endpoint->http)
		evhttp_free(endpoint->http);
	http_client_free(endpoint->next);
	if (endpoint->file.inode)
		socket_file_remove(&endpoint->file);
	link_remove(&endpoint->link);
	free(endpoint->item);
	free(endpoint);
}

DEFINE_CLEANUP(struct http_endpoint *, http_endpoint_free)

static struct http_endpoint *allocate(
	struct http_clients *clients, const struct config_http *config, const char *item)
{
	struct http_endpoint *endpoint = calloc(1, sizeof(*endpoint));

	if (!endpoint)
		return NULL;
	endpoint->clients = clients;
	endpoint->mode = config->socket_mode;
	endpoint->group = config->socket_group;
	endpoint->item = strdup(item);
	evtimer_assign(&endpoint->admit, clients->base, on_admit, endpoint);
	evtimer_assign(&endpoint->resume, clients->base, on_resume, endpoint);
	list_append(&endpoints, &endpoint->link);
	return endpoint;
}

int http_endpoint_new(struct http_clients *clients, const struct config_http *config,
	const char *item, struct http_endpoint *replaced, char why[static WHY_MAX],
	struct http_endpoint **ret)
{
	CLEANUP(http_endpoint_freep)
	struct http_endpoint *endpoint = allocate(clients, config, item);
	struct listen_address address;
	int r;

	if (!endpoint || !endpoint->item)
		return because(why, -ENOMEM, "out of memory");
	r = listen_address_parse(item, &address, why);
	if (r < 0)
		return r;
	endpoint->checks_host = listen_address_is_loopback(&address);
	r = address.path ? listen_path(endpoint, replaced, why)
			 : listen_address(&address, item, why);
	if (r < 0)
		return r;
	if (make_server(endpoint, r) < 0)
		return because(why, -ENOMEM, "out of memory");
	*ret = take(endpoint);
	return 0;
}

void http_endpoint_begin(struct http_endpoint *endpoint)
{
	struct http_endpoint *replaced = take(endpoint->replaced);
	int r = 0;

	if (replaced) {
		endpoint->file = replaced->file;
		replaced->file.inode = 0;
		r = socket_file_permit(&endpoint->file, (mode_t)endpoint->mode, group_of(endpoint));
	}
	if (r < 0)
		log_error("http: %s: changing who may connect: %s; restart the daemon",
			endpoint->item, strerror(-r));
	accept_next(endpoint);
}

bool http_endpoint_matches(
	const struct http_endpoint *endpoint, const struct config_http *config, const char *item)
{
	if (strcmp(endpoint->item, item))
		return false;
	return *item != '/' || (endpoint->mode == config->socket_mode &&
				       endpoint->group.kind == config->socket_group.kind &&
				       endpoint->group.id == config->socket_group.id);
}

const char *http_endpoint_item(const struct http_endpoint *endpoint)
{
	return endpoint->item;
}

/* ---- Checking ---- */

static int check_path(
	const struct config_http *config, const char *path, pid_t running, char why[static WHY_MAX])
{
	int r = socket_file_check_new(path, why);

	if (r == -EADDRINUSE && running && socket_file_owner(path, SOCK_STREAM) == running)
		r = 0;
	if (r >= 0 && config->socket_group.kind == PRINCIPAL_GROUP)
		r = socket_file_check_group(config->socket_group.id, why);
	return r;
}

int http_endpoint_check(
	const struct config_http *config, const char *item, pid_t running, char why[static WHY_MAX])
{
	struct listen_address address;
	AUTO_CLOSE int fd = -1;
	int r = listen_address_parse(item, &address, why);

	if (r < 0)
		return r;
	if (address.path)
		return check_path(config, item, running, why);
	fd = listen_address(&address, item, why);
	if (fd == -EADDRINUSE && running &&
		tcp_holder_may_be(&address.address, address.port, running))
		return 0;
	return fd < 0 ? fd : 0;
}
