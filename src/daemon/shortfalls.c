#include "daemon/shortfalls.h"

#include <inttypes.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/array.h"
#include "base/io.h"
#include "config/report.h"
#include "daemon/identity.h"
#include "groups/group_socket.h"
#include "groups/wanted.h"
#include "handlers/handler.h"
#include "handlers/module.h"
#include "net/descriptors.h"
#include "net/interface.h"
#include "net/low_port.h"
#include "net/multicast.h"
#include "service/path_fix.h"

/* What a daemon has open beside the sockets of groups: the log, the control socket, the loop. */
#define OTHER_DESCRIPTORS 24

static void PRINTF_LIKE(3, 4)
	warn(struct config *config, const struct subject *subject, const char *format, ...)
{
	char why[2 * WHY_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, sizeof(why), format, arguments);
	va_end(arguments);
	config_report(&config->warnings, subject, 0, NULL, "warning: %s", why);
}

/* ip(7), ip_unprivileged_port_start: for IPv6 as well. */
static void find_low_ports(struct config *config)
{
	int64_t first = read_number("/proc/sys/net/ipv4/ip_unprivileged_port_start", 1024);
	char fix[WHY_MAX];

	for (size_t i = 0; i < config->group_count && !identity_has(CAP_NET_BIND_SERVICE); i++) {
		struct subject subject = group_subject(&config->groups[i]);

		if (!config_group_is_made_here(&config->groups[i]) &&
			config->groups[i].port < first)
			warn(config, &subject,
				"port %" PRId64 " takes CAP_NET_BIND_SERVICE, and the group is not "
				"joined: %s, or have a socket unit open it",
				config->groups[i].port,
				low_port_fix((uint16_t)config->groups[i].port, fix));
	}
}

/* One line for all groups, as the log has it. */
static void find_short_buffers(struct config *config)
{
	AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const struct config_group *largest = NULL;
	uint64_t granted;
	struct subject subject;

	for (size_t i = 0; i < config->group_count; i++)
		if (!largest || config->groups[i].receive_buffer > largest->receive_buffer)
			largest = &config->groups[i];
	if (fd < 0 || !largest)
		return;
	granted = socket_set_receive_buffer(fd, largest->receive_buffer);
	if (granted >= largest->receive_buffer)
		return;
	subject = group_subject(largest);
	warn(config, &subject,
		"the kernel grants %" PRIu64 " bytes of receive_buffer instead of %" PRIu64
		": sysctl -w net.core.rmem_max=%" PRIu64
		", or the drop-in large-buffers.conf (systemd/examples)",
		granted, largest->receive_buffer, largest->receive_buffer);
}

static void find_many_sources(struct config *config)
{
	int64_t v4 = read_number("/proc/sys/net/ipv4/igmp_max_msf", INT64_MAX);
	int64_t v6 = read_number("/proc/sys/net/ipv6/mld_max_msf", INT64_MAX);

	for (size_t i = 0; i < config->group_count; i++) {
		const struct config_group *group = &config->groups[i];
		struct subject subject = group_subject(group);
		bool is_v4 = group->address.family == AF_INET;
		size_t count = group->sources.count + group->block_sources.count;

		if (address_is_multicast(&group->address) && (int64_t)count > (is_v4 ? v4 : v6))
			warn(config, &subject,
				"the kernel takes %" PRId64
				" sources, and the group is not joined with %zu: sysctl -w %s=%zu",
				is_v4 ? v4 : v6, count,
				is_v4 ? "net.ipv4.igmp_max_msf" : "net.ipv6.mld_max_msf", count);
	}
}

/* Of one group: names of interfaces, each once. */
struct names {
	const char **items;
	size_t count;
};

static int add_name(void *argument, const char *name)
{
	struct names *names = argument;

	for (size_t i = 0; i < names->count; i++)
		if (!strcmp(names->items[i], name))
			return 0;
	return array_add(names, name);
}

