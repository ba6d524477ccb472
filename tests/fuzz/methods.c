/* Requests of a client of the control socket, root's, to a daemon with a group that is joined
 * nowhere: all methods read their parameters, and every answer is JSON. What would change something
 * is refused by the backend, but for groups that are joined nowhere, too. The loop turns only for
 * what the client has written. */
#include <event2/event.h>
#include <jansson.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "control/method.h"
#include "data/counters.h"
#include "fuzz.h"
#include "groups/events.h"

static const char text[] = "groups: { news: { address = \"233.252.0.1\"; port = 5004;"
			   " interfaces = [\"absent\"]; handlers = [\"log\"]; }; };";

static const char *configuration(void *daemon)
{
	(void)daemon;
	return "/etc/mcastd/mcastd.conf";
}

static struct event_base *loop;

static void refuse(evutil_socket_t fd, short what, void *argument)
{
	struct reload_request *request = argument;
	struct config_changes changes = {0};
	struct errors errors = {0};

	(void)fd, (void)what;
	errors_add(&errors, "not now");
	request->done(request, -EINVAL, &changes, &errors);
	errors_clear(&errors);
}

static void reload(void *daemon, struct reload_request *request)
{
	static const struct timeval at_once = {0};

	(void)daemon;
	CHECK(event_base_once(loop, -1, EV_TIMEOUT, refuse, request, &at_once) == 0);
}

static void changed(void *daemon)
{
	(void)daemon;
}

static struct config *config;

static bool is_joined_nowhere(const struct config_group *group)
{
	return address_is_multicast(&group->address) && group->interfaces.count == 1 &&
	       !strcmp(group->interfaces.items[0], "absent");
}

static size_t check(void *daemon, const struct config_group *group, struct errors *errors,
	struct errors *warnings)
{
	size_t found = config_check_group(config, group, errors);

	(void)daemon;
	if (found)
		return found;
	config_find_group_warnings(config, group, warnings);
	if (is_joined_nowhere(group))
		return 0;
	errors_add(errors, "%s: not now", group->name);
	return 1;
}

static struct control_backend backend = {.version = "0",
	.configuration = configuration,
	.reload = reload,
	.changed = changed,
	.check = check};

static struct users users;

static struct event_base *begin(void)
{
	struct event_base *base = loop = event_base_new();
	struct events *events = events_new(base);
	struct handlers_plan *handlers;
	struct counters *counters;
	struct errors errors = {0};
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fuzz_file(text, sizeof(text) - 1));
	CHECK(config_load(path, handler_config_kinds(), &errors, &config) == 0);
	CHECK(base && events && counters_open(-1, &counters) == 0);
	users_init(&users, base);
	backend.users = &users;
	backend.groups = groups_new(&(struct groups_setup){.base = base,
		.users = &users,
		.counters = counters,
		.notices = events_sink(events)});
	backend.handlers = handlers_new(&(struct handler_context){.counters = counters});
	CHECK(backend.groups && backend.handlers);
	events_begin(events, backend.groups);
	CHECK(handlers_plan_new(backend.handlers, NULL, config, &handlers) == 0);
	while (handlers_prepare(handlers, &errors) > 0)
		;
	CHECK(groups_begin_change(backend.groups, config, handlers, false) == 0);
	while (groups_prepare(backend.groups, &errors) > 0)
		;
	while (handlers_commit(handlers))
		;
	while (groups_commit(backend.groups))
		;
	while (handlers_retire(handlers, 0))
		;
	return base;
}

/* The next input finds the groups of the configuration alone. */
static void leave_all(void)
{
	for (size_t i = groups_count(backend.groups); i--;)
		groups_leave(backend.groups, groups_at(backend.groups, i)->config->name);
}

/* Of the process (proc(5)). */
static nlink_t count_threads(void)
{
	struct stat status;

	CHECK(stat("/proc/self/task", &status) == 0);
	return status.st_nlink;
}

/* What the input has begun in the background ends with it: libFuzzer may take what a thread holds
 * for a leak. The fewest threads so far are those that stay. */
static void end_threads(struct event_base *base)
{
	static nlink_t fewest;
	nlink_t count;

	while ((count = count_threads()) > fewest && fewest) {
		sched_yield();
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	fewest = count;
}

/* Each answer ends as its request did, and is one object of JSON, which has no raw NUL or LF. */
static void check_answers(const char *data, size_t size)
{
	size_t length;

	for (; size; data += length, size -= length) {
		json_t *answer;

		for (length = 0; length < size && data[length] && data[length] != '\n'; length++)
			;
		CHECK(length < size);
		answer = json_loadb(data, length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
		CHECK(json_is_object(answer));
		json_decref(answer);
		length++;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct event_base *base;
	static char answers[1 << 20];
	struct client_set set;
	size_t used = 0;
	ssize_t n;
	int fds[2];

	if (!base)
		base = begin();
	if (size > 100000) /* the socket takes no more at once */
		return 0;
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	client_set_init(&set, base, &backend, method_dispatch);
	CHECK(client_new(&set, fds[0], 0) == 0);
	CHECK(send(fds[1], data, size, 0) == (ssize_t)size);
	shutdown(fds[1], SHUT_WR);
	for (int i = 0; i < 1000 && set.count; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		while ((n = recv(fds[1], answers + used, sizeof(answers) - used, 0)) > 0)
			used += (size_t)n;
		if (set.streaming || used == sizeof(answers))
			break;
	}
	if (used < sizeof(answers))
		check_answers(answers, used);
	client_set_clear(&set);
	leave_all();
	end_threads(base);
	close(fds[1]);
	return 0;
}
