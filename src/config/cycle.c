/* Groups that would feed themselves through handlers that relay. */
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/text.h"
#include "config/check.h"
#include "config/report.h"

enum visit { NOT_VISITED, ON_PATH, DONE };

struct node {
	const struct config_group *group;
	enum visit visit;
	struct node *before; /* on the path to this one */
	const char *before_handler; /* that relays from there */
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

static int compare_relay(const void *key, const void *item)
{
	const struct config_relay *relay = key;

	return compare_target(&relay->address, relay->port, ((const struct node *)item)->group);
}

/* Whether the group receives what is sent out of that interface, as far as names tell. A group that
 * only leaves some out is on all others. What alternative names and addresses stand for is known
 * when the daemon runs. */
static bool receives_on(const struct config_group *group, const char *interface)
{
	const struct string_list *patterns = &group->interfaces;
	bool names_any = false, is_named = false;

	for (size_t i = 0; i < patterns->count && interface; i++) {
		bool leaves_out = patterns->items[i][0] == '!';

		names_any |= !leaves_out;
		if (fnmatch(patterns->items[i] + leaves_out, interface, 0))
			continue;
		if (leaves_out)
			return false;
		is_named = true;
	}
	return is_named || !names_any;
}

/* Appends "GROUP -> HANDLER -> ... -> GROUP" from the start of a path to a node on it. */
static void append_path(struct text *path, const struct node *start, const struct node *node)
{
	if (node != start) {
		append_path(path, start, node->before);
		text_printf(path, " -> %s -> ", node->before_handler);
	}
	text_append_string(path, node->group->name);
}

static void report_cycle(struct search *search, const struct node *start, const struct node *end,
	const char *handler)
{
	struct subject subject = group_subject(start->group);
	AUTO_TEXT struct text path = {0};

	append_path(&path, start, end);
	config_report(search->errors, &subject, 0, NULL,
		"feeds itself: %s -> %s -> %s; take one of these handlers out, or set its "
		"interface",
		text_string(&path), handler, start->group->name);
}

static void visit(struct search *search, struct node *node);

static void follow(struct search *search, struct node *node, const struct config_handler *handler)
{
	struct config_relay relay;
	size_t i;

	if (!handler || !handler->kind || !handler->kind->relays ||
		!handler->kind->relays(handler->settings, &relay))
		return;
	i = lower_bound(
		&relay, search->nodes, search->count, sizeof(*search->nodes), compare_relay);
	for (; i < search->count && !compare_relay(&relay, &search->nodes[i]); i++) {
		struct node *next = &search->nodes[i];

		if (!receives_on(next->group, relay.interface))
			continue;
		if (next->visit == ON_PATH) {
			report_cycle(search, next, node, handler->name);
		} else if (next->visit == NOT_VISITED) {
			next->before = node;
			next->before_handler = handler->name;
			visit(search, next);
		}
	}
}

/* Depth first: a node that is met again on its own path closes a ring. */
static void visit(struct search *search, struct node *node)
{
	const struct string_list *handlers = &node->group->handlers;

	node->visit = ON_PATH;
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
