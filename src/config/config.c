#include "config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/text.h"
#include "config/build.h"

#define RUN_DIRECTORY "/run/mcastd"

/* systemd sets $RUNTIME_DIRECTORY to the RuntimeDirectory= of the unit, a list with colons. */
static int set_run_directory(struct config *config)
{
	const char *list = getenv("RUNTIME_DIRECTORY");
	char why[WHY_MAX];
	int r = -EINVAL;

	if (list) {
		AUTO_FREE char *first = strndup(list, strcspn(list, ":"));

		if (!first)
			return -ENOMEM;
		r = schema_set(&config_schema, config, "run_directory", first, why);
	}
	if (r == -EINVAL || r == -ERANGE)
		r = schema_set(&config_schema, config, "run_directory", RUN_DIRECTORY, why);
	return r;
}

struct config *config_new(void)
{
	CLEANUP(config_freep) struct config *config = calloc(1, sizeof(*config));

	if (!config || schema_defaults(&control_schema, config) < 0 ||
		schema_defaults(&config_schema, config) < 0 || set_run_directory(config) < 0)
		return NULL;
	return take(config);
}

int config_add_file(struct config *config, const char *path, const char **ret_file)
{
	char **files = array_grow(config->files, config->file_count, sizeof(*files));

	if (!files)
		return -ENOMEM;
	config->files = files;
	files[config->file_count] = strdup(path);
	if (!files[config->file_count])
		return -ENOMEM;
	*ret_file = files[config->file_count++];
	return 0;
}

static void clear_handler(struct config_handler *handler)
{
	if (handler->settings)
		schema_clear(&handler->kind->schema, handler->settings);
	free(handler->settings);
	schema_clear(&handler_schema, handler);
	schema_clear(&filter_schema, &handler->filter);
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
	for (size_t i = 0; i < config->file_count; i++)
		free(config->files[i]);
	free(config->groups);
	free(config->handlers);
	free(config->files);
	schema_clear(&control_schema, config);
	schema_clear(&config_schema, config);
	free(config);
}

int config_group_init(struct config_group *group, const char *name)
{
	struct config_group fresh = {.name = strdup(name)};

	if (!fresh.name || schema_defaults(&group_schema, &fresh) < 0) {
		config_group_clear(&fresh);
		return -ENOMEM;
	}
	*group = fresh;
	return 0;
}

void config_group_clear(struct config_group *group)
{
	schema_clear(&group_schema, group);
	free(group->name);
	free(group->marks);
	*group = (struct config_group){0};
}

int config_group_copy(struct config_group *ret, const struct config_group *group)
{
	struct config_group copy = {.name = strdup(group->name)};

	if (!copy.name || schema_copy(&group_schema, &copy, group) < 0) {
		config_group_clear(&copy);
		return -ENOMEM;
	}
	*ret = copy;
	return 0;
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
	*handler = (struct config_handler){.name = strdup(name), .kind = kind};
	if (!handler->name || schema_defaults(&handler_schema, handler) < 0 ||
		schema_defaults(&filter_schema, &handler->filter) < 0)
		return -ENOMEM;
	if (!kind)
		return 0;
	handler->type = strdup(kind->name);
	if (!handler->type)
		return -ENOMEM;
	handler->settings = calloc(1, kind->schema.size ? kind->schema.size : 1);
	return handler->settings ? schema_defaults(&kind->schema, handler->settings) : -ENOMEM;
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
	struct config_handler *handler = config_append_handler(config, name, kind);

	if (!handler)
		return NULL;
	while (handler > config->handlers && compare_handlers(handler - 1, handler) > 0) {
		struct config_handler swapped = handler[-1];

		handler[-1] = *handler;
		*handler-- = swapped;
	}
	return handler;
}

const struct config_handler *config_find_handler(const struct config *config, const char *name)
{
	const struct config_handler wanted = {.name = (char *)name};

	if (!config->handler_count)
		return NULL;
	return bsearch(
		&wanted, config->handlers, config->handler_count, sizeof(wanted), compare_handlers);
}

void config_forget_marks(struct config *config)
{
	for (size_t i = 0; i < config->group_count; i++)
		free(take(config->groups[i].marks));
	for (size_t i = 0; i < config->handler_count; i++)
		free(take(config->handlers[i].marks));
}

int config_filter_prefix(const char *prefix, struct text *bytes)
{
	if (strncmp(prefix, "0x", 2)) {
		text_append_string(bytes, prefix);
		return 0;
	}
	return text_append_hex_decoded(bytes, prefix + 2, strlen(prefix + 2));
}

bool config_group_equal(const struct config_group *a, const struct config_group *b)
{
	return !strcmp(a->name, b->name) && schema_equal(&group_schema, a, b);
}

bool config_handler_equal(const struct config_handler *a, const struct config_handler *b)
{
	return !strcmp(a->name, b->name) && a->kind == b->kind &&
	       schema_equal(&handler_schema, a, b) &&
	       schema_equal(&filter_schema, &a->filter, &b->filter) &&
	       schema_equal(&a->kind->schema, a->settings, b->settings);
}
