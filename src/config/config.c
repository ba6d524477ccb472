#include "config/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "base/units.h"
#include "base/words.h"

#define RUN_DIRECTORY "/run/mcastd"

/* systemd sets $RUNTIME_DIRECTORY to the RuntimeDirectory= of the unit, a list with colons. */
static int set_run_directory(struct config *config)
{
	const char *list = getenv("RUNTIME_DIRECTORY");
	AUTO_FREE char *first = strndup(list ? list : "", strcspn(list ? list : "", ":"));
	char why[WHY_MAX];
	int r = first ? schema_set(&config_schema, config, "run_directory", first, why) : -ENOMEM;

	if (r == -EINVAL || r == -ERANGE)
		r = schema_set(&config_schema, config, "run_directory", RUN_DIRECTORY, why);
	return r;
}

static int init_events(struct config_group *events)
{
	*events = (struct config_group){.name = strdup(EVENTS_GROUP), .is_events = true};
	return events->name ? schema_defaults(&events_schema, events) : -ENOMEM;
}

struct config *config_new(void)
{
	CLEANUP(config_freep) struct config *config = calloc(1, sizeof(*config));

	if (!config || init_events(&config->events) < 0 ||
		schema_defaults(&control_schema, config) < 0 ||
		schema_defaults(&http_schema, &config->http) < 0 ||
		schema_defaults(&config_schema, config) < 0 || set_run_directory(config) < 0)
		return NULL;
	return take(config);
}

size_t config_handler_parts(
	const struct config_handler *handler, struct config_part ret[static HANDLER_PARTS])
{
	struct config_handler *own = (struct config_handler *)handler;
	struct key_mark *marks = own->marks;
	size_t count = 0;

	ret[count++] = (struct config_part){&handler_schema, own, NULL};
	ret[count++] = (struct config_part){&filter_schema, &own->filter, NULL};
	if (own->settings)
		ret[count++] = (struct config_part){&own->kind->schema, own->settings, NULL};
	for (size_t i = 0; i < count && marks; marks += ret[i++].schema->count)
		ret[i].marks = marks;
	return count;
}

/* An item of KEY_RATES, in datagrams a second. */
static double expected_rate(const char *item)
{
	uint64_t interval_ns;

	return parse_rate(item, &interval_ns) < 0 ? 0 : (double)NS_PER_S / (double)interval_ns;
}

int config_expected_rate(const struct string_list *rate, double *ret_least, double *ret_most,
	char why[static WHY_MAX])
{
	*ret_least = rate->count ? expected_rate(rate->items[0]) : 0;
	*ret_most = rate->count > 1 ? expected_rate(rate->items[1]) : 0;
	if (rate->count > 1 && *ret_most < *ret_least)
		return because(why, -EINVAL,
			"\"%s\" is more than \"%s\": write the lower one first", rate->items[0],
			rate->items[1]);
	return 0;
}

static void clear_handler(struct config_handler *handler)
{
	struct config_part parts[HANDLER_PARTS];

	for (size_t i = config_handler_parts(handler, parts); i-- > 0;)
		schema_clear(parts[i].schema, parts[i].settings);
	free(handler->settings);
	free(handler->name);
	free(handler->marks);
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->group_count; i++)
		config_group_clear(&config->groups[i]);
	for (size_t i = 0; i < config->handler_count; i++)
		clear_handler(&config->handlers[i]);
	config_group_clear(&config->events);
	string_list_clear(&config->files);
	errors_clear(&config->warnings);
	free(config->groups);
	free(config->handlers);
	schema_clear(&control_schema, config);
	schema_clear(&http_schema, &config->http);
	schema_clear(&config_schema, config);
	free(config);
}

void config_group_clear(struct config_group *group)
{
	schema_clear(&group_schema, group);
	free(group->name);
	free(group->marks);
	*group = (struct config_group){0};
}

/* A group with the settings of another one; or with the defaults, when that is NULL. */
static int make_group(
	struct config_group *ret, const char *name, const struct config_group *settings)
{
	struct config_group group = {.name = strdup(name)};
	int r = !group.name ? -ENOMEM
		: settings  ? schema_copy(&group_schema, &group, settings)
			    : schema_defaults(&group_schema, &group);

	if (r < 0)
		config_group_clear(&group);
	else
		*ret = group;
	return r;
}

int config_group_init(struct config_group *group, const char *name)
{
	return make_group(group, name, NULL);
}

int config_group_copy(struct config_group *ret, const struct config_group *group)
{
	return make_group(ret, group->name, group);
}

int config_add_group(struct config *config, struct config_group *group)
{
	struct config_group *groups = array_grow(
		config->groups, config->group_count, sizeof(*groups));

	if (!groups)
		return -ENOMEM;
	config->groups = groups;
	groups[config->group_count++] = *group;
	*group = (struct config_group){0};
	return 0;
}

static int init_handler(
	struct config_handler *handler, const char *name, const struct config_kind *kind)
{
	struct config_part parts[HANDLER_PARTS];
	size_t count;
	int r = 0;

	*handler = (struct config_handler){.name = strdup(name), .kind = kind};
	if (kind) {
		handler->type = strdup(kind->name);
		handler->settings = calloc(1, kind->schema.size ? kind->schema.size : 1);
	}
	if (!handler->name || (kind && (!handler->type || !handler->settings)))
		return -ENOMEM;
	count = config_handler_parts(handler, parts);
	for (size_t i = 0; i < count && r >= 0; i++)
		r = schema_defaults(parts[i].schema, parts[i].settings);
	return r;
}

