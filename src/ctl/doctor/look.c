#include "ctl/doctor/look.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "ctl/interrupt.h"

/* After listening, so that whatever was on the wire is counted by the daemon, too. */
#define SETTLE_NS (60 * NS_PER_MS)

/* For what is on the wire still to be counted. */
#define DRAIN_NS (200 * NS_PER_MS)

/* How long to wait for what a refresh brings. */
#define REFRESH_NS (1500 * NS_PER_MS)

/* When the group is joined on other interfaces: with another socket of the host the kernel would
 * not report it again. */
#define PROBE_NS (400 * NS_PER_MS)

/* More silent groups than this are not refreshed; and not joined on other interfaces. */
#define REFRESH_GROUPS_MAX 16
#define PROBE_GROUPS_MAX 4

void look_clear(struct look *look)
{
	wire_close(look->wire);
	own_sockets_clear(&look->sockets);
	probe_clear(&look->probe);
	host_clear(&look->host);
	subjects_clear(&look->subjects);
	daemon_clear(&look->daemon);
	handler_counts_clear(&look->handlers_before);
	handler_counts_clear(&look->handlers);
}

static int fail(const struct look *look, const char *what, int error)
{
	return session_fail(look->session, EXIT_REFUSED, "%s: %s", what, strerror(-error));
}

/* ---- Listening ---- */

/* fds are of the sockets. */
static void read_ready(
	struct own_sockets *sockets, struct subjects *subjects, const struct pollfd *fds)
{
	for (size_t i = 0; i < sockets->count; i++)
		if (fds[i].revents)
			own_sockets_read(sockets, i, subjects);
}

static void add_fds(const struct own_sockets *sockets, struct pollfd *fds)
{
	for (size_t i = 0; i < sockets->count; i++)
		fds[i] = (struct pollfd){sockets->items[i].fd, POLLIN, 0};
}

/* Until a time of CLOCK_MONOTONIC, or until SIGINT. Returns 0 or -ENOMEM. */
static int listen_until(struct look *look, uint64_t deadline_ns)
{
	struct probe *probe = &look->probe;
	size_t own = look->sockets.count, count = 2 + own + probe->sockets.count;
	AUTO_FREE struct pollfd *fds = calloc(count, sizeof(*fds));

	if (!fds)
		return -ENOMEM;
	fds[0] = (struct pollfd){look->interrupt_fd, POLLIN, 0};
	fds[1] = (struct pollfd){look->wire ? wire_fd(look->wire) : -1, POLLIN, 0};
	add_fds(&look->sockets, fds + 2);
	add_fds(&probe->sockets, fds + 2 + own);
	while (!interrupt_came() && clock_ns(CLOCK_MONOTONIC) < deadline_ns) {
		if (poll_until(fds, count, deadline_ns) <= 0)
			continue;
		read_ready(&look->sockets, &look->subjects, fds + 2);
		read_ready(&probe->sockets, &probe->subjects, fds + 2 + own);
		if (fds[1].revents)
			wire_read(look->wire);
	}
	return 0;
}

/* What the daemon or our sockets have counted by now. Returns an exit code. */
static int count(struct look *look)
{
	const char *name = look->subjects.groups.count == 1 ? look->subjects.groups.items[0].name
							    : NULL;

	if (look->subjects.is_daemon)
		return daemon_count(look->session, name, &look->subjects);
	own_sockets_finish(&look->sockets, &look->subjects);
	return EXIT_DONE;
}

/* ---- Before ---- */

static int open_wire(struct look *look, const struct target *target)
{
	size_t count = target ? 1 : look->subjects.groups.count;
	AUTO_FREE struct wire_group *groups = calloc(count + 1, sizeof(*groups));
	int r;

	if (!groups)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct subject_group *group = &look->subjects.groups.items[i];

		groups[i] = target ? (struct wire_group){target->address, target->port}
				   : (struct wire_group){group->address, group->port};
	}
	r = wire_open(groups, count, &look->wire);
	return r == -EPERM || r == -EACCES ? 0 : r;
}

static int prepare(struct look *look, const struct target *target)
{
	int r = look->daemon.is_elsewhere ? 0 : open_wire(look, target);

	if (r == 0 && target)
		r = own_sockets_join(&look->sockets, target, &look->host.interfaces,
			&look->host.joined, &look->subjects);
	if (r == 0)
		r = host_read_links(&look->host, &look->subjects);
	return r;
}

/* ---- Nothing came ---- */

static bool has_come(const struct look *look, const struct subject_group *group)
{
	for (size_t i = group->first; i < group->first + group->count; i++) {
		const struct subject *subject = &look->subjects.items[i];

		if (subject->after.received > subject->before.received ||
			subject->after.dropped > subject->before.dropped)
			return true;
	}
	return false;
}

