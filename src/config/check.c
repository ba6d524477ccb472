#include "config/check.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/text.h"
#include "config/report.h"
#include "net/interface.h"
#include "net/listen_address.h"
#include "net/multicast.h"

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:%-+[]*?"

struct check {
	const struct config *config;
	struct errors *errors;
	const struct config_group *group; /* NULL: a handler is checked */
	struct subject subject;
	struct config_part parts[HANDLER_PARTS]; /* of the group or handler */
	size_t part_count;
	size_t found;
	bool is_partial;
	bool has_no_import_port; /* was reported */
	struct interface_list interfaces; /* those of now, read when first needed */
	bool has_interfaces;
};

/* The mark of a key; all zero where the group or handler does not come from a file. What a list
 * took is sound even where some of its items were refused. */
static struct key_mark mark_of(const struct check *check, const char *name)
{
	for (size_t i = 0; i < check->part_count; i++) {
		const struct config_part *part = &check->parts[i];
		const struct key *key = schema_find(part->schema, name);
		struct key_mark mark = {0};

		if (!key)
			continue;
		if (part->marks)
			mark = part->marks[key - part->schema->keys];
		if (key_is_list(key))
			mark.failed = false;
		return mark;
	}
	return (struct key_mark){0};
}

/* Reports about a key (NULL: about the whole), unless its value was refused already. */
static void PRINTF_LIKE(3, 4)
	complain(struct check *check, const char *key, const char *format, ...)
{
	struct key_mark mark = key ? mark_of(check, key) : (struct key_mark){0};
	char why[WHY_MAX];
	va_list arguments;

	if (mark.failed)
		return;
	va_start(arguments, format);
	vsnprintf(why, sizeof(why), format, arguments);
	va_end(arguments);
	config_report(check->errors, &check->subject, mark.line, key, "%s", why);
	check->found++;
}

static void check_name(struct check *check)
{
	const char *name = check->subject.name;

	if (!*name)
		complain(check, NULL, "the name is empty");
	else if (strlen(name) > GROUP_NAME_MAX)
		complain(check, NULL, "the name is longer than %d bytes, use a shorter one",
			GROUP_NAME_MAX);
	else if (*name == '.')
		complain(check, NULL, "the name begins with a dot");
	else if (name[strspn(name, NAME_CHARACTERS)])
		complain(check, NULL,
			"the name has other characters than letters, digits and ._:%%-+[]*?");
}

static bool any_failed(const struct config_part *part)
{
	for (size_t i = 0; part->marks && i < part->schema->count; i++)
		if (part->marks[i].failed)
			return true;
	return false;
}

/* ---- Groups ---- */

/* Keys of sending. */
static const char *const send_keys[] = {"ttl", "loop", "dscp", "send_interface", "source_address",
	"source_port", "replies", "allow_send", "inputs"};

/* An address that may be one of this host, or the broadcast address of a network, at some time:
 * what it is, only the host knows. Only a broadcast address can be sent to. */
static void check_no_multicast(struct check *check)
{
	const struct address *address = &check->group->address;
	char string[INET6_ADDRSTRLEN];

	address_format(address, string);
	if (address->family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&address->v6))
		complain(check, "address", "\"%s\" is an IPv4 address, write %s", string,
			strrchr(string, ':') + 1);
	else if (address->family == AF_INET && !(ntohl(address->v4.s_addr) >> 24) &&
		 !address_is_any(address))
		complain(check, "address",
			"\"%s\" is no address of a host, use 0.0.0.0 for all of this host", string);
	if (address->family == AF_INET && !address_is_any(address))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(send_keys); i++)
		if (mark_of(check, send_keys[i]).line)
			complain(check, send_keys[i], "has no effect, nothing can be sent to %s",
				string);
}

/* The kernel keeps these to the link or to the host (RFC 3376, 5; RFC 3810, 6). */
static bool is_never_reported(const struct address *address)
{
	struct address all_nodes;

	if (address->family == AF_INET)
		return address->v4.s_addr == htonl(INADDR_ALLHOSTS_GROUP);
	address_parse("ff02::1", &all_nodes);
	return (address->v6.s6_addr[1] & 0xf) < 2 || address_equal(address, &all_nodes);
}

