#include "http/client.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event_struct.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/timer.h"
#include "http/request.h"
#include "net/address.h"
#include "net/peer.h"

#define CLIENTS_MAX 16

/* More than the headers of one request may have (endpoint.c), so that those are always read. */
#define READ_AHEAD 16384

/* Time for the first request of a connection; for the next one, which most collectors send each
 * minute or more often; and for a client to read a piece. */
#define FIRST_S 10
#define IDLE_S 75
#define STALL_S 30

/* Whom a connection is charged to: a local user, or a host. All of 127.0.0.0/8 and ::1 are one, as
 * are the addresses of one network of IPv6. */
struct charged {
	struct address address; /* AF_UNSPEC: a UNIX socket */
	uid_t uid;
};

struct http_client {
	struct link link;
	struct http_clients *clients;
	struct bufferevent *buffer; /* a reference of our own until there is a connection */
	struct evhttp_connection *connection;
	struct evhttp_request *request; /* being answered */
	struct answer *answer; /* what is left of it, or NULL */
	struct event deadline;
	struct turn turn;
	struct charged owner;
	uint64_t since_ns; /* when it began to wait, or its answer began; CLOCK_MONOTONIC */
};

int http_clients_init(struct http_clients *clients, struct event_base *base, struct turns *turns,
	const struct http_context *context)
{
	*clients = (struct http_clients){.base = base, .turns = turns, .context = *context};
	clients->context.counters = &clients->counters;
	clients->context.pieces = &clients->pieces;
	list_init(&clients->list);
	clients->buffer = evbuffer_new();
	return clients->buffer ? 0 : -ENOMEM;
}

void http_clients_clear(struct http_clients *clients)
{
	if (clients->buffer)
		evbuffer_free(take(clients->buffer));
	text_free(&clients->piece);
}

/* ---- Counting ---- */

static void count_answer(struct http_counters *counters, int code)
{
	for (size_t i = 0; i < HTTP_CODES_MAX; i++) {
		if (counters->answers[i].code && counters->answers[i].code != code)
			continue;
		counters->answers[i].code = code;
		counters->answers[i].count++;
		return;
	}
}

/* What evhttp refuses by itself, as a request that is none or that has a body, it only writes. The
 * first that it adds is the status line. */
static void on_output(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *argument)
{
	struct http_client *client = argument;
	char line[sizeof("HTTP/1.1 400")] = "";
	int code;

	if (client->request || info->orig_size || !info->n_added)
		return;
	evbuffer_copyout(buffer, line, sizeof(line) - 1);
	if (sscanf(line, "HTTP/%*1d.%*1d %3d", &code) == 1)
		count_answer(&client->clients->counters, code);
}

/* ---- Beginning and end ---- */

static void set_deadline(struct http_client *client, time_t seconds)
{
	const struct timeval delay = {.tv_sec = seconds};

	timer_start(&client->deadline, &delay);
}

static void wait_for_request(struct http_client *client, time_t seconds)
{
	client->since_ns = clock_ns(CLOCK_MONOTONIC);
	set_deadline(client, seconds);
}

static void free_answer(struct http_client *client)
{
	struct answer *answer = take(client->answer);

	if (answer)
		answer->free(answer);
	link_remove(&client->turn.link);
}

/* The connection is freed after this. A request that evhttp has let go of, since somebody still
 * answers it, is ours. */
static void on_closed(struct evhttp_connection *connection, void *argument)
{
	struct http_client *client = argument;
	struct bufferevent *buffer = evhttp_connection_get_bufferevent(connection);

	evbuffer_remove_cb(bufferevent_get_output(buffer), on_output, client);
	free_answer(client);
	if (client->request && !evhttp_request_get_connection(client->request))
		evhttp_request_free(client->request);
	client->clients->counters.connections--;
	link_remove(&client->link);
	event_del(&client->deadline);
	free(client);
}

static void on_deadline(evutil_socket_t fd, short what, void *argument)
{
	struct http_client *client = argument;

	(void)fd, (void)what;
	client->clients->counters.timed_out++;
	evhttp_connection_free(client->connection);
}

static void serve(struct turn *turn);

struct http_client *http_client_new(struct http_clients *clients)
{
	struct http_client *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	client->buffer = bufferevent_socket_new(clients->base, -1, 0);
	if (!client->buffer) {
		free(client);
		return NULL;
	}
	bufferevent_setcb(client->buffer, NULL, NULL, NULL, client);
	bufferevent_setwatermark(client->buffer, EV_READ, 0, READ_AHEAD);
	if (!evbuffer_add_cb(bufferevent_get_output(client->buffer), on_output, client)) {
		bufferevent_free(client->buffer);
		free(client);
		return NULL;
	}
	client->clients = clients;
	client->turn.serve = serve;
	evtimer_assign(&client->deadline, clients->base, on_deadline, client);
	return client;
}

