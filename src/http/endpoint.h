/* One address that the HTTP server listens on, and its evhttp.
 *
 * Connections are accepted one a round of the loop: evhttp would accept as many as come. Its own
 * listener would try again without end when descriptors are short: this one pauses. */
#pragma once

#include "base/errors.h"
#include "base/list.h"
#include "config/config.h"
#include "http/client.h"

struct http_endpoint;

/* Binds, and listens: connections wait until http_endpoint_begin(). replaced is the endpoint that
 * is there for the same item, whose UNIX socket it takes over then; or NULL. Returns 0, or a
 * negative errno with the reason in why. */
int http_endpoint_new(struct http_clients *clients, const struct config_http *config,
	const char *item, struct http_endpoint *replaced, char why[static WHY_MAX],
	struct http_endpoint **ret);

/* Checks all of that which can fail, and leaves nothing behind. running is the daemon that may
 * listen there now; 0: none. */
int http_endpoint_check(const struct config_http *config, const char *item, pid_t running,
	char why[static WHY_MAX]);

/* Accepts connections from now on; the endpoint that it replaces must still be there. Cannot fail.
 */
void http_endpoint_begin(struct http_endpoint *endpoint);

/* Stops listening, and closes all connections that came in here. Accepts NULL. */
void http_endpoint_free(struct http_endpoint *endpoint);

/* Whether it is what this configuration says for an item. */
bool http_endpoint_matches(
	const struct http_endpoint *endpoint, const struct config_http *config, const char *item);

/* The item that it was made for. */
const char *http_endpoint_item(const struct http_endpoint *endpoint);
