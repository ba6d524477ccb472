#include "daemon/daemon.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_compat.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "child/orphans.h"
#include "control/control.h"
#include "daemon/adhoc.h"
#include "daemon/change.h"
#include "daemon/identity.h"
#include "daemon/ignored.h"
#include "daemon/keep_source.h"
#include "daemon/reload.h"
#include "daemon/shortfalls.h"
#include "daemon/signals.h"
#include "data/loop_guard.h"
#include "data/loop_meter.h"
#include "groups/events.h"
#include "groups/group_socket.h"
#include "groups/inputs.h"
#include "handlers/module.h"
#include "http/http.h"
#include "net/interface.h"
#include "net/link_monitor.h"
#include "net/socket_file.h"
#include "net/user.h"
#include "service/notify.h"
#include "service/store.h"

/* FileDescriptorName= of mcastd.socket. */
#define CONTROL_NAME "control"

/* The name of the counters in the fd store. */
#define COUNTERS_NAME "counters"

/* How often the memberships are compared with the kernel's, whatever it reports: one that failed is
 * tried again, and one that the kernel has dropped is found. */
#define AUDIT_S 60

/* Extra start-up time for many thousand groups. */
#define START_S 120

/* How long the handlers may take at the stop; and if systemd stores the sockets: datagrams then
 * gather in their buffers until the next run. */
#define STOP_NS (5 * NS_PER_S)
#define STOP_STORED_NS NS_PER_S

/* Beside the groups': connections, files, and the duplicates for the fd store. */
#define SPARE_DESCRIPTORS 4096

#define STATUS_MAX 160

/* A record of data/counters.h. */
COUNTERS_RECORD(starts, {
	uint64_t count; /* of the service, this one included */
});

struct daemon {
	const struct options *options;
	struct event_base *base;
	struct event audit;
	struct change *change;
	struct reloads *reloads;
	struct signals *signals;
	const struct reload_request *request; /* being applied */
	const struct loaded *loaded; /* for it */
	struct handlers *handlers;
	struct users users;
	struct groups *groups;
	struct inputs *inputs;
	struct http *http;
	struct loop_meter meter;
	struct control *control;
	struct control_backend backend;
	char listening[SOCKET_FILE_PATH_MAX]; /* where systemd does for the control socket, or "" */
	struct link_monitor *links;
	struct notify *notify;
	struct store *store;
	struct counters *counters;
	uint64_t restarts; /* of the service, as far back as its counters go */
	struct loop_guard *guard;
	struct spoof *spoof; /* NULL: the configuration of the start did not need it */
	struct events *events;
	bool adopts; /* what programs leave behind */
	bool has_failed; /* the loop cannot go on */
	char *mcastctl; /* as in struct groups_setup; NULL: that of the usual socket */
	struct adhoc *adhoc; /* NULL: no targets on the command line */
	pid_t running; /* of daemon_try() */
	char status[STATUS_MAX]; /* as last sent to systemd */
};

int daemon_load(const struct options *options, struct errors *errors, struct config **ret)
{
	CLEANUP(config_freep) struct config *config = NULL;
	int r = config_load(options->configuration, handler_config_kinds(), errors, &config);

	if (r < 0)
		return r;
	r = adhoc_configure(options, config, errors);
	if (r >= 0)
		r = modules_load(config, errors);
	if (r < 0)
		return r;
	config_find_warnings(config);
	*ret = take(config);
	return 0;
}

/* One line on the memberships, for systemd and the log. */
static const char *format_status(const struct daemon *daemon, char status[static STATUS_MAX])
{
	size_t count = groups_count(daemon->groups);
	size_t named = count ? count - 1 : 0; /* not that of events */
	unsigned states[MEMBERSHIP_STATES] = {0};

	groups_count_memberships(daemon->groups, states);
	snprintf(status, STATUS_MAX, "%zu group%s: %u membership%s joined, %u waiting, %u failed",
		named, plural(named), states[MEMBERSHIP_JOINED], plural(states[MEMBERSHIP_JOINED]),
		states[MEMBERSHIP_WAITING], states[MEMBERSHIP_FAILED]);
	return status;
}

static void tell_status(void *argument)
{
	struct daemon *daemon = argument;
	char status[STATUS_MAX];

	if (!strcmp(format_status(daemon, status), daemon->status))
		return;
	strcpy(daemon->status, status);
	notify_send(daemon->notify, "STATUS=%s", status);
}

