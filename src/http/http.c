#include "http/http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "config/report.h"
#include "http/endpoint.h"
#include "http/recent_events.h"
#include "http/status.h"

/* In the order of the configuration. */
struct endpoints {
	struct http_endpoint **items;
	size_t count;
};

struct http {
	struct http_clients clients;
	struct events *events;
	struct recent_events recent;
	struct status *status;
	pid_t running;
	struct endpoints now;
	struct endpoints wanted; /* prepared: some of those that are there now, and new ones */
	bool senders; /* prepared */
};

static bool contains(const struct endpoints *endpoints, const struct http_endpoint *endpoint)
{
	for (size_t i = 0; i < endpoints->count; i++)
		if (endpoints->items[i] == endpoint)
			return true;
	return false;
}

/* Frees those that are not among the others. */
static void clear(struct endpoints *endpoints, const struct endpoints *others)
{
	for (size_t i = 0; i < endpoints->count; i++)
		if (!contains(others, endpoints->items[i]))
			http_endpoint_free(endpoints->items[i]);
	free(endpoints->items);
	*endpoints = (struct endpoints){0};
}

struct http *http_new(const struct http_setup *setup)
{
	struct http *http = calloc(1, sizeof(*http));
	struct http_context context = setup->context;

	if (!http)
		return NULL;
	http->running = setup->running;
	http->events = setup->events;
	http->status = status_new();
	context.recent = &http->recent;
	context.status = http->status;
	if (!http->status ||
		http_clients_init(&http->clients, setup->base, setup->turns, &context) < 0) {
		status_free(http->status);
		free(http);
		return NULL;
	}
	return http;
}

void http_free(struct http *http)
{
	static const struct endpoints none;

	if (!http)
		return;
	http_abandon(http);
	clear(&http->now, &none);
	http_clients_clear(&http->clients);
	status_free(http->status);
	recent_events_end(&http->recent);
	free(http);
}

static struct http_endpoint *find_same(
	const struct http *http, const struct config_http *config, const char *item)
{
	for (size_t i = 0; i < http->now.count; i++)
		if (http_endpoint_matches(http->now.items[i], config, item))
			return http->now.items[i];
	return NULL;
}

static struct http_endpoint *find_replaced(const struct http *http, const char *item)
{
	for (size_t i = 0; i < http->now.count; i++)
		if (!strcmp(http_endpoint_item(http->now.items[i]), item))
			return http->now.items[i];
	return NULL;
}

/* One item of the list. */
static int prepare(struct http *http, const struct config_http *config, const char *item,
	bool dry_run, char why[static WHY_MAX])
{
	struct http_endpoint *endpoint = find_same(http, config, item);
	bool is_new = !endpoint;
	int r = 0;

	if (is_new && dry_run)
		return find_replaced(http, item)
			       ? 0
			       : http_endpoint_check(config, item, http->running, why);
	if (is_new)
		r = http_endpoint_new(
			&http->clients, config, item, find_replaced(http, item), why, &endpoint);
	if (r >= 0 && array_add(&http->wanted, endpoint) < 0) {
		if (is_new)
			http_endpoint_free(endpoint);
		r = because(why, -ENOMEM, "out of memory");
	}
	return r;
}

int http_prepare(
	struct http *http, const struct config_http *config, bool dry_run, struct errors *errors)
{
	const struct subject subject = {config->place, "http", NULL};
	char why[WHY_MAX];
	int r = 0;

	http->senders = config->senders;
	for (size_t i = 0; i < config->listen.count; i++) {
		int result = prepare(http, config, config->listen.items[i], dry_run, why);

		if (result < 0) {
			config_report(errors, &subject, 0, "listen", "%s", why);
			r = result;
		}
	}
	return r;
}

/* What is kept for the pages, while there are any. */
static void follow(struct http *http)
{
	if (http_is_on(http)) {
		recent_events_begin(&http->recent, http->events);
		return;
	}
	recent_events_end(&http->recent);
	status_forget(http->status);
}

void http_commit(struct http *http)
{
	struct endpoints before = http->now;

	http->now = http->wanted;
	http->wanted = (struct endpoints){0};
	http->clients.context.senders = http->senders;
	for (size_t i = 0; i < http->now.count; i++)
		if (!contains(&before, http->now.items[i]))
			http_endpoint_begin(http->now.items[i]);
	clear(&before, &http->now);
	follow(http);
}

void http_abandon(struct http *http)
{
	clear(&http->wanted, &http->now);
}

bool http_is_on(const struct http *http)
{
	return http->now.count;
}