struct bufferevent *http_client_buffer(struct http_client *client)
{
	bufferevent_incref(client->buffer);
	return client->buffer;
}

void http_client_free(struct http_client *client)
{
	if (!client)
		return;
	bufferevent_free(client->buffer);
	free(client);
}

/* ---- Room ---- */

static struct charged charge_peer(int fd)
{
	struct charged owner = {.uid = (uid_t)-1};
	union endpoint peer = {0};
	socklen_t length = sizeof(peer);

	if (getpeername(fd, &peer.any, &length) < 0 ||
		(peer.any.sa_family != AF_INET && peer.any.sa_family != AF_INET6)) {
		owner.uid = peer_uid(fd);
		return owner;
	}
	owner.address = endpoint_address(&peer);
	if (owner.address.family == AF_INET && ntohl(owner.address.v4.s_addr) >> 24 == 127)
		owner.address.v4.s_addr = htonl(INADDR_LOOPBACK);
	if (owner.address.family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&owner.address.v6))
		owner.address = (struct address){
			.family = AF_INET, .v4.s_addr = htonl(INADDR_LOOPBACK)};
	if (owner.address.family == AF_INET6)
		memset(&owner.address.v6.s6_addr[8], 0, 8);
	return owner;
}

static bool is_same(const struct charged *a, const struct charged *b)
{
	return a->uid == b->uid && address_equal(&a->address, &b->address);
}

static unsigned count_of(const struct http_clients *clients, const struct charged *owner)
{
	struct http_client *client;
	unsigned count = 0;

	list_for_each(client, &clients->list, link)
		count += is_same(&client->owner, owner);
	return count;
}

/* Whether a rather than b is to be closed. */
static bool comes_first(const struct http_client *a, const struct http_client *b)
{
	unsigned left = count_of(a->clients, &a->owner), right = count_of(b->clients, &b->owner);

	if (left != right)
		return left > right;
	if (!a->request != !b->request)
		return !a->request;
	return a->since_ns < b->since_ns;
}

static void make_room(struct http_client *newcomer)
{
	struct http_clients *clients = newcomer->clients;
	struct http_client *client, *first = NULL;

	if (clients->counters.connections <= CLIENTS_MAX)
		return;
	list_for_each(client, &clients->list, link)
		if (client != newcomer && (!first || comes_first(client, first)))
			first = client;
	clients->counters.displaced++;
	evhttp_connection_free(first->connection);
}

/* The connection that evhttp made with the buffer: it is the argument of the buffer's callbacks.
 * That is still the client where evhttp failed before it took the buffer, and NULL where it has
 * freed it. */
static struct evhttp_connection *find_connection(struct http_client *client)
{
	struct bufferevent *buffer = take(client->buffer);
	void *connection = NULL;

	bufferevent_getcb(buffer, NULL, NULL, NULL, &connection);
	if (connection == client) {
		bufferevent_free(buffer);
		connection = NULL;
	}
	bufferevent_decref(buffer);
	return connection;
}

void http_client_admit(struct http_client *client)
{
	struct http_clients *clients = client->clients;
	struct evhttp_connection *connection = find_connection(client);

	if (!connection) {
		free(client);
		return;
	}
	client->connection = connection;
	client->owner = charge_peer(
		bufferevent_getfd(evhttp_connection_get_bufferevent(connection)));
	evhttp_connection_set_closecb(client->connection, on_closed, client);
	list_append(&clients->list, &client->link);
	clients->counters.connections++;
	clients->counters.accepted++;
	wait_for_request(client, FIRST_S);
	make_room(client);
}

/* ---- Answers ---- */

/* The whole answer is written; or evhttp closes the connection next. */
static void on_complete(struct evhttp_request *request, void *argument)
{
	struct http_client *client = argument;

	(void)request;
	client->request = NULL;
	free_answer(client);
	wait_for_request(client, IDLE_S);
}

static void on_written(struct evhttp_connection *connection, void *argument)
{
	struct http_client *client = argument;

	(void)connection;
	if (!client->answer)
		return;
	set_deadline(client, STALL_S);
	turns_wait(client->clients->turns, &client->turn);
}

/* Makes the next piece, and hands it over. May free the client. */
static void send_piece(struct http_clients *clients, struct http_client *client)
{
	struct text *piece = &clients->piece;
	bool last;

	text_clear(piece);
	last = client->answer->next(client->answer, piece);
	evbuffer_drain(clients->buffer, evbuffer_get_length(clients->buffer));
	if (text_failed(piece) || evbuffer_add(clients->buffer, piece->data, piece->length) < 0) {
		evhttp_connection_free(client->connection);
		return;
	}
	clients->counters.sent_bytes += piece->length;
	if (last)
		free_answer(client);
	if (piece->length)
		evhttp_send_reply_chunk_with_cb(
			client->request, clients->buffer, on_written, client);
	else if (!last)
		turns_wait(clients->turns, &client->turn);
	if (last)
		evhttp_send_reply_end(client->request); /* may close the connection */
}