/* ---- Reloading ---- */

static void begin_reload(void *argument, const struct reload_request *request)
{
	struct daemon *daemon = argument;

	if (!request->dry_run)
		notify_send(daemon->notify, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
			clock_ns(CLOCK_MONOTONIC) / 1000);
}

/* In a thread. The running configuration is immutable, and only a change replaces it. */
static void load_again(void *argument, struct loaded *loaded)
{
	const struct daemon *daemon = argument;

	loaded->r = daemon_load(daemon->options, &loaded->errors, &loaded->config);
	if (loaded->r < 0)
		return;
	ignored_find(loaded->config, daemon->listening);
	shortfalls_find_doubts(loaded->config);
	config_compare(change_running(daemon->change), loaded->config, &loaded->changes);
}

static void log_reload(int r, const struct loaded *loaded)
{
	size_t errors = errors_total(&loaded->errors),
	       changes = errors_total(&loaded->changes.lines);

	if (r < 0) {
		log_event(LOG_ERR, &(struct log_fields){.message_id = MESSAGE_RELOAD_FAILED},
			"reloading failed, the old configuration stays in force: %zu error%s",
			errors, plural(errors));
	} else {
		log_event(LOG_INFO, &(struct log_fields){.message_id = MESSAGE_RELOADED},
			"reloaded: %zu change%s", changes, plural(changes));
		log_lines(LOG_INFO, &loaded->changes.lines);
	}
}

static void end_reload(void *argument, int r)
{
	struct daemon *daemon = argument;

	if (!daemon->request->dry_run) {
		if (r >= 0)
			log_lines(LOG_WARNING, &change_running(daemon->change)->warnings);
		log_reload(r, daemon->loaded);
		notify_send(daemon->notify, "READY=1\nSTATUS=%s",
			format_status(daemon, daemon->status));
	}
	reloads_applied(daemon->reloads, r, change_take_unused(daemon->change));
}

static void apply_reload(
	void *argument, const struct reload_request *request, struct loaded *loaded)
{
	struct daemon *daemon = argument;

	daemon->request = request;
	daemon->loaded = loaded;
	if (loaded->r < 0) {
		end_reload(daemon, loaded->r);
		return;
	}
	change_tell_more(daemon->change, loaded->config, &loaded->changes.lines);
	change_begin(daemon->change, take(loaded->config), request->dry_run, &loaded->errors);
}

static const struct reload_callbacks reload_callbacks = {begin_reload, load_again, apply_reload};

/* control_backend.reload */
static void request_reload(void *argument, struct reload_request *request)
{
	reloads_add(((struct daemon *)argument)->reloads, request);
}

/* ---- Events ---- */

/* The groups have followed a change: so do the handlers. */
static void on_followed(void *argument)
{
	struct daemon *daemon = argument;

	handlers_links_changed(daemon->handlers, groups_interfaces(daemon->groups));
	tell_status(daemon);
}

static void on_links_changed(void *argument, const struct link_change *change)
{
	struct daemon *daemon = argument;

	groups_follow_links(daemon->groups, change);
}

static void on_audit(evutil_socket_t fd, short what, void *argument)
{
	struct daemon *daemon = argument;

	(void)fd, (void)what;
	handlers_expire(daemon->handlers);
	if (daemon->spoof)
		spoof_release_idle(daemon->spoof, clock_ns(CLOCK_MONOTONIC));
	groups_check_hints(daemon->groups);
	on_links_changed(argument, NULL);
}

static int start_audit(struct daemon *daemon)
{
	static const struct timeval interval = {.tv_sec = AUDIT_S};

	event_assign(&daemon->audit, daemon->base, -1, EV_PERSIST, on_audit, daemon);
	return event_add(&daemon->audit, &interval) < 0 ? -ENOMEM : 0;
}

/* Raises the limit, as each membership is a descriptor, and has the kernel grow its table of
 * descriptors now: once there are threads, doubling it takes 10 to 20 ms (expand_files()). */
static void prepare_descriptors(size_t groups)
{
	rlim_t wanted = 3 * groups + SPARE_DESCRIPTORS; /* a membership and two sockets */
	struct rlimit limit;
	int fd;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0 || wanted > INT_MAX)
		return;
	fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC,
		(int)(wanted < limit.rlim_cur ? wanted : limit.rlim_cur - 1));
	if (fd >= 0)
		close(fd);
}