static void check_refresh(struct check *check)
{
	const struct address *address = &check->group->address;
	char string[INET6_ADDRSTRLEN];

	if (!check->group->refresh || address->family == AF_UNSPEC)
		return;
	address_format(address, string);
	if (!address_is_multicast(address))
		complain(check, "refresh",
			"has no effect, %s is no multicast address and is never reported; remove "
			"the key",
			string);
	else if (is_never_reported(address))
		complain(check, "refresh",
			"has no effect, %s is never reported and switches do not filter it; remove "
			"the key",
			string);
}

/* A file without an address, or with one that is none, has been reported on reading. */
static void check_address(struct check *check)
{
	const struct config_group *group = check->group;

	if (group->address.family == AF_UNSPEC && !group->marks)
		complain(check, "address", "is missing");
	else if (group->address.family != AF_UNSPEC && !address_is_multicast(&group->address))
		check_no_multicast(check);
	check_refresh(check);
	if (!group->port && !group->marks)
		complain(check, "port", "is missing");
}

/* Whether a datagram can come from the address. */
static bool is_sender(const struct address *address)
{
	static const struct address none4 = {.family = AF_INET}, none6 = {.family = AF_INET6};

	return !address_is_multicast(address) && !address_equal(address, &none4) &&
	       !address_equal(address, &none6) &&
	       !(address->family == AF_INET && address->v4.s_addr == INADDR_BROADCAST);
}

static void check_sources(struct check *check, const char *key, const struct address_list *sources)
{
	sa_family_t family = check->group->address.family;
	char string[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < sources->count; i++) {
		const struct address *source = &sources->items[i];

		address_format(source, string);
		if (!is_sender(source))
			complain(check, key,
				"\"%s\" is not the address of a sender, use a unicast address",
				string);
		else if (family != AF_UNSPEC && source->family != family)
			complain(check, key,
				"\"%s\" is not of the group's family, use an IPv%d address", string,
				family == AF_INET ? 4 : 6);
	}
}

static void check_source_lists(struct check *check)
{
	const struct config_group *group = check->group;

	check_sources(check, "sources", &group->sources);
	check_sources(check, "block_sources", &group->block_sources);
	if (group->sources.count && group->block_sources.count)
		complain(check, "block_sources",
			"cannot be used together with sources, remove one of the two");
}

/* As people write it elsewhere, and what to write here; NULL: there is nothing wrong. */
static const char *misspelt(const char *name)
{
	if (strchr(name, ','))
		return "is a list in one string, write [\"eth0\", \"eth1\"]";
	if (strchr(name, '@'))
		return "has what \"ip link\" prints behind the name, leave out the @ and what "
		       "follows";
	if (*name == '-')
		return "begins with -, write ! in front of what to leave out";
	if (strchr(name, '/'))
		return "cannot be an interface: write its name or one of its addresses, without /";
	return NULL;
}

/* As the kernel's dev_valid_name() and dev_valid_altname(), and without control characters, as
 * names are shown; an address stands for the interface that has it. */
int config_check_interface(const char *item, bool may_be_pattern, char why[static WHY_MAX])
{
	const char *name = may_be_pattern && *item == '!' ? item + 1 : item, *wrong;
	bool is_glob = strpbrk(name, "*?[");
	struct address address;
	char buffer[SHOWN_MAX];

	shown(item, buffer);
	wrong = misspelt(name);
	if (address_parse(name, &address) == 0 && is_sender(&address)) {
		if (!address_needs_scope(&address))
			return 0;
		wrong = "is link-local: more than one interface may have it, write the name of one";
	}
	for (const char *at = name; *at && !wrong; at++)
		if (isspace((unsigned char)*at) || iscntrl((unsigned char)*at) || *at == ':')
			wrong = "cannot be an interface: no name has a space, a control character "
				"or :";
	if (wrong)
		return because(why, -EINVAL, "\"%s\" %s", buffer, wrong);
	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return because(why, -EINVAL, "\"%s\" cannot be an interface", buffer);
	if (*item == '!' && !may_be_pattern)
		return because(why, -EINVAL, "\"%s\" leaves one out, name those to use", buffer);
	if (is_glob && !may_be_pattern)
		return because(
			why, -EINVAL, "\"%s\" is a pattern, use the names of interfaces", buffer);
	if (!is_glob && strlen(name) >= INTERFACE_NAME_MAX)
		return because(why, -EINVAL,
			"\"%s\" is longer than an interface's name can be, use at most %d bytes",
			buffer, INTERFACE_NAME_MAX - 1);
	return 0;
}

