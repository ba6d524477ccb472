#include "daemon/daemon.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "config/diff.h"
#include "control/control.h"
#include "daemon/adhoc.h"
#include "daemon/identity.h"
#include "daemon/keep_source.h"
#include "daemon/reload.h"
#include "data/loop_guard.h"
#include "groups/events.h"
#include "net/interface.h"
#include "net/link_monitor.h"
#include "service/notify.h"
#include "service/store.h"

/* FileDescriptorName= of mcastd.socket. */
#define CONTROL_NAME "control"

/* The name of the counters in the fd store. */
#define COUNTERS_NAME "counters"

/* How often the memberships are compared with the kernel's, whatever it reports: one that failed is
 * tried again, and one that the kernel has dropped is found. */
#define AUDIT_S 60

/* Minimum time between two reloads by signal. Signals in between share the next reload. */
#define RELOAD_NS (100 * NS_PER_MS)

/* Extra start-up time for many thousand groups. */
#define START_S 120

/* How long the handlers may take at the stop; and if systemd stores the sockets: datagrams then
 * gather in their buffers until the next run. */
#define STOP_NS (5 * NS_PER_S)
#define STOP_STORED_NS NS_PER_S

/* How long the queue of a removed handler is still delivered. */
#define DRAIN_NS (5 * NS_PER_S)

/* Beside the groups': connections, files, and the duplicates for the fd store. */
#define SPARE_DESCRIPTORS 4096

#define SIGNAL_COUNT 5

#define STATUS_MAX 160

struct daemon {
	const struct options *options;
	struct event_base *base;
	struct event signals[SIGNAL_COUNT];
	struct event audit;
	struct reloads *reloads;
	struct event reload; /* by signal */
	struct reload_request signal_request;
	bool signal_requested, signal_again;
	uint64_t reloaded_ns; /* when the last such one ended, CLOCK_MONOTONIC */
	struct config *config;
	struct handlers *handlers;
	struct groups *groups;
	struct control *control;
	struct control_backend backend;
	struct link_monitor *links;
	struct notify *notify;
	struct store *store;
	struct counters *counters;
	struct loop_guard *guard;
	struct spoof *spoof; /* NULL: the configuration of the start did not need it */
	struct events *events;
	struct adhoc *adhoc; /* NULL: no targets on the command line */
	char status[STATUS_MAX]; /* as last sent to systemd */
};

int daemon_load(const struct options *options, struct errors *errors, struct config **ret)
{
	CLEANUP(config_freep) struct config *config = NULL;
	int r = config_load(options->configuration, handler_config_kinds(), errors, &config);

	if (r < 0)
		return r;
	r = adhoc_configure(options, config, errors);
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

static bool is_same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* A running daemon can change neither its user nor the sockets that programs know by their path. */
static int check_fixed(
	const struct config *running, const struct config *wanted, struct errors *errors)
{
	const struct {
		const char *key, *running, *wanted;
	} fixed[] = {{"control.socket", running->control_socket, wanted->control_socket},
		{"run_directory", running->run_directory, wanted->run_directory},
		{"user", running->user, wanted->user}, {"group", running->group, wanted->group}};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
		if (is_same(fixed[i].running, fixed[i].wanted))
			continue;
		errors_add(errors,
			"%s: cannot change from %s to %s while the daemon runs; restart it",
			fixed[i].key, fixed[i].running ? fixed[i].running : "nothing",
			fixed[i].wanted ? fixed[i].wanted : "nothing");
		r = -EBUSY;
	}
	return r;
}

static void log_lines(int level, const struct errors *lines)
{
	for (size_t i = 0; i < lines->count; i++)
		log_message(level, "%s", lines->lines[i]);
	if (lines->omitted)
		log_message(level, "and %zu more", lines->omitted);
}

/* Makes wanted the running configuration, all of it or nothing. Takes wanted over on success,
 * unless dry_run. Returns 0, or a negative errno with lines in errors. */
