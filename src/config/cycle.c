#include "config/cycle.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "config/report.h"

enum visit { NOT_VISITED, ON_THE_WAY, DONE };

struct node {
	const struct config_group *group;
	enum visit visit;
	struct node *before; /* on the way here */
	const char *before_handler; /* through which */
};

struct search {
	const struct config *config;
	struct errors *errors;
	struct node *nodes; /* by address and port */
	size_t count;
};

static int compare_target(
	const struct address *address, int64_t port, const struct config_group *group)
{
	int order = address_compare(address, &group->address);

	return order ? order : (port > group->port) - (port < group->port);
}

static int compare_nodes(const void *a, const void *b)
{
	const struct config_group *left = ((const struct node *)a)->group;

	return compare_target(&left->address, left->port, ((const struct node *)b)->group);
}

/* The first node that a relay's datagrams may get to, by address and port. */
static struct node *first_target(const struct search *search, const struct config_relay *relay)
{
	size_t low = 0, high = search->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_target(&relay->address, relay->port, search->nodes[middle].group) > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return &search->nodes[low];
}

/* Whether the group may receive what is sent out of that interface. Without a list it is on all of
 * them. */
static bool receives_on(const struct config_group *group, const char *interface)
{
	if (!interface || !group->interfaces.count)
		return true;
	for (size_t i = 0; i < group->interfaces.count; i++)
		if (!fnmatch(group->interfaces.items[i], interface, 0))
			return true;
	return false;
}

static void report_cycle(struct search *search, const struct node *start, const struct node *end,
	const char *handler)
{
	struct subject subject = {start->group->place, "groups", start->group->name};
	AUTO_TEXT struct text why = {0}, way = {0};
	const struct node *node = end;

	/* From the end back to the start, each name put before what there is. */
	text_printf(&way, "%s -> %s", handler, start->group->name);
	for (; node != start; node = node->before) {
		AUTO_TEXT struct text longer = {0};

		text_printf(&longer, "%s -> %s -> %s", node->before_handler, node->group->name,
			text_string(&way));
		text_clear(&way);
		text_append(&way, longer.data, longer.length);
	}
	text_printf(&why,
		"feeds itself: %s -> %s; take one of these handlers out, or set its interface",
		start->group->name, text_string(&way));
	report(search->errors, &subject, 0, NULL, text_string(&why));
}

static void visit(struct search *search, struct node *node);

static void follow(struct search *search, struct node *node, const struct config_handler *handler)
{
	struct config_relay relay;
	struct node *end = search->nodes + search->count;

	if (!handler || !handler->kind || !handler->kind->relays ||
		!handler->kind->relays(handler->settings, &relay))
		return;
	for (struct node *next = first_target(search, &relay);
		next < end && !compare_target(&relay.address, relay.port, next->group); next++) {
		if (!receives_on(next->group, relay.interface))
			continue;
		if (next->visit == ON_THE_WAY) {
			report_cycle(search, next, node, handler->name);
		} else if (next->visit == NOT_VISITED) {
			next->before = node;
			next->before_handler = handler->name;
			visit(search, next);
		}
	}
}

/* Depth first: a node that is met again while it is on the way closes a ring. */
static void visit(struct search *search, struct node *node)
{
	const struct string_list *handlers = &node->group->handlers;

	node->visit = ON_THE_WAY;
	for (size_t i = 0; i < handlers->count; i++)
		follow(search, node, config_find_handler(search->config, handlers->items[i]));
	node->visit = DONE;
}

int find_cycles(const struct config *config, struct errors *errors)
{
	struct search search = {.config = config, .errors = errors, .count = config->group_count};

	if (!config->group_count)
		return 0;
	search.nodes = calloc(search.count, sizeof(*search.nodes));
	if (!search.nodes)
		return -ENOMEM;
	for (size_t i = 0; i < search.count; i++)
		search.nodes[i].group = &config->groups[i];
	qsort(search.nodes, search.count, sizeof(*search.nodes), compare_nodes);
	for (size_t i = 0; i < search.count; i++)
		if (search.nodes[i].visit == NOT_VISITED)
			visit(&search, &search.nodes[i]);
	free(search.nodes);
	return 0;
}
