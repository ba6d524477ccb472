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
#include "net/socket_file.h"
#include "net/tcp_holder.h"

/* All connections that are not accepted yet; who finds it full tries again. */
#define BACKLOG 64

#define HEADERS_MAX 8192 /* bytes of a request, with its first line */

/* What the kernel takes of an answer that is not read. */
#define SEND_BUFFER 262144

#define PAUSE_US 100000

/* Of a socket file until it takes the place of another. */
#define UNTIL_BEGIN ".new"

struct http_endpoint {
	struct link link; /* in endpoints */
	struct http_clients *clients;
	struct evhttp *http;
	struct evconnlistener *listener; /* of http */
	struct http_client *next, *accepted; /* for the next connection; of the last one */
	struct event admit, resume;
	struct socket_file file; /* without an inode: TCP */
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

/* Returns a descriptor, or a negative errno with the reason in why. */
static int bind_address(
	const struct listen_address *address, const char *item, char why[static WHY_MAX])
{
	sa_family_t family = address->address.family;
	AUTO_CLOSE int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	union endpoint endpoint;
	socklen_t length = address_to_endpoint(&address->address, address->port, 0, &endpoint);
	int r = fd < 0 ? -errno : set_options(fd, family);

	if (r >= 0 && bind(fd, &endpoint.any, length) < 0)
		r = -errno;
	if (r == -EADDRINUSE)
		return because(why, r,
			"%s: port %u is in use: ss -ltnp sport = %u shows by what; choose another",
			item, address->port, address->port);
	if (r == -EACCES)
		return because(why, r, "%s: %s; choose a port from 1024 on", item, strerror(-r));
	if (r < 0)
		return because(why, r, "%s: %s", item, strerror(-r));
	return take_fd(fd);
}

static int listen_address(
	const struct listen_address *address, const char *item, char why[static WHY_MAX])
{
	AUTO_CLOSE int fd = bind_address(address, item, why);

	if (fd < 0)
		return fd;
	/* Another socket may have been bound, and shared the address until it listened. */
	if (listen(fd, BACKLOG) < 0)
		return because(why, -errno, "%s: %s", item, strerror(errno));
	return take_fd(fd);
}

static int listen_path(struct http_endpoint *endpoint, const struct config_http *config,
	const char *path, bool replaces, char why[static WHY_MAX])
{
	char until_begin[SOCKET_FILE_PATH_MAX];
	const struct principal *group = &config->socket_group;

	if (snprintf(until_begin, sizeof(until_begin), "%s%s", path, replaces ? UNTIL_BEGIN : "") >=
		(int)sizeof(until_begin))
		return because(why, -ENAMETOOLONG,
			"%s: is too long to be changed while the daemon runs; restart it", path);
	return socket_file_bind(
		&(struct socket_file_options){.path = until_begin,
			.type = SOCK_STREAM,
			.mode = (mode_t)config->socket_mode,
			.group = group->kind == PRINCIPAL_GROUP ? group->id : (gid_t)-1,
			.backlog = BACKLOG},
		&endpoint->file, why);
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
	evhttp_set_max_body_size(endpoint->http, 0);
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
	const char *item, bool replaces, char why[static WHY_MAX], struct http_endpoint **ret)
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
	r = address.path ? listen_path(endpoint, config, item, replaces, why)
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
	int r = 0;

	if (endpoint->file.inode && strcmp(endpoint->file.path, endpoint->item))
		r = socket_file_rename(&endpoint->file, endpoint->item);
	if (r < 0)
		log_error("http: %s: cannot take the place of the old socket: %s; restart the "
			  "daemon",
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
	char directory[SOCKET_FILE_PATH_MAX + 1];
	int r = socket_file_check(path, why);

	if (r == -EADDRINUSE && running && socket_file_owner(path, SOCK_STREAM) == running)
		r = 0;
	snprintf(directory, sizeof(directory), "%.*s/", (int)(strrchr(path, '/') - path), path);
	if (r == -ENOENT)
		r = faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) == 0
			    ? 0
			    : because(why, -errno,
				      "%s: %s; make the directory, for the user that the daemon "
				      "runs as, or use another path",
				      path, strerror(errno));
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
