#include "config/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "config/checking.h"
#include "net/listen_address.h"

/* ---- Handlers ---- */

static void report_filter(void *argument, const char *key, const char *why)
{
	struct check *check = argument;

	if (strcmp(key, "burst") || !mark_of(check, "rate").failed)
		complain(check, key, "%s", why);
}

/* A key that has no effect is a mistake. */
static void check_queue(struct check *check)
{
	static const char *const keys[] = {"queue", "queue_datagrams", "drop"};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (mark_of(check, keys[i]).line)
			complain(check, keys[i],
				"has no effect, a handler of this type never waits and has no "
				"queue; remove it");
}

static void check_source_port(struct check *check, const struct config_handler *handler)
{
	const struct config_kind *kind = handler->kind;
	int64_t port = check->config->import_port;

	if (port && kind->source_port && kind->source_port(handler->settings) == port)
		complain(check, "source_port",
			"%" PRId64 " is import_port, and what leaves from it is never given to a "
			"broker; use another port",
			port);
}

/* A broker knows a client by one name, whatever the handlers are called. */
static void check_client(struct check *check, const struct config_handler *handler)
{
	const struct config_kind *kind = handler->kind;

	for (const struct config_handler *other = check->config->handlers;
		kind->is_same_client && other < handler; other++)
		if (other->kind == kind && kind->is_same_client(handler->settings, other->settings))
			complain(check, "client_id",
				"is that of handlers.%s at %s:%u, too, and the broker disconnects "
				"one of the two whenever the other connects; let them differ",
				other->name, other->place.file, other->place.line);
}

static void check_handler(struct check *check, const struct config_handler *handler)
{
	const struct config_kind *kind = handler->kind;
	const char *key = NULL;
	char why[WHY_MAX];

	check->group = NULL;
	check->subject = handler_subject(handler);
	check->part_count = config_handler_parts(handler, check->parts);
	if (!kind || !kind->block.count)
		check_name(check);
	config_filter_check(&handler->filter, report_filter, check);
	if (kind && !kind->may_block)
		check_queue(check);
	/* The kind relies on what its rows promise: required keys, ranges. */
	if (!kind || any_failed(&check->parts[check->part_count - 1]))
		return;
	check_source_port(check, handler);
	check_client(check, handler);
	if (kind->check && kind->check(handler->settings, &key, why) < 0)
		complain(check, key, "%s", why);
}

/* ---- The HTTP server ---- */

static void PRINTF_LIKE(3, 4)
	complain_http(const struct config *config, struct errors *errors, const char *format, ...)
{
	const struct subject subject = {config->http.place, "http", NULL};
	char why[WHY_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, sizeof(why), format, arguments);
	va_end(arguments);
	config_report(errors, &subject, 0, "listen", "%s", why);
}

/* The index of an earlier item that is the same place, written otherwise; else that of item. */
static size_t find_same_place(const struct string_list *list, size_t item)
{
	struct listen_address wanted, other;
	char why[WHY_MAX];

	listen_address_parse(list->items[item], &wanted, why);
	for (size_t i = 0; i < item; i++)
		if (listen_address_parse(list->items[i], &other, why) >= 0 &&
			listen_address_equal(&wanted, &other))
			return i;
	return item;
}

static void check_http(const struct config *config, struct errors *errors)
{
	const struct string_list *list = &config->http.listen;
	char why[WHY_MAX], buffer[SHOWN_MAX], other[SHOWN_MAX];
	struct listen_address address;
	size_t same;

	for (size_t i = 0; i < list->count; i++) {
		const char *item = shown(list->items[i], buffer);

		if (listen_address_parse(list->items[i], &address, why) < 0)
			complain_http(config, errors, "\"%s\" %s", item, why);
		else if ((same = find_same_place(list, i)) != i)
			complain_http(config, errors, "\"%s\" is the same as \"%s\", remove one",
				item, shown(list->items[same], other));
		else if (address.path && !strcmp(address.path, config->control_socket))
			complain_http(config, errors,
				"\"%s\" is the control socket, use another path", item);
	}
}

/* ---- The user to run as ---- */

static void check_user(const struct config *config, struct errors *errors)
{
	const struct subject user = {config->user_place, NULL, NULL},
			     group = {config->group_place, NULL, NULL};
	char buffer[SHOWN_MAX];
	uint32_t id;

	if (config->group && !config->user)
		config_report(errors, &group, 0, "group",
			"has no effect without user, which is to run the daemon: add one, as user "
			"= \"mcastd\";, or remove group");
	if (config->user && !config->user[strspn(config->user, "0123456789")])
		config_report(errors, &user, 0, "user",
			"%s is a number, write the name of the user", shown(config->user, buffer));
	else if (config->user && find_uid(config->user, &id) == -ENOENT)
		config_report(errors, &user, 0, "user",
			"this system has no user %s: useradd --system %s, or name another",
			shown(config->user, buffer), buffer);
	if (config->user && config->group && find_gid(config->group, &id) == -ENOENT)
		config_report(errors, &group, 0, "group",
			"this system has no group %s: groupadd --system %s, or name another",
			shown(config->group, buffer), buffer);
}

void config_check(const struct config *config, bool is_partial, struct errors *errors)
{
	struct check check = {.config = config, .errors = errors, .is_partial = is_partial};

	check_user(config, errors);
	for (size_t i = 0; i < config->group_count; i++)
		check_group(&check, &config->groups[i]);
	check_events(&check, &config->events);
	check_http(config, errors);
	for (size_t i = 0; i < config->handler_count; i++)
		check_handler(&check, &config->handlers[i]);
	interface_list_clear(&check.interfaces);
}