static const char *configuration_path(void *argument)
{
	return ((struct daemon *)argument)->options->configuration;
}

static size_t check_group(void *argument, const struct config_group *group, struct errors *errors,
	struct errors *warnings)
{
	const struct daemon *daemon = argument;
	const struct config *config = change_running(daemon->change);
	size_t found = config_check_group(config, group, errors);

	if (!found)
		config_find_group_warnings(config, group, warnings);
	return found;
}

static int open_control(struct daemon *daemon, const struct config *config)
{
	const char *path = config->control_socket;
	AUTO_ERRORS struct errors errors = {0};
	char why[WHY_MAX];
	int fd, r;

	daemon->backend = (struct control_backend){
		.daemon = daemon,
		.version = MCASTD_VERSION,
		.started_ns = clock_ns(CLOCK_REALTIME),
		.groups = daemon->groups,
		.handlers = daemon->handlers,
		.users = &daemon->users,
		.configuration = configuration_path,
		.reload = request_reload,
		.check = check_group,
		.changed = tell_status,
	};
	if (!daemon->options->configuration)
		return 0; /* several may run */
	fd = store_listening(daemon->store, CONTROL_NAME);
	r = fd < 0 ? identity_raise_for(path, why) : 0;
	if (r >= 0)
		r = control_new(daemon->base, &daemon->backend, path, fd < 0 ? 0 : fd, why,
			&daemon->control);
	identity_lower();
	if (r < 0)
		config_add_error(&errors, &config->control_place, "control socket: %s", why);
	log_lines(LOG_ERR, &errors);
	return r;
}

/* Takes config over. */
static int apply_first(struct daemon *daemon, struct config *config)
{
	AUTO_ERRORS struct errors errors = {0};
	int r = change_start(daemon->change, config, false, &errors);

	if (r >= 0 && (r = identity_drop()) < 0)
		errors_add(&errors, "dropping the privileges of root: %s", strerror(-r));
	if (r < 0)
		log_lines(LOG_ERR, &errors);
	else
		log_lines(LOG_WARNING, &change_running(daemon->change)->warnings);
	return r;
}

/* The counters of an earlier run, or new ones. */
static int open_counters(struct daemon *daemon)
{
	int fd = store_restore(daemon->store, STORE_MEMBERSHIPS, COUNTERS_NAME), r = -ENOENT;

	if (fd >= 0 && (r = counters_open(fd, &daemon->counters)) < 0) {
		log_warning("the counters restart from zero: those of the earlier run cannot be "
			    "read: %s",
			strerror(-r));
		store_remove(daemon->store, STORE_MEMBERSHIPS, COUNTERS_NAME);
	}
	if (r >= 0)
		return r;
	r = counters_open(-1, &daemon->counters);
	if (r >= 0)
		store_add(daemon->store, STORE_MEMBERSHIPS, COUNTERS_NAME,
			counters_fd(daemon->counters));
	return r;
}

static int count_start(struct daemon *daemon)
{
	struct starts *starts = counters_take(
		daemon->counters, "starts", sizeof(*starts), starts_members());

	if (!starts)
		return -ENOMEM;
	daemon->restarts = starts->count++;
	return 0;
}

/* Says which part of the daemon could not be made. Returns r. */
static int refuse(int r, const char *part)
{
	log_error("cannot start: %s: %s", part, strerror(-r));
	return r;
}

/* They are a file in memory, of a size that is not used at once. */
static int refuse_counters(int r)
{
	if (r != -EFBIG)
		return refuse(r, "the memory of the counters");
	log_error("cannot start: the memory of the counters: %s; raise the limit on the size of "
		  "files to %zuM (LimitFSIZE=, ulimit -f)",
		strerror(-r), COUNTERS_MEMORY >> 20);
	return r;
}

/* By netlink, which a sandbox may refuse: seccomp(2) with EPERM or EACCES, RestrictAddressFamilies=
 * of systemd.exec(5) with EAFNOSUPPORT. */