/* How many memberships the groups have now. */
static size_t count_memberships(const struct config *config)
{
	struct interface_list interfaces = {0};
	size_t count = 0;

	if (interface_list_read(&interfaces) < 0)
		return config->group_count;
	for (size_t i = 0; i < config->group_count; i++) {
		struct names names = {0};

		if (!config_group_is_made_here(&config->groups[i]))
			wanted_interfaces(&config->groups[i], &interfaces, add_name, &names);
		count += names.count;
		free(names.items);
	}
	interface_list_clear(&interfaces);
	return count;
}

/* The limit is the one that a start raises to. Group sockets come first, and those that do not fit
 * stop a start (groups/plan). */
static void find_descriptors(struct config *config)
{
	size_t memberships = count_memberships(config), doors = 0, most;
	struct rlimit limit;

	for (size_t i = 0; i < config->group_count; i++)
		doors += config->groups[i].socket ? GROUP_SOCKETS : 0;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max > INT_MAX)
		return;
	most = descriptors_for_sockets((unsigned)limit.rlim_max);
	if (memberships && memberships + doors + OTHER_DESCRIPTORS > most)
		errors_add(&config->warnings,
			"warning: %zu groups have %zu memberships and %zu group sockets, each an "
			"open file; of the limit of %u, %zu are for these, and memberships beyond "
			"are failed: " DESCRIPTORS_FIX,
			config->group_count, memberships, doors, (unsigned)limit.rlim_max,
			most > OTHER_DESCRIPTORS ? most - OTHER_DESCRIPTORS : 0);
}

void shortfalls_find(struct config *config)
{
	find_low_ports(config);
	find_short_buffers(config);
	find_many_sources(config);
	find_descriptors(config);
}

static bool is_named(const struct config_group *group, const char *handler)
{
	for (size_t i = 0; i < group->handlers.count; i++)
		if (!strcmp(group->handlers.items[i], handler))
			return true;
	return false;
}

/* Whether the files have the handler, or, as for log and journal, a group. */
static bool is_wanted(const struct config *config, const struct config_handler *handler)
{
	bool is_wanted = handler->place.file || is_named(&config->events, handler->name);

	for (size_t i = 0; i < config->group_count && !is_wanted; i++)
		is_wanted = is_named(&config->groups[i], handler->name);
	return is_wanted;
}

static void doubt_handlers(struct config *config)
{
	for (size_t i = 0; i < config->handler_count; i++) {
		const struct config_handler *handler = &config->handlers[i];
		struct subject subject = handler_subject(handler);
		const struct handler_kind *kind;
		char why[WHY_MAX];

		if (!is_wanted(config, handler))
			continue;
		if (module_load(container_of(handler->kind, struct handler_kind, config), why,
			    &kind) < 0)
			continue; /* an error, which is told already */
		if (kind->doubt && kind->doubt(handler->settings, why))
			warn(config, &subject, "%s", why);
	}
}

/* Sockets that nobody else could connect to. */
static void doubt_sockets(struct config *config)
{
	const struct subject http = {config->http.place, "http", NULL};
	const struct string_list *listen = &config->http.listen;
	bool has_sockets = config->events.socket;
	char why[WHY_MAX];

	for (size_t i = 0; i < config->group_count; i++)
		has_sockets |= config->groups[i].socket;
	if (has_sockets && path_is_private(config->run_directory, PATH_LISTENING, why))
		config_add_error(&config->warnings, &config->run_directory_place,
			"warning: run_directory: %s", why);
	for (size_t i = 0; i < listen->count; i++)
		if (*listen->items[i] == '/' &&
			path_is_private(listen->items[i], PATH_LISTENING, why))
			config_report(&config->warnings, &http, 0, "listen", "warning: %s", why);
}

void shortfalls_find_doubts(struct config *config)
{
	doubt_handlers(config);
	doubt_sockets(config);
}
