#include "ctl/replay/routes.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "base/json.h"
#include "ctl/targets.h"

static void route_free(struct route *route)
{
	if (!route)
		return;
	transmitter_close(&route->transmitter);
	text_free(&route->parameters);
	free(route);
}
DEFINE_CLEANUP(struct route *, route_free)

/* The name must outlive it. */
static struct route *route_new(const char *name)
{
	struct route *route = malloc(sizeof(*route));

	if (route)
		*route = (struct route){.to.name = name, .transmitter = NO_TRANSMITTER};
	return route;
}

/* To the group of the daemon that the route names. Returns an exit code. */
static int open_group(struct routes *routes, struct route *route)
{
	struct session *session = routes->session;

	session_put_name(session, "group", route->to.name);
	if (routes->ttl->given)
		json_put_number(&session->parameters, "ttl", routes->ttl->number);
	route->parameters = session->parameters;
	session->parameters = (struct text){0};
	route->to.parameters = &route->parameters;
	return session->code;
}

static int open_target(struct routes *routes, const struct target *target, struct route *route)
{
	const struct transmitter_options options = {
		.source_key = "source", .ttl = routes->ttl->given ? (int)routes->ttl->number : -1};

	route->to.transmitter = &route->transmitter;
	return transmitter_open(&route->transmitter, routes->session, target, &options);
}

/* To what a word of the command line names. Returns an exit code. */
static int open_word(struct routes *routes, const char *word, struct route **ret)
{
	AUTO_TARGETS struct targets targets = {0};
	CLEANUP(route_freep) struct route *route = route_new(word);
	int code = route ? targets_read(routes->session, &word, 1, &targets)
			 : session_fail(routes->session, EXIT_REFUSED, "%s", strerror(ENOMEM));

	if (!code)
		code = targets.count ? open_target(routes, targets.items, route)
				     : open_group(routes, route);
	if (!code)
		*ret = take(route);
	return code;
}

/* "233.252.0.1:5004=news". Returns an exit code. */
static int add_map(struct routes *routes, const char *string)
{
	const char *equals = strchr(string, '=');
	struct route_map map = {0};
	int code;

	if (!equals || !equals[1] ||
		end_pattern_parse(string, (size_t)(equals - string), &map.pattern) < 0)
		return session_fail(routes->session, EXIT_MISUSED,
			"--map: '%s' is not an address and a group or TARGET, as "
			"233.252.0.1:5004=news",
			string);
	code = open_word(routes, equals + 1, &map.route);
	if (!code && array_add(&routes->maps, map) < 0) {
		route_free(map.route);
		code = session_fail(routes->session, EXIT_REFUSED, "%s", strerror(ENOMEM));
	}
	return code;
}

static int compare(const void *a, const void *b)
{
	const struct route_group *first = a, *second = b;
	int order = address_compare(&first->address, &second->address);

	return order ? order : first->port - second->port;
}

static int sort_groups(struct routes *routes)
{
	const json_t *list = json_object_get(routes->groups.parameters, "groups"), *group;
	size_t i;

	json_array_foreach(list, i, group)
	{
		const char *address = json_string_value(json_object_get(group, "address"));
		struct route_group item = {
			.port = (uint16_t)json_integer_value(json_object_get(group, "port")),
			.group = group,
		};

		/* That of events has no port. */
		if (!address || address_parse(address, &item.address) < 0 || !item.port)
			continue;
		if (array_add(&routes->by_address, item) < 0)
			return session_fail(routes->session, EXIT_REFUSED, "%s", strerror(ENOMEM));
	}
	if (routes->by_address.count)
		qsort(routes->by_address.items, routes->by_address.count,
			sizeof(*routes->by_address.items), compare);
	return EXIT_DONE;
}

/* A daemon that does not run has no groups, where maps say where to send without it. */
static int read_groups(struct routes *routes)
{
	struct session *session = routes->session;
	int code;

	if (routes->maps.count && routes_transmitter(routes) && !session->socket_given &&
		!session->client && session_open(session) < 0)
		return EXIT_DONE;
	code = session_call(session, "ListGroups", &routes->groups);
	return code ? code : sort_groups(routes);
}

