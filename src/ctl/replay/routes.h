/* Where the datagrams of a capture go: by --map, else to the group or TARGET of the command line,
 * else to the daemon's group of their own address and port. */
#pragma once

#include "ctl/command.h"
#include "ctl/replay/selection.h"
#include "ctl/sender.h"

/* One place to send to. */
struct route {
	struct destination to; /* first: a route is what on_refusal() gets */
	struct text parameters;
	struct transmitter transmitter;
	unsigned said; /* a bit for each kind of refusal that was said */
	bool is_closed; /* it takes nothing */
};

/* All zeros at the start. */
struct routes {
	struct session *session;
	const struct option_value *ttl;
	struct route *rest; /* for what no map has; NULL: the group that has the address */
	struct route_maps {
		struct route_map {
			struct end_pattern pattern;
			struct route *route;
		} * items;
		size_t count;
	} maps;
	struct reply groups; /* of the daemon, where they are of interest */
	struct route_groups {
		struct route_group {
			struct address address;
			uint16_t port;
			const json_t *group; /* in the reply */
			struct route *route; /* NULL: nothing was for it yet */
		} * items; /* by address and port */
		size_t count;
	} by_address;
};

/* word is the group or TARGET, or NULL; of the options, maps is a list. Returns an exit code. */
int routes_open(struct routes *routes, struct session *session, const char *word,
	const struct option_value *maps, const struct option_value *ttl);
void routes_clear(struct routes *routes);

/* The transmitter of any route, where all are targets; NULL: the daemon sends some. */
struct transmitter *routes_transmitter(const struct routes *routes);

/* Whether some route, known or not, is not closed. */
bool routes_are_open(const struct routes *routes);

enum route_result {
	ROUTE_FOUND,
	ROUTE_NONE, /* no group has the address and port */
	ROUTE_SEVERAL, /* several have */
	ROUTE_FAILED, /* said on standard error */
};

enum route_result routes_find(
	struct routes *routes, const struct dissected *datagram, struct route **ret);