static void serve(struct turn *turn)
{
	struct http_client *client = container_of(turn, struct http_client, turn);
	struct http_clients *clients = client->clients;

	loop_meter_begin(&clients->pieces, clock_ns(CLOCK_THREAD_CPUTIME_ID));
	send_piece(clients, client);
	loop_meter_round(&clients->pieces, clock_ns(CLOCK_THREAD_CPUTIME_ID));
}

static void add_header(struct http_client *client, const char *name, const char *value)
{
	evhttp_add_header(evhttp_request_get_output_headers(client->request), name, value);
}

static void send_error(struct http_client *client, const struct http_verdict *verdict, bool is_head)
{
	struct evbuffer *buffer = client->clients->buffer;

	count_answer(&client->clients->counters, verdict->code);
	evbuffer_drain(buffer, evbuffer_get_length(buffer));
	add_header(client, "Connection", "close");
	add_header(client, "Content-Type", "text/plain; charset=utf-8");
	if (verdict->code == 405)
		add_header(client, "Allow", "GET, HEAD");
	evbuffer_add_printf(
		buffer, "%d %s: %s\n", verdict->code, verdict->reason, verdict->message);
	evhttp_send_reply(client->request, verdict->code, verdict->reason, is_head ? NULL : buffer);
}

static void send_page(struct http_client *client, const struct http_verdict *verdict, bool is_head)
{
	const struct http_page *page = verdict->page;
	static const struct http_verdict busy = {
		.code = 503, .reason = "Service Unavailable", .message = "out of memory"};

	if (!is_head && !(client->answer = page->open(&client->clients->context))) {
		send_error(client, &busy, false);
		return;
	}
	count_answer(&client->clients->counters, verdict->code);
	add_header(client, "Content-Type", page->type);
	if (page->policy)
		add_header(client, "Content-Security-Policy", page->policy);
	evhttp_send_reply_start(client->request, verdict->code, verdict->reason);
	if (is_head)
		evhttp_send_reply_end(client->request);
	else
		turns_wait(client->clients->turns, &client->turn);
}

static struct http_request describe(struct evhttp_request *request, bool checks_host)
{
	struct evkeyvalq *headers = evhttp_request_get_input_headers(request);
	const char *length = evhttp_find_header(headers, "Content-Length");
	struct http_request described = {
		.is_get = evhttp_request_get_command(request) == EVHTTP_REQ_GET,
		.is_head = evhttp_request_get_command(request) == EVHTTP_REQ_HEAD,
		.major = request->major,
		.minor = request->minor,
		.target = evhttp_request_get_uri(request),
		.has_body = evhttp_find_header(headers, "Transfer-Encoding") ||
			    (length && strcmp(length, "0")),
		.checks_host = checks_host,
	};

	for (const struct evkeyval *header = headers->tqh_first; header;
		header = header->next.tqe_next)
		if (!strcasecmp(header->key, "Host")) {
			described.host = header->value;
			described.hosts++;
		}
	return described;
}

/* What evhttp would answer wrongly: in a version that there is none of; in HTTP/1.0, where it gives
 * an answer in pieces a length of zero if the other side wants to keep the connection; and to
 * CONNECT, after which it does not close. */
static void correct(struct evhttp_request *request, const struct http_request *described)
{
	if (described->major != 1 || described->minor < 0)
		request->major = request->minor = 1;
	else if (described->minor == 0)
		evhttp_remove_header(evhttp_request_get_input_headers(request), "Connection");
	if (!described->is_get && !described->is_head)
		request->type = EVHTTP_REQ_GET;
}

static struct http_client *find(
	const struct http_clients *clients, const struct evhttp_connection *connection)
{
	struct http_client *client;

	list_for_each(client, &clients->list, link)
		if (client->connection == connection)
			return client;
	return NULL;
}

void http_clients_answer(
	struct http_clients *clients, struct evhttp_request *request, bool checks_host)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(request);
	struct http_client *client = find(clients, connection);
	struct http_request described;
	struct http_verdict verdict;

	if (!client) {
		evhttp_connection_free(connection);
		return;
	}
	described = describe(request, checks_host);
	verdict = http_judge(&described);
	correct(request, &described);
	client->request = request;
	client->since_ns = clock_ns(CLOCK_MONOTONIC);
	set_deadline(client, STALL_S);
	evhttp_request_set_on_complete_cb(request, on_complete, client);
	add_header(client, "Cache-Control", "no-store");
	add_header(client, "X-Content-Type-Options", "nosniff");
	if (verdict.page)
		send_page(client, &verdict, described.is_head);
	else
		send_error(client, &verdict, described.is_head);
}