static int refuse_links(int r)
{
	if (r != -EPERM && r != -EACCES && r != -EAFNOSUPPORT)
		return refuse(r, "watching the network interfaces");
	log_error("cannot start: watching the network interfaces: %s; a sandbox refuses netlink: "
		  "add AF_NETLINK to RestrictAddressFamilies= of the unit, or allow it in the "
		  "seccomp profile of the container",
		strerror(-r));
	return r;
}

/* What tells the service manager, and what it stores. */
static int make_service(struct daemon *daemon)
{
	int r;

	errno = ENOMEM; /* unless a system call says otherwise */
	/* Not event_base_new(): without memory for a connection, evhttp of libevent 2.1 looks for
	 * the base that the library knows (evhttp_connection_free()), and would crash. */
	daemon->base = event_init();
	if (!daemon->base)
		return refuse(-errno, "the event loop");
	r = notify_new(daemon->base, &daemon->notify);
	if (r < 0)
		log_warning("cannot notify the service manager at %s: %s", getenv("NOTIFY_SOCKET"),
			strerror(-r));
	r = store_new(daemon->notify, &daemon->store);
	if (r < 0)
		return refuse(r, "the sockets that systemd passes");
	r = open_counters(daemon);
	r = r < 0 ? r : count_start(daemon);
	return r < 0 ? refuse_counters(r) : 0;
}

/* What the log tells people to run reaches this daemon, and no other one. */
static int name_mcastctl(struct daemon *daemon, const struct config *config)
{
	const char *socket = config->control_socket, *quote;
	int fd = store_peek(daemon->store, CONTROL_NAME);

	if (!daemon->options->configuration)
		return 0;
	if (fd >= 0 && socket_file_path(fd, daemon->listening) >= 0)
		socket = daemon->listening;
	if (!strcmp(socket, CONTROL_SOCKET_DEFAULT))
		return 0;
	quote = strpbrk(socket, " \t\"\\$`&;|<>()*?[]{}~#!") ? "'" : "";
	if (asprintf(&daemon->mcastctl, "mcastctl -s %s%s%s", quote, socket, quote) >= 0)
		return 0;
	daemon->mcastctl = NULL;
	return refuse(-ENOMEM, "the lines of the log");
}

static int make_groups(struct daemon *daemon)
{
	daemon->handlers = handlers_new(&(struct handler_context){.running = daemon->running,
		.counters = daemon->counters,
		.guard = daemon->guard,
		.spoof = daemon->spoof,
		.notices = events_sink(daemon->events)});
	if (!daemon->handlers)
		return refuse(-ENOMEM, "the handlers");
	users_init(&daemon->users, daemon->base);
	daemon->groups = groups_new(&(struct groups_setup){.base = daemon->base,
		.users = &daemon->users,
		.counters = daemon->counters,
		.store = daemon->store,
		.notices = events_sink(daemon->events),
		.guard = daemon->guard,
		.receive_only = !daemon->options->configuration,
		.running = daemon->running,
		.mcastctl = daemon->mcastctl,
		.changed = on_followed,
		.argument = daemon});
	if (!daemon->groups)
		return refuse(-ENOMEM, "the groups");
	daemon->inputs = inputs_new(daemon->base, daemon->groups);
	if (!daemon->inputs)
		return refuse(-ENOMEM, "the inputs of groups");
	daemon->http = http_new(&(struct http_setup){.base = daemon->base,
		.turns = &daemon->users.turns,
		.running = daemon->running,
		.events = daemon->events,
		.context = {.version = MCASTD_VERSION,
			.started_ns = clock_ns(CLOCK_REALTIME),
			.groups = daemon->groups,
			.handlers = daemon->handlers,
			.meter = &daemon->meter,
			.users = &daemon->users,
			.control = &daemon->control,
			.restarts = daemon->restarts}});
	if (!daemon->http)
		return refuse(-ENOMEM, "the HTTP server");
	daemon->change = change_new(&(struct change_setup){.base = daemon->base,
		.handlers = daemon->handlers,
		.groups = daemon->groups,
		.inputs = daemon->inputs,
		.http = daemon->http,
		.done = end_reload,
		.argument = daemon});
	if (!daemon->change)
		return refuse(-ENOMEM, "the memory of reloads");
	events_begin(daemon->events, daemon->groups);
	return 0;
}