static void check_interface(
	struct check *check, const char *key, const char *item, bool may_be_pattern)
{
	char why[WHY_MAX];

	if (config_check_interface(item, may_be_pattern, why) < 0)
		complain(check, key, "%s", why);
}

static void check_interfaces(struct check *check)
{
	const struct config_group *group = check->group;

	for (size_t i = 0; i < group->interfaces.count; i++)
		check_interface(check, "interfaces", group->interfaces.items[i], true);
	for (size_t i = 0; i < group->send_interface.count; i++)
		check_interface(check, "send_interface", group->send_interface.items[i], false);
}

/* What a group sends from. */
static void check_sending(struct check *check)
{
	const struct config_group *group = check->group;
	char string[INET6_ADDRSTRLEN];

	if (group->source_address.family == AF_UNSPEC)
		return;
	address_format(&group->source_address, string);
	if (!is_sender(&group->source_address))
		complain(check, "source_address",
			"\"%s\" cannot be sent from, use an address of this host", string);
	else if (group->address.family != AF_UNSPEC &&
		 group->source_address.family != group->address.family)
		complain(check, "source_address",
			"\"%s\" is not of the group's family, use an IPv%d address", string,
			group->address.family == AF_INET ? 4 : 6);
}

static void refuse_handler(struct check *check, const char *key, const char *name)
{
	char buffer[SHOWN_MAX], meant[GUESS_MAX];
	struct guess guess = {.word = name};

	/* Past this many errors nobody reads the guesses, which take most of the time. */
	for (size_t i = 0; check->errors->count < ERRORS_MAX && i < check->config->handler_count;
		i++)
		guess_offer(&guess, check->config->handlers[i].name);
	complain(check, key, "there is no handler \"%s\"%s", shown(name, buffer),
		guess_or(&guess, ", define it in handlers: { ... };", meant));
}

/* Whether whoever reaches this host reaches the group: it is unicast, of any sender, on any
 * interface. */
static bool is_open_to_all(const struct config_group *group)
{
	if (group->address.family == AF_UNSPEC || address_is_multicast(&group->address) ||
		address_is_everyone(&group->address) || group->sources.count)
		return false;
	for (size_t i = 0; i < group->interfaces.count; i++)
		if (*group->interfaces.items[i] != '!')
			return false;
	return true;
}

static const struct interface_list *interfaces_now(struct check *check)
{
	if (!check->has_interfaces)
		interface_list_read(&check->interfaces);
	check->has_interfaces = true;
	return &check->interfaces;
}

/* Whether the group receives on an interface: by its names and addresses where it is there now,
 * else by the name that is given. */
static bool receives_on(struct check *check, const char *name)
{
	const struct interface_list *interfaces = interfaces_now(check);
	const struct interface *interface = interface_find(interfaces, name);
	const struct string_list *patterns = &check->group->interfaces;
	bool names_any = false, is_named = false;

	for (size_t i = 0; i < patterns->count; i++) {
		bool leaves_out = *patterns->items[i] == '!';
		const char *pattern = patterns->items[i] + leaves_out;

		names_any |= !leaves_out;
		if (fnmatch(pattern, name, 0) &&
			!(interface && interface_is_excluded(interfaces, interface, pattern)))
			continue;
		if (leaves_out)
			return false;
		is_named = true;
	}
	if (!names_any)
		return !interface || interface_matches(interfaces, interface, "*");
	return is_named;
}

/* Whether what is sent to an address arrives at the group's. */
static bool is_group_address(const struct config_group *group, const struct address *to)
{
	enum reach reach;

	if (address_equal(to, &group->address))
		return true;
	if (!address_is_any(&group->address) || to->family != group->address.family)
		return false;
	reach = multicast_reach(to);
	return reach == REACH_UNICAST || reach == REACH_BROADCAST;
}

/* A group that would hear its own handler. Whatever else relays do to each other shows only when
 * they run (handlers/relayable.h). */
static void check_echo(
	struct check *check, const struct config_handler *handler, const struct config_relay *relay)
{
	const struct config_group *group = check->group;
	char interface[SHOWN_MAX];