struct config_handler *config_append_handler(
	struct config *config, const char *name, const struct config_kind *kind)
{
	struct config_handler *handlers = array_grow(
		config->handlers, config->handler_count, sizeof(*handlers));

	if (!handlers)
		return NULL;
	config->handlers = handlers;
	if (init_handler(&handlers[config->handler_count], name, kind) < 0) {
		clear_handler(&handlers[config->handler_count]);
		return NULL;
	}
	return &handlers[config->handler_count++];
}

static int compare_handlers(const void *a, const void *b)
{
	const struct config_handler *left = a, *right = b;

	return strcmp(left->name, right->name);
}

void config_sort_handlers(struct config *config)
{
	if (config->handler_count)
		qsort(config->handlers, config->handler_count, sizeof(*config->handlers),
			compare_handlers);
}

struct config_handler *config_add_handler(
	struct config *config, const char *name, const struct config_kind *kind)
{
	if (!config_append_handler(config, name, kind))
		return NULL;
	config_sort_handlers(config);
	return (struct config_handler *)config_find_handler(config, name);
}

const struct config_handler *config_find_handler(const struct config *config, const char *name)
{
	const struct config_handler wanted = {.name = (char *)name};

	if (!config->handler_count)
		return NULL;
	return bsearch(
		&wanted, config->handlers, config->handler_count, sizeof(wanted), compare_handlers);
}

const struct config_group *config_find_group(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->group_count; i++)
		if (!strcmp(config->groups[i].name, name))
			return &config->groups[i];
	return NULL;
}

void config_forget_marks(struct config *config)
{
	for (size_t i = 0; i < config->group_count; i++)
		free(take(config->groups[i].marks));
	free(take(config->events.marks));
	for (size_t i = 0; i < config->handler_count; i++)
		free(take(config->handlers[i].marks));
}

bool config_test_is_given(const struct config_test *test)
{
	return test->sources.count || test->block_sources.count || test->min_size > 0 ||
	       test->max_size < DATAGRAM_MAX || test->prefix || test->match.count;
}

bool config_group_equal(const struct config_group *a, const struct config_group *b)
{
	return !strcmp(a->name, b->name) && schema_equal(&group_schema, a, b);
}

bool config_handler_keeps_source(const struct config_handler *handler)
{
	return handler->kind && handler->kind->keeps_source &&
	       handler->kind->keeps_source(handler->settings);
}

/* The handler of a block is the group's, and named so (config/read.c). */
bool config_group_is_relayed(const struct config_group *group)
{
	size_t length = strlen(group->name);

	for (size_t i = 0; i < group->handlers.count; i++) {
		const char *handler = group->handlers.items[i];

		if (!strncmp(handler, group->name, length) && !strcmp(handler + length, ".relay"))
			return true;
	}
	return false;
}

bool config_handler_equal(const struct config_handler *a, const struct config_handler *b)
{
	struct config_part left[HANDLER_PARTS], right[HANDLER_PARTS];
	size_t count = config_handler_parts(a, left);
	bool equal = !strcmp(a->name, b->name) && a->kind == b->kind;

	config_handler_parts(b, right);
	for (size_t i = 0; i < count && equal; i++)
		equal = schema_equal(left[i].schema, left[i].settings, right[i].settings);
	return equal;
}

bool config_handler_goes_on(const struct config_handler *was, const struct config_handler *next)
{
	struct config_handler like = *was;

	like.queue = next->queue;
	like.queue_datagrams = next->queue_datagrams;
	like.drop = next->drop;
	return config_handler_equal(&like, next);
}

int config_group_compare_joins(const struct config_group *a, const struct config_group *b)
{
	static const char *const keys[] = {
		"address", "port", "interfaces", "sources", "block_sources"};
	int order = 0;

	for (size_t i = 0; i < ARRAY_SIZE(keys) && !order; i++)
		order = key_compare(schema_find(&group_schema, keys[i]), a, b);
	return order;
}

static bool contains(const struct address_list *list, const struct address *address)
{
	for (size_t i = 0; i < list->count; i++)
		if (address_equal(&list->items[i], address))
			return true;
	return false;
}

bool config_asks_socket(const struct principal_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].kind == PRINCIPAL_SOCKET)
			return true;
	return false;
}

bool config_group_takes(const struct config_group *group, const struct address *source)
{
	if (group->sources.count)
		return contains(&group->sources, source);
	return !contains(&group->block_sources, source);
}

bool config_group_receives(
	const struct config *config, const struct config_group *group, sa_family_t family)
{
	if (!group->merge.count)
		return group->address.family == family;
	for (size_t i = 0; i < config->group_count; i++)
		for (size_t j = 0; j < group->merge.count; j++)
			if (!strcmp(config->groups[i].name, group->merge.items[j]) &&
				config->groups[i].address.family == family)
				return true;
	return false;
}

bool config_filter_misses(const struct config *config, const struct config_group *group,
	const struct config_handler *handler)
{
	const struct prefix_list *sources = &handler->filter.is.sources;

	for (size_t i = 0; i < sources->count; i++)
		if (config_group_receives(config, group, sources->items[i].address.family))
			return false;
	return sources->count && (config_group_receives(config, group, AF_INET) ||
					 config_group_receives(config, group, AF_INET6));
}