static int make_parts(struct daemon *daemon, const struct config *config)
{
	int r = make_service(daemon);

	if (r < 0)
		return r;
	daemon->guard = loop_guard_new();
	if (!daemon->guard)
		return refuse(-ENOMEM, "the memory of the loop guard");
	daemon->events = events_new(daemon->base);
	if (!daemon->events)
		return refuse(-ENOMEM, "the group of events");
	daemon->reloads = reloads_new(daemon->base, &reload_callbacks, daemon);
	if (!daemon->reloads)
		return refuse(-ENOMEM, "the thread for reloads");
	/* Before the interfaces are first listed, so that no change is missed in between. */
	r = link_monitor_new(daemon->base, on_links_changed, daemon, &daemon->links);
	if (r < 0)
		return refuse_links(r);
	r = name_mcastctl(daemon, config);
	r = r < 0 ? r : make_groups(daemon);
	if (r < 0)
		return r;
	r = start_audit(daemon);
	r = r < 0 ? r
		  : signals_new(&(struct signals_setup){.base = daemon->base,
					.reloads = daemon->reloads,
					.handlers = daemon->handlers,
					.is_adhoc = !daemon->options->configuration},
			    &daemon->signals);
	return r < 0 ? refuse(r, "watching timers and signals") : 0;
}

/* After all that is wanted of an earlier run has been restored. */
static void settle_earlier_run(struct daemon *daemon)
{
	const struct restored *restored = groups_restored(daemon->groups);
	unsigned refused = store_refused(daemon->store);

	if (restored->sockets || restored->lost || restored->programs)
		log_event(LOG_NOTICE, &(struct log_fields){.message_id = MESSAGE_RESTORED},
			"continuing an earlier run: %u membership%s stayed joined, where the "
			"kernel has since dropped %" PRIu64 " datagram%s; %" PRIu64
			" datagram%s of changed or removed groups lost; %u program%s at group "
			"sockets stayed connected",
			restored->sockets, plural(restored->sockets), restored->kernel_dropped,
			plural(restored->kernel_dropped), restored->lost, plural(restored->lost),
			restored->programs, plural(restored->programs));
	if (refused)
		log_warning("systemd stores at most %u sockets: %u membership%s will be joined "
			    "again after a restart, and receive nothing until then",
			store_capacity(daemon->store), refused, plural(refused));
	counters_settle(daemon->counters);
}

int daemon_start(
	const struct options *options, struct config *config, int *ret_status, struct daemon **ret)
{
	CLEANUP(config_freep) struct config *owned = config;
	struct daemon *daemon = calloc(1, sizeof(*daemon));
	AUTO_ERRORS struct errors errors = {0};
	char why[WHY_MAX];
	int r;

	*ret_status = EXIT_FAILURE;
	if (!daemon)
		return refuse(-ENOMEM, "the daemon");
	daemon->options = options;
	daemon->adopts = orphans_adopt();
	prepare_descriptors(config->group_count);
	r = keep_source_open(config, why, &daemon->spoof);
	if (r < 0)
		errors_add(&errors, "%s", why);
	r = r < 0 ? r : identity_enter(config, &errors);
	if (r >= 0 && options->configuration)
		identity_tell_root(config, options->configuration);
	if (r >= 0)
		shortfalls_find_doubts(config);
	if (r < 0) {
		*ret_status = EXIT_CONFIGURATION; /* starting again does not help */
		log_lines(LOG_ERR, &errors);
	}
	r = r < 0 ? r : make_parts(daemon, config);
	/* The control socket comes first: it shows whether another daemon runs, before anything of
	 * that one is touched. */
	r = r < 0 ? r : open_control(daemon, config);
	if (r < 0) {
		daemon_stop(daemon);
		return r;
	}
	notify_send(daemon->notify, "EXTEND_TIMEOUT_USEC=%d", START_S * 1000000);
	ignored_find(config, daemon->listening);
	r = apply_first(daemon, take(owned));
	if (r < 0) {
		*ret_status = EXIT_CONFIGURATION;
		daemon_stop(daemon);
		return r;
	}
	r = adhoc_start(options, daemon->base, daemon->groups, daemon->handlers, &daemon->adhoc);
	if (r < 0) {
		refuse(r, "the targets of the command line");
		daemon_stop(daemon);
		return r;
	}
	settle_earlier_run(daemon);
	log_event(LOG_INFO, &(struct log_fields){.message_id = MESSAGE_STARTED},
		"mcastd %s started: %s", MCASTD_VERSION, format_status(daemon, daemon->status));
	notify_send(daemon->notify, "READY=1\nSTATUS=%s", daemon->status);
	store_settle(daemon->store);
	if (options->configuration)
		group_sockets_sweep(change_running(daemon->change)->run_directory);
	*ret = daemon;
	return 0;
}

