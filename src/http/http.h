/* The HTTP server: metrics for collectors, and pages for people. It only reads, and is off unless
 * the configuration says where to listen. Whoever can connect may ask. */
#pragma once

#include <sys/types.h>

#include "base/errors.h"
#include "config/config.h"
#include "http/context.h"
#include "net/turns.h"

struct event_base;
struct events;
struct http;

/* What it needs, and must live longer. */
struct http_setup {
	struct event_base *base;
	struct turns *turns; /* answers are made in them */
	pid_t running; /* of a check: the daemon that has this configuration at present; 0: none */
	struct events *events; /* for the status page */
	struct http_context context; /* but for what the server makes: counters, pieces, recent,
				       status */
};

/* Listens nowhere yet. Returns NULL without memory. */
struct http *http_new(const struct http_setup *setup);

/* Closes all connections. Accepts NULL. */
void http_free(struct http *http);

/* Prepares to listen where config says: binds what is new or changed, beside what there is. With
 * dry_run it only checks. After it, http_commit() or http_abandon() must follow. Returns 0, or a
 * negative errno with lines in errors. */
int http_prepare(
	struct http *http, const struct config_http *config, bool dry_run, struct errors *errors);

/* Listens where was prepared, and nowhere else. Connections to what has not changed go on. */
void http_commit(struct http *http);
void http_abandon(struct http *http);

/* Whether it listens anywhere. */
bool http_is_on(const struct http *http);