	if (any_failed(&check->parts[0]) || relay->port != group->port ||
		!is_group_address(group, &relay->address))
		return;
	if (!relay->interface)
		complain(check, "handlers",
			"\"%s\" sends to the address and port of the group; set its interface to "
			"one that the group does not receive on",
			handler->name);
	else if (receives_on(check, relay->interface))
		complain(check, "handlers",
			"\"%s\" sends to the address and port of the group on %s, where the group "
			"receives; let it send on another interface, or set interfaces without %s",
			handler->name, shown(relay->interface, interface), interface);
}

/* A handler that relays. */
static void check_relay(struct check *check, const struct config_handler *handler)
{
	struct config_part parts[HANDLER_PARTS];
	size_t count = config_handler_parts(handler, parts);
	struct config_relay relay;

	if (!handler->kind || !handler->kind->relays || any_failed(&parts[count - 1]) ||
		!handler->kind->relays(handler->settings, &relay))
		return;
	check_echo(check, handler, &relay);
	if (is_open_to_all(check->group) && !handler->filter.sources.count &&
		address_is_multicast(&relay.address))
		complain(check, "handlers",
			"\"%s\" would send to the network what anybody sends to this host; name "
			"the senders with sources, or where they are with interfaces",
			handler->name);
}

/* The handler of a block is for the group that the block stands in. */
static bool may_use(const struct config_group *group, const struct config_handler *handler)
{
	size_t length = strlen(group->name);

	if (!handler->kind || !handler->kind->block.count)
		return true;
	return !strncmp(handler->name, group->name, length) && handler->name[length] == '.' &&
	       !strcmp(handler->name + length + 1, handler->kind->name);
}

/* Whether the kind can be used by a group of this name. */
static bool may_have_group(
	struct check *check, const char *key, const struct config_handler *handler)
{
	struct config_part parts[HANDLER_PARTS];
	size_t count = config_handler_parts(handler, parts);
	char why[WHY_MAX];

	if (!handler->kind || !handler->kind->check_group || any_failed(&parts[count - 1]) ||
		handler->kind->check_group(handler->settings, check->group->name, why) >= 0)
		return true;
	complain(check, key, "\"%s\": the name of the group %s", handler->name, why);
	return false;
}

static void check_handlers(struct check *check)
{
	const struct string_list *handlers = &check->group->handlers;
	const struct config_handler *handler;

	for (size_t i = 0; i < handlers->count && !check->is_partial; i++) {
		handler = config_find_handler(check->config, handlers->items[i]);
		if (!handler)
			refuse_handler(check, "handlers", handlers->items[i]);
		else if (!may_use(check->group, handler))
			complain(check, "handlers", "\"%s\" is for its own group only, remove it",
				handler->name);
		else if (may_have_group(check, "handlers", handler))
			check_relay(check, handler);
	}
}

/* ---- What comes in ---- */

/* What leaves from import_port is taken for what came in, also by the other daemons of the network:
 * it would never get to a broker. */
static void check_import_port(struct check *check)
{
	const struct config_group *group = check->group;
	int64_t port = check->config->import_port;

	if (!port)
		return;
	if (group->source_port == port)
		complain(check, "source_port",
			"%" PRId64 " is import_port, and what leaves from it is never given to a "
			"broker; use another port",
			port);
	if (group->port == port && group->inputs.count)
		complain(check, "port",
			"%" PRId64 " is import_port, and many programs send from the port of the "
			"group; use another import_port",
			port);
}

static void check_input(struct check *check, const char *name)
{
	const struct config_handler *handler = config_find_handler(check->config, name);

	if (!handler && !check->is_partial)
		refuse_handler(check, "inputs", name);
	if (!handler || !handler->kind)
		return;
	if (!handler->kind->imports)
		complain(check, "inputs",
			"nothing comes in by \"%s\", of type %s; name a handler that speaks to a "
			"broker, or move it to handlers",
			handler->name, handler->type);
	else
		may_have_group(check, "inputs", handler);
}