int daemon_try(const struct options *options, struct config *config, struct spoof *spoof,
	pid_t running, struct errors *errors)
{
	/* In place of the control socket and its spare descriptor: a start has these by then, and
	 * counts what is left for the sockets of groups. */
	AUTO_CLOSE int control = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	AUTO_CLOSE int spare = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	struct daemon *daemon = calloc(1, sizeof(*daemon));
	int r;

	(void)control, (void)spare;
	if (!daemon) {
		spoof_free(spoof);
		errors_add(errors, "out of memory");
		return -ENOMEM;
	}
	daemon->options = options;
	daemon->spoof = spoof;
	daemon->running = running;
	prepare_descriptors(config->group_count);
	r = make_parts(daemon, config);
	if (r < 0) {
		errors_add(errors, "preparing the start: %s", strerror(-r));
	} else {
		r = change_start(daemon->change, config, true, errors);
		change_take_unused(daemon->change); /* it stays the caller's */
	}
	daemon_stop(daemon);
	return r;
}

void daemon_run(struct daemon *daemon)
{
	bool was_measured = false;
	int r;

	do {
		bool is_measured = http_is_on(daemon->http);

		if (is_measured && !was_measured)
			loop_meter_begin(&daemon->meter, clock_ns(CLOCK_THREAD_CPUTIME_ID));
		r = event_base_loop(daemon->base, EVLOOP_ONCE);
		if (is_measured)
			loop_meter_round(&daemon->meter, clock_ns(CLOCK_THREAD_CPUTIME_ID));
		was_measured = is_measured;
	} while (r == 0 && !event_base_got_break(daemon->base));
	daemon->has_failed = r < 0;
	if (r < 0)
		log_error("stopping: waiting for events: %s", strerror(errno));
}

int daemon_stop(struct daemon *daemon)
{
	uint64_t now, deadline;
	unsigned stuck, orphans;
	int status;

	change_finish(daemon->change);
	now = clock_ns(CLOCK_MONOTONIC);
	deadline = now + STOP_NS;
	notify_send(daemon->notify, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%llu",
		(STOP_NS + 5 * NS_PER_S) / 1000);
	if (daemon->store)
		store_flush(daemon->store, now + STOP_STORED_NS);
	if (daemon->store && store_exists(daemon->store))
		deadline = clock_ns(CLOCK_MONOTONIC) + STOP_STORED_NS;
	if (daemon->counters)
		counters_freeze(daemon->counters);
	events_end(daemon->events);
	reloads_free(daemon->reloads);
	link_monitor_free(daemon->links);
	control_free(daemon->control);
	http_free(daemon->http);
	handlers_stop_inputs(daemon->handlers, deadline);
	/* The rest is for acknowledging what was sent. */
	now = clock_ns(CLOCK_MONOTONIC);
	inputs_finish(daemon->inputs, now + (deadline > now ? deadline - now : 0) / 2);
	groups_free(daemon->groups);
	if (daemon->groups)
		users_clear(&daemon->users);
	stuck = handlers_free(daemon->handlers, deadline);
	if (daemon->adopts && (orphans = orphans_end()))
		log_warning("%u process%s that programs have left behind did not end", orphans,
			orphans == 1 ? "" : "es");
	events_free(daemon->events);
	status = adhoc_finish(daemon->adhoc);
	if (daemon->has_failed)
		status = EXIT_FAILURE;
	notify_flush(daemon->notify, clock_ns(CLOCK_MONOTONIC) + STOP_STORED_NS);
	if (stuck)
		_exit(status);
	adhoc_free(daemon->adhoc);
	store_free(daemon->store);
	notify_free(daemon->notify);
	change_free(daemon->change);
	signals_free(daemon->signals);
	if (daemon->base)
		event_base_free(daemon->base);
	counters_free(daemon->counters);
	loop_guard_free(daemon->guard);
	spoof_free(daemon->spoof);
	free(daemon->mcastctl);
	free(daemon);
	return status;
}