static bool is_joined(const struct look *look, const struct subject_group *group)
{
	for (size_t i = group->first; i < group->first + group->count; i++)
		if (look->subjects.items[i].state == SUBJECT_JOINED)
			return true;
	return false;
}

/* On the wire: then it is this host that loses it. */
static bool is_on_wire(const struct look *look, size_t number)
{
	const struct subject_group *group = &look->subjects.groups.items[number];

	for (size_t i = group->first; look->wire && i < group->first + group->count; i++)
		if (wire_seen(look->wire, number, look->subjects.items[i].ifindex)->in)
			return true;
	return false;
}

static bool is_to_refresh(const struct look *look, size_t number)
{
	const struct subject_group *group = &look->subjects.groups.items[number];

	return address_is_multicast(&group->address) && !has_come(look, group) &&
	       is_joined(look, group) && !is_on_wire(look, number);
}

static size_t count_to_refresh(const struct look *look)
{
	size_t count = 0;

	for (size_t i = 0; i < look->subjects.groups.count; i++)
		count += is_to_refresh(look, i);
	return count;
}

/* Returns an exit code. */
static int refresh(struct look *look)
{
	struct subjects *subjects = &look->subjects;
	int code = EXIT_DONE;

	if (!subjects->is_daemon)
		own_sockets_refresh(&look->sockets, subjects);
	for (size_t i = 0; i < subjects->groups.count && !code; i++)
		if (subjects->is_daemon && is_to_refresh(look, i))
			code = daemon_refresh(look->session, subjects, &subjects->groups.items[i]);
	return code;
}

/* Returns 0 or a negative errno. */
static int probe(struct look *look)
{
	int r = 0;

	for (size_t i = 0; i < look->subjects.groups.count && r == 0; i++)
		if (is_to_refresh(look, i) && !look->daemon.is_elsewhere)
			r = probe_join(&look->probe, &look->subjects.groups.items[i],
				&look->host.interfaces, &look->host.joined);
	return r;
}

/* Reports the silent groups again, and listens for what that brings. Returns an exit code. */
static int try_refresh(struct look *look)
{
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
	size_t silent = count_to_refresh(look);
	int code, r = 0;

	for (size_t i = 0; i < look->subjects.count; i++)
		look->subjects.items[i].quiet_received = look->subjects.items[i].after.received;
	if (!silent || silent > REFRESH_GROUPS_MAX || interrupt_came())
		return EXIT_DONE;
	code = refresh(look);
	if (code)
		return code;
	r = listen_until(look, now_ns + PROBE_NS);
	if (r == 0 && silent <= PROBE_GROUPS_MAX)
		r = probe(look);
	if (r == 0)
		r = listen_until(look, now_ns + REFRESH_NS);
	return r < 0 ? fail(look, "listening", r) : EXIT_DONE;
}

/* ---- All of it ---- */

/* Returns an exit code. */
static int begin(struct look *look, const struct target *target)
{
	int r = prepare(look, target), code = EXIT_DONE;

	if (r < 0)
		return fail(look, "looking at this host", r);
	if (look->subjects.is_daemon)
		code = daemon_count_handlers(look->session, &look->handlers_before);
	if (look->wire)
		wire_restart(look->wire);
	return code;
}

/* What the machine gave us no time for. All of it is counted before what was received is. */
static void drain_wire(struct look *look)
{
	uint64_t deadline_ns = clock_ns(CLOCK_MONOTONIC) + DRAIN_NS;

	while (look->wire && wire_read(look->wire) && clock_ns(CLOCK_MONOTONIC) < deadline_ns)
		;
}

static int finish(struct look *look)
{
	int code, r;

	drain_wire(look);
	poll_until(NULL, 0, clock_ns(CLOCK_MONOTONIC) + SETTLE_NS);
	code = count(look);
	if (!code && look->subjects.is_daemon)
		code = daemon_count_handlers(look->session, &look->handlers);
	r = host_read_after(&look->host);
	return !code && r < 0 ? fail(look, "looking at this host", r) : code;
}

int look_run(struct look *look, const struct target *target)
{
	uint64_t start_ns = clock_ns(CLOCK_MONOTONIC);
	int code;

	look->interrupt_fd = interrupt_catch();
	if (look->interrupt_fd < 0)
		return fail(look, "catching signals", look->interrupt_fd);
	code = begin(look, target);
	if (!code && listen_until(look, start_ns + look->options->wait_ns) < 0)
		code = fail(look, "listening", -ENOMEM);
	if (!code)
		code = count(look);
	if (!code)
		code = try_refresh(look);
	look->listened_ns = clock_ns(CLOCK_MONOTONIC) - start_ns;
	return code ? code : finish(look);
}