static void check_inputs(struct check *check)
{
	const struct string_list *inputs = &check->group->inputs;

	check_import_port(check);
	for (size_t i = 0; i < inputs->count; i++)
		check_input(check, inputs->items[i]);
	/* Once: it is one mistake. */
	if (!inputs->count || check->config->import_port || check->is_partial ||
		check->has_no_import_port)
		return;
	check->has_no_import_port = true;
	complain(check, "inputs",
		"needs import_port, add it outside of groups: import_port = 5999; (a free port, "
		"the same in all daemons of this network)");
}

static void check_socket(struct check *check)
{
	const struct config_group *group = check->group;
	size_t length;

	if (!group->socket) {
		if (mark_of(check, "socket_empty").line)
			complain(check, "socket_empty", "has no effect without socket = true");
		return;
	}
	/* With the dot that stands before the name while the socket is made. */
	length = strlen(check->config->run_directory) + strlen("/groups/.") + strlen(group->name);
	if (length > SOCKET_PATH_MAX)
		complain(check, "socket",
			"the socket's path would have %zu bytes, use at most %d: shorten the name "
			"or run_directory",
			length, SOCKET_PATH_MAX);
}

static void begin_group(
	struct check *check, const struct config_group *group, const struct schema *schema)
{
	check->group = group;
	check->subject = group_subject(group);
	check->parts[0] = (struct config_part){schema, (void *)group, group->marks};
	check->part_count = 1;
}

/* Events come from nobody. */
static void check_senders_of_events(struct check *check)
{
	const struct string_list *handlers = &check->group->handlers;

	for (size_t i = 0; i < handlers->count && !check->is_partial; i++) {
		const struct config_handler *handler = config_find_handler(
			check->config, handlers->items[i]);

		if (handler && config_handler_keeps_source(handler))
			complain(check, "handlers",
				"events have no sender, which \"%s\" would send from; remove it, "
				"or "
				"its keep_source",
				handler->name);
	}
}

static void check_events(struct check *check, const struct config_group *group)
{
	begin_group(check, group, &events_schema);
	check_handlers(check);
	check_senders_of_events(check);
	check_socket(check);
}

static void check_group(struct check *check, const struct config_group *group)
{
	begin_group(check, group, &group_schema);
	check_name(check);
	if (!strcmp(group->name, EVENTS_GROUP))
		complain(check, NULL,
			"the name belongs to the group of the daemon's own events, use another");
	check_address(check);
	check_source_lists(check);
	check_interfaces(check);
	check_sending(check);
	check_handlers(check);
	check_inputs(check);
	check_socket(check);
}

size_t config_check_group(
	const struct config *config, const struct config_group *group, struct errors *errors)
{
	struct check check = {.config = config, .errors = errors};

	check_group(&check, group);
	interface_list_clear(&check.interfaces);
	return check.found;
}

/* ---- Handlers ---- */

static void check_filter(struct check *check, const struct config_filter *filter)
{
	AUTO_TEXT struct text bytes = {0};

	if (filter->min_size > filter->max_size)
		complain(check, "filter.min_size",
			"%" PRId64 " is more than filter.max_size, no datagram could pass",
			filter->min_size);
	if (filter->prefix && config_filter_prefix(filter->prefix, &bytes) < 0)
		complain(check, "filter.prefix",
			"is not hexadecimal, write two digits for each byte after the 0x");
	if (filter->burst && !filter->rate_interval_ns && !mark_of(check, "rate").failed)
		complain(check, "burst", "has no effect without rate, add one: rate = \"1000/s\";");
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
	check_filter(check, &handler->filter);
	if (kind && !kind->may_block)
		check_queue(check);
	/* The kind relies on what its rows promise: required keys, ranges. */
	if (!kind || any_failed(&check->parts[check->part_count - 1]))
		return;
	check_source_port(check, handler);
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

void config_check(const struct config *config, bool is_partial, struct errors *errors)
{
	struct check check = {.config = config, .errors = errors, .is_partial = is_partial};

	if (config->group && !config->user)
		errors_add(errors, "group: has no effect without user, add one: user = \"%s\";",
			config->group);
	for (size_t i = 0; i < config->group_count; i++)
		check_group(&check, &config->groups[i]);
	check_events(&check, &config->events);
	check_http(config, errors);
	for (size_t i = 0; i < config->handler_count; i++)
		check_handler(&check, &config->handlers[i]);
	interface_list_clear(&check.interfaces);
}