static int apply(struct daemon *daemon, struct config *wanted, bool dry_run, struct errors *errors)
{
	struct handlers_plan *handlers_plan = NULL;
	struct groups_plan *groups_plan = NULL;
	int r = daemon->config ? check_fixed(daemon->config, wanted, errors) : 0;

	if (r >= 0)
		r = handlers_prepare(
			daemon->handlers, daemon->config, wanted, errors, &handlers_plan);
	if (r >= 0)
		r = groups_prepare(
			daemon->groups, wanted, handlers_plan, dry_run, errors, &groups_plan);
	if (r < 0 && !errors_total(errors))
		errors_add(errors, "%s", strerror(-r));
	if (r < 0 || dry_run) {
		groups_plan_free(groups_plan);
		handlers_abandon(handlers_plan);
		return r;
	}
	/* Groups first: after that, nobody delivers to a removed handler. */
	groups_commit(daemon->groups, groups_plan);
	handlers_commit(daemon->handlers, handlers_plan, clock_ns(CLOCK_MONOTONIC) + DRAIN_NS);
	/* Join last, when everything is ready for the datagrams that arrive. */
	identity_raise();
	groups_reconcile(daemon->groups);
	identity_lower();
	reloads_discard(daemon->reloads, daemon->config);
	daemon->config = wanted;
	log_lines(LOG_WARNING, &wanted->warnings);
	return 0;
}

/* ---- Reloading ---- */

static void begin_reload(void *argument, const struct reload_request *request)
{
	struct daemon *daemon = argument;

	if (!request->dry_run)
		notify_send(daemon->notify, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
			clock_ns(CLOCK_MONOTONIC) / 1000);
}

/* In a thread. The running configuration is immutable, and only apply_reload() replaces it. */
static void load_again(void *argument, struct loaded *loaded)
{
	const struct daemon *daemon = argument;

	loaded->r = daemon_load(daemon->options, &loaded->errors, &loaded->config);
	if (loaded->r >= 0)
		config_compare(daemon->config, loaded->config, &loaded->changes);
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

static int apply_reload(void *argument, const struct reload_request *request, struct loaded *loaded)
{
	struct daemon *daemon = argument;
	int r = loaded->r;

	if (r >= 0)
		r = apply(daemon, loaded->config, request->dry_run, &loaded->errors);
	if (request->dry_run)
		return r;
	if (r >= 0)
		take(loaded->config);
	log_reload(r, loaded);
	notify_send(daemon->notify, "READY=1\nSTATUS=%s", format_status(daemon, daemon->status));
	return r;
}

static const struct reload_callbacks reload_callbacks = {begin_reload, load_again, apply_reload};

/* control_backend.reload */
static void request_reload(void *argument, struct reload_request *request)
{
	reloads_add(((struct daemon *)argument)->reloads, request);
}

static void on_reload_signal(evutil_socket_t signal_number, short what, void *argument)
{
	struct daemon *daemon = argument;
	uint64_t now = clock_ns(CLOCK_MONOTONIC), due = daemon->reloaded_ns + RELOAD_NS;
	struct timeval delay = ns_timeval(due > now ? due - now : 0);

	(void)signal_number, (void)what;
	if (daemon->signal_requested)
		daemon->signal_again = true;
	else if (!evtimer_pending(&daemon->reload, NULL))
		evtimer_add(&daemon->reload, &delay);
}

static void on_signal_reloaded(struct reload_request *request, int r,
	const struct config_changes *changes, const struct errors *errors)
{
	struct daemon *daemon = container_of(request, struct daemon, signal_request);

	(void)changes;
	if (r < 0)
		log_lines(LOG_ERR, errors);
	daemon->reloaded_ns = clock_ns(CLOCK_MONOTONIC);
	daemon->signal_requested = false;
	if (daemon->signal_again && r != -ECANCELED)
		on_reload_signal(SIGHUP, 0, daemon);
}

static void on_reload_due(evutil_socket_t fd, short what, void *argument)
{
	struct daemon *daemon = argument;

	(void)fd, (void)what;
	daemon->signal_requested = true;
	daemon->signal_again = false;
	daemon->signal_request = (struct reload_request){.done = on_signal_reloaded};
	reloads_add(daemon->reloads, &daemon->signal_request);
}

/* ---- Other signals and events ---- */

static void on_stop_signal(evutil_socket_t signal_number, short what, void *argument)
{
	struct daemon *daemon = argument;

	(void)what;
	log_info("stopping: %s", strsignal(signal_number));
	event_base_loopbreak(daemon->base);
}

static void on_rotate_signal(evutil_socket_t signal_number, short what, void *argument)
{
	struct daemon *daemon = argument;

	(void)signal_number, (void)what;
	for (size_t i = 0; i < handlers_count(daemon->handlers); i++)
		handler_rotate(handlers_at(daemon->handlers, i));
}

/* Process 1 of a container inherits what programs leave behind when they end. The programs of
 * handlers are children of the handlers' threads, which wait for them: __WNOTHREAD, waitpid(2). */
static void on_child_signal(evutil_socket_t signal_number, short what, void *argument)
{
	(void)signal_number, (void)what, (void)argument;
	while (waitpid(-1, NULL, WNOHANG | __WNOTHREAD) > 0)
		;
}

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
	on_links_changed(argument, NULL);
}

