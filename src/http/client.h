/* The connections to the HTTP server. libevent's evhttp reads the requests and writes the answers;
 * what it leaves open is bounded here:
 *
 * - There are at most CLIENTS_MAX connections. When one more comes, one of whoever has the most is
 *   closed: first one that waits for a request, the longest one. So neither somebody who opens
 *   many, nor one who opens them again and again, keeps others out.
 * - A request must be complete in time, and each piece of an answer must be read in time.
 * - evhttp goes on reading while it writes: at most READ_AHEAD bytes wait here.
 * - evhttp_set_timeout() is not used: a read that times out would end an answer under way.
 * - An answer is begun before the callback of its request returns: until then evhttp ends the
 *   process when more comes in ("illegal connection state").
 * - Pieces are made in turns (net/turns.h), one a round for each connection at most, and only when
 *   the piece before was written. */
#pragma once

#include <event2/http.h>

#include "base/list.h"
#include "base/text.h"
#include "http/context.h"
#include "net/turns.h"

struct http_client;

struct http_clients {
	struct event_base *base;
	struct turns *turns;
	struct link list;
	struct http_context context;
	struct http_counters counters;
	struct loop_meter pieces; /* what making and handing over one takes */
	struct text piece; /* being made */
	struct evbuffer *buffer; /* to hand it over */
};

/* context is copied, but for its counters and pieces. Returns 0 or -ENOMEM. */
int http_clients_init(struct http_clients *clients, struct event_base *base, struct turns *turns,
	const struct http_context *context);
void http_clients_clear(struct http_clients *clients);

/* Makes a client for the next connection, and its bufferevent, so that accepting one takes no
 * memory but evhttp's. NULL without memory. */
struct http_client *http_client_new(struct http_clients *clients);
struct bufferevent *http_client_buffer(struct http_client *client);

/* For a client that has no connection. Accepts NULL. */
void http_client_free(struct http_client *client);

/* evhttp has taken the buffer for a connection, which owns the client from now on. May close this
 * one or another. */
void http_client_admit(struct http_client *client);

/* Answers. checks_host: see struct http_request. */
void http_clients_answer(
	struct http_clients *clients, struct evhttp_request *request, bool checks_host);