int routes_open(struct routes *routes, struct session *session, const char *word,
	const struct option_value *maps, const struct option_value *ttl)
{
	int code = EXIT_DONE;

	*routes = (struct routes){.session = session, .ttl = ttl};
	for (size_t i = 0; i < maps->count && !code; i++)
		code = add_map(routes, maps->items[i]);
	if (code)
		return code;
	if (!word)
		return read_groups(routes);
	code = open_word(routes, word, &routes->rest);
	if (!code && !routes->maps.count)
		routes->rest->to.name = NULL; /* there is no other one to tell it from */
	return code;
}

void routes_clear(struct routes *routes)
{
	for (size_t i = 0; i < routes->maps.count; i++)
		route_free(routes->maps.items[i].route);
	for (size_t i = 0; i < routes->by_address.count; i++)
		route_free(routes->by_address.items[i].route);
	route_free(routes->rest);
	free(routes->maps.items);
	free(routes->by_address.items);
	reply_clear(&routes->groups);
	*routes = (struct routes){0};
}

struct transmitter *routes_transmitter(const struct routes *routes)
{
	const struct route *rest = routes->rest;
	struct transmitter *transmitter = rest ? rest->to.transmitter : NULL;

	if (routes->by_address.count || (rest && !transmitter))
		return NULL;
	for (size_t i = 0; i < routes->maps.count; i++) {
		transmitter = routes->maps.items[i].route->to.transmitter;
		if (!transmitter)
			return NULL;
	}
	return transmitter;
}

bool routes_are_open(const struct routes *routes)
{
	for (size_t i = 0; i < routes->maps.count; i++)
		if (!routes->maps.items[i].route->is_closed)
			return true;
	for (size_t i = 0; i < routes->by_address.count; i++)
		if (!routes->by_address.items[i].route ||
			!routes->by_address.items[i].route->is_closed)
			return true;
	return routes->rest && !routes->rest->is_closed;
}

/* Whether a group is for this source: the sources of its configuration, as far as they may be seen.
 */
static bool has_source(const json_t *group, const struct address *address)
{
	const json_t *sources = json_object_get(group, "sources"), *source;
	size_t i;

	json_array_foreach(sources, i, source)
	{
		const char *string = json_string_value(source);
		struct address other;

		if (string && address_parse(string, &other) == 0 && address_equal(&other, address))
			return true;
	}
	return false;
}

/* Of the groups of one address and port: that of the source, or the only one. */
static enum route_result choose_group(struct route_group *groups, size_t count,
	const struct address *source, struct route_group **ret)
{
	size_t matching = 0;

	*ret = groups;
	if (count < 2)
		return count ? ROUTE_FOUND : ROUTE_NONE;
	for (size_t i = 0; i < count; i++)
		if (has_source(groups[i].group, source)) {
			*ret = &groups[i];
			matching++;
		}
	return matching == 1 ? ROUTE_FOUND : ROUTE_SEVERAL;
}

static enum route_result find_group(
	struct routes *routes, const struct dissected *datagram, struct route **ret)
{
	const struct route_group key = {
		.address = datagram->destination, .port = datagram->destination_port};
	struct route_groups *all = &routes->by_address;
	size_t first = lower_bound(&key, all->items, all->count, sizeof(*all->items), compare);
	size_t end = first;
	struct route_group *group;
	enum route_result result;

	while (end < all->count && !compare(&key, &all->items[end]))
		end++;
	result = choose_group(all->items + first, end - first, &datagram->source, &group);
	if (result != ROUTE_FOUND)
		return result;
	if (!group->route) {
		const char *name = json_string_value(json_object_get(group->group, "name"));
		CLEANUP(route_freep) struct route *route = route_new(name);

		if (!route)
			session_fail(routes->session, EXIT_REFUSED, "%s", strerror(ENOMEM));
		if (!route || open_group(routes, route))
			return ROUTE_FAILED;
		group->route = take(route);
	}
	*ret = group->route;
	return ROUTE_FOUND;
}

enum route_result routes_find(
	struct routes *routes, const struct dissected *datagram, struct route **ret)
{
	for (size_t i = 0; i < routes->maps.count; i++)
		if (end_pattern_matches(&routes->maps.items[i].pattern, &datagram->destination,
			    datagram->destination_port)) {
			*ret = routes->maps.items[i].route;
			return ROUTE_FOUND;
		}
	*ret = routes->rest;
	return routes->rest ? ROUTE_FOUND : find_group(routes, datagram, ret);
}