void daemon_hold_signals(bool hold)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigprocmask(hold ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

static int watch_signals(struct daemon *daemon)
{
	static const struct {
		int number;
		event_callback_fn callback;
	} watched[SIGNAL_COUNT] = {{SIGTERM, on_stop_signal}, {SIGINT, on_stop_signal},
		{SIGHUP, on_reload_signal}, {SIGUSR1, on_rotate_signal},
		{SIGCHLD, on_child_signal}};

	for (size_t i = 0; i < SIGNAL_COUNT; i++) {
		evsignal_assign(&daemon->signals[i], daemon->base, watched[i].number,
			watched[i].callback, daemon);
		if (watched[i].number == SIGCHLD && getpid() != 1)
			continue;
		if (event_add(&daemon->signals[i], NULL) < 0)
			return -ENOMEM;
	}
	/* Without SIGPIPE, writing to a closed pipe or socket returns an error. In ad hoc mode the
	 * only pipe is standard output: there it ends the daemon like the rest of a pipeline. */
	if (daemon->options->configuration)
		signal(SIGPIPE, SIG_IGN);
	daemon_hold_signals(false);
	return 0;
}

static int start_timers(struct daemon *daemon)
{
	static const struct timeval interval = {.tv_sec = AUDIT_S};

	evtimer_assign(&daemon->reload, daemon->base, on_reload_due, daemon);
	event_assign(&daemon->audit, daemon->base, -1, EV_PERSIST, on_audit, daemon);
	return event_add(&daemon->audit, &interval) < 0 ? -ENOMEM : 0;
}

/* Raises the limit, as each membership is a descriptor, and has the kernel grow its table of
 * descriptors now: once there are threads, doubling it takes 10 to 20 ms (expand_files()). */
static void prepare_descriptors(size_t groups)
{
	rlim_t wanted = groups + SPARE_DESCRIPTORS;
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

static size_t check_group(void *argument, const struct config_group *group, struct errors *errors)
{
	return config_check_group(((struct daemon *)argument)->config, group, errors);
}

static int open_control(struct daemon *daemon, const char *path)
{
	char why[WHY_MAX];
	int fd, r;

	daemon->backend = (struct control_backend){
		.daemon = daemon,
		.version = MCASTD_VERSION,
		.started_ns = clock_ns(CLOCK_REALTIME),
		.groups = daemon->groups,
		.handlers = daemon->handlers,
		.configuration = configuration_path,
		.reload = request_reload,
		.check = check_group,
		.changed = tell_status,
	};
	if (!daemon->options->configuration)
		return 0; /* several may run */
	fd = store_listening(daemon->store, CONTROL_NAME);
	r = control_new(
		daemon->base, &daemon->backend, path, fd < 0 ? 0 : fd, why, &daemon->control);
	if (r < 0)
		log_error("control socket: %s", why);
	return r;
}

static int apply_first(struct daemon *daemon, struct config *config)
{
	AUTO_ERRORS struct errors errors = {0};
	char why[WHY_MAX];
	int r = identity_enter(config, why);

	if (r < 0)
		errors_add(&errors, "%s", why);
	else
		r = apply(daemon, config, false, &errors);
	if (r >= 0 && (r = identity_drop()) < 0)
		errors_add(&errors, "dropping the privileges of root: %s", strerror(-r));
	if (r < 0)
		log_lines(LOG_ERR, &errors);
	return r;
}

/* The counters of an earlier run, or new ones. */
static int open_counters(struct daemon *daemon)
{
	int fd = store_restore(daemon->store, COUNTERS_NAME), r = -ENOENT;

	if (fd >= 0 && (r = counters_open(fd, &daemon->counters)) < 0) {
		log_warning("the counters restart from zero: those of the earlier run cannot be "
			    "read: %s",
			strerror(-r));
		store_remove(daemon->store, COUNTERS_NAME);
	}
	if (r >= 0)
		return r;
	r = counters_open(-1, &daemon->counters);
	if (r >= 0)
		store_add(daemon->store, COUNTERS_NAME, counters_fd(daemon->counters));
	return r;
}

static int make_parts(struct daemon *daemon)
{
	int r;

	daemon->base = event_base_new();
	if (!daemon->base)
		return -ENOMEM;
	r = notify_new(daemon->base, &daemon->notify);
	if (r < 0)
		log_warning("cannot notify the service manager at %s: %s", getenv("NOTIFY_SOCKET"),
			strerror(-r));
	r = store_new(daemon->notify, &daemon->store);
	r = r < 0 ? r : open_counters(daemon);
	if (r < 0)
		return r;
	daemon->guard = loop_guard_new();
	daemon->events = events_new(daemon->base);
	daemon->reloads = reloads_new(daemon->base, &reload_callbacks, daemon);
	if (!daemon->guard || !daemon->events || !daemon->reloads)
		return -ENOMEM;
	/* Before the interfaces are first listed, so that no change is missed in between. */
	r = link_monitor_new(daemon->base, on_links_changed, daemon, &daemon->links);
	if (r < 0) {
		log_error("watching the network interfaces: %s", strerror(-r));
		return r;
	}
	daemon->handlers = handlers_new(&(struct handler_context){.counters = daemon->counters,
		.guard = daemon->guard,
		.spoof = daemon->spoof,
		.notices = events_sink(daemon->events)});
	daemon->groups = groups_new(&(struct groups_setup){.base = daemon->base,
		.counters = daemon->counters,
		.store = daemon->store,
		.notices = events_sink(daemon->events),
		.guard = daemon->guard,
		.receive_only = !daemon->options->configuration,
		.changed = on_followed,
		.argument = daemon});
	if (!daemon->handlers || !daemon->groups)
		return -ENOMEM;
	events_begin(daemon->events, daemon->groups);
	r = start_timers(daemon);
	return r < 0 ? r : watch_signals(daemon);
}

/* After all that is wanted of an earlier run has been restored. */
static void settle_earlier_run(struct daemon *daemon)
{
	const struct restored *restored = groups_restored(daemon->groups);
	unsigned refused = store_refused(daemon->store);

	if (restored->sockets || restored->lost)
		log_event(LOG_NOTICE, &(struct log_fields){.message_id = MESSAGE_RESTORED},
			"continuing an earlier run: %u membership%s stayed joined, where the "
			"kernel has since dropped %" PRIu64 " datagram%s; %" PRIu64
			" datagram%s of changed or removed groups lost",
			restored->sockets, plural(restored->sockets), restored->kernel_dropped,
			plural(restored->kernel_dropped), restored->lost, plural(restored->lost));
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
	char why[WHY_MAX];
	int r;

	*ret_status = EXIT_FAILURE;
	if (!daemon)
		return -ENOMEM;
	daemon->options = options;
	prepare_descriptors(config->group_count);
	r = keep_source_open(config, why, &daemon->spoof);
	if (r < 0) {
		*ret_status = EXIT_CONFIGURATION; /* starting again does not help */
		log_error("%s", why);
	}
	r = r < 0 ? r : make_parts(daemon);
	/* The control socket comes first: it shows whether another daemon runs, before anything of
	 * that one is touched. */
	r = r < 0 ? r : open_control(daemon, config->control_socket);
	if (r < 0) {
		daemon_stop(daemon);
		return r;
	}
	notify_send(daemon->notify, "EXTEND_TIMEOUT_USEC=%d", START_S * 1000000);
	r = apply_first(daemon, config);
	if (r < 0) {
		*ret_status = EXIT_CONFIGURATION;
		daemon_stop(daemon);
		return r;
	}
	take(owned);
	r = adhoc_start(options, daemon->base, daemon->groups, daemon->handlers, &daemon->adhoc);
	if (r < 0) {
		daemon_stop(daemon);
		return r;
	}
	settle_earlier_run(daemon);
	log_event(LOG_INFO, &(struct log_fields){.message_id = MESSAGE_STARTED},
		"mcastd %s started: %s", MCASTD_VERSION, format_status(daemon, daemon->status));
	notify_send(daemon->notify, "READY=1\nSTATUS=%s", daemon->status);
	store_settle(daemon->store);
	*ret = daemon;
	return 0;
}

void daemon_run(struct daemon *daemon)
{
	event_base_dispatch(daemon->base);
}

int daemon_stop(struct daemon *daemon)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC), deadline = now + STOP_NS;
	unsigned stuck;
	int status;

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
	groups_free(daemon->groups);
	stuck = handlers_free(daemon->handlers, deadline);
	events_free(daemon->events);
	status = adhoc_finish(daemon->adhoc);
	notify_flush(daemon->notify, clock_ns(CLOCK_MONOTONIC) + STOP_STORED_NS);
	if (stuck)
		_exit(status);
	adhoc_free(daemon->adhoc);
	store_free(daemon->store);
	notify_free(daemon->notify);
	if (daemon->base)
		event_base_free(daemon->base);
	counters_free(daemon->counters);
	loop_guard_free(daemon->guard);
	spoof_free(daemon->spoof);
	config_free(daemon->config);
	free(daemon);
	return status;
}
