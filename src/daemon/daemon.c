#include "daemon/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/adhoc.h"
#include "daemon/identity.h"
#include "daemon/state.h"
#include "service/handover.h"
#include "service/notify.h"
#include "service/store.h"
#include "service/watchdog.h"

/* FileDescriptorName= of mcastd.socket. */
#define CONTROL_NAME "control"

/* Under which the store has the counters. */
#define COUNTERS_NAME "counters"

#define EXIT_CONFIGURATION 78 /* EX_CONFIG of sysexits.h */

/* So often the memberships are compared with the kernel's, whatever it tells: one that failed is
 * tried again, and one that the kernel has forgotten is found. */
#define AUDIT_S 60

/* Signals that come sooner after a reload share the next one: a storm of them is no storm of
 * reloads. */
#define RELOAD_NS (100 * NS_PER_MS)

/* So much time joining may take beyond what systemd allows for a start: with many thousand groups
 * it does. */
#define START_S 120

/* So long the handlers may take at the end; and where systemd keeps the sockets, in whose buffers
 * datagrams gather until the next run. */
#define STOP_NS (5 * NS_PER_S)
#define STOP_KEPT_NS NS_PER_S

/* Beside the groups': connections, files, and the store's copies of sockets. */
#define SPARE_DESCRIPTORS 4096

static void on_stop_signal(evutil_socket_t signal_number, short what, void *argument)
{
	struct daemon *daemon = argument;

	(void)what;
	log_info("stopping: %s", strsignal(signal_number));
	event_base_loopbreak(daemon->base);
}

static void on_reload_signal(evutil_socket_t signal_number, short what, void *argument)
{
	struct daemon *daemon = argument;
	uint64_t now = clock_ns(CLOCK_MONOTONIC), due = daemon->reloaded_ns + RELOAD_NS;
	uint64_t wait = due > now ? due - now : 0;
	struct timeval delay = {.tv_usec = (suseconds_t)(wait / 1000)};

	(void)signal_number, (void)what;
	if (!evtimer_pending(daemon->reload, NULL))
		evtimer_add(daemon->reload, &delay);
}

static void on_reload_due(evutil_socket_t fd, short what, void *argument)
{
	AUTO_CHANGES struct config_changes changes = {0};
	AUTO_ERRORS struct errors errors = {0};
	struct daemon *daemon = argument;

	(void)fd, (void)what;
	daemon_reload(daemon, false, &changes, &errors);
	daemon->reloaded_ns = clock_ns(CLOCK_MONOTONIC);
}

static void on_rotate_signal(evutil_socket_t signal_number, short what, void *argument)
{
	struct daemon *daemon = argument;

	(void)signal_number, (void)what;
	for (size_t i = 0; i < handlers_count(daemon->handlers); i++)
		handler_rotate(handlers_at(daemon->handlers, i));
}

static void on_links_changed(void *argument, const struct link_change *change)
{
	struct daemon *daemon = argument;

	groups_reconcile(daemon->groups, change);
	daemon_tell_status(daemon);
}

static void on_audit(evutil_socket_t fd, short what, void *argument)
{
	(void)fd, (void)what;
	handlers_expire(((struct daemon *)argument)->handlers);
	on_links_changed(argument, NULL);
}

/* A reader that goes is an error of its own writes. In ad hoc mode the only one is whoever reads
 * the output: the signal then ends the daemon as it ends everything else in a pipeline. */
static void ignore_broken_pipes(const struct options *options)
{
	if (options->configuration)
		signal(SIGPIPE, SIG_IGN);
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
		{SIGHUP, on_reload_signal}, {SIGUSR1, on_rotate_signal}};

	for (size_t i = 0; i < SIGNAL_COUNT; i++) {
		daemon->signals[i] = evsignal_new(
			daemon->base, watched[i].number, watched[i].callback, daemon);
		if (!daemon->signals[i] || event_add(daemon->signals[i], NULL) < 0)
			return -ENOMEM;
	}
	daemon->reload = evtimer_new(daemon->base, on_reload_due, daemon);
	ignore_broken_pipes(daemon->options);
	daemon_hold_signals(false);
	return daemon->reload ? 0 : -ENOMEM;
}

static int start_audit(struct daemon *daemon)
{
	static const struct timeval interval = {.tv_sec = AUDIT_S};

	daemon->audit = event_new(daemon->base, -1, EV_PERSIST, on_audit, daemon);
	return daemon->audit && event_add(daemon->audit, &interval) == 0 ? 0 : -ENOMEM;
}

/* A membership is a descriptor: takes what the system allows, and has the kernel make room for them
 * now. As soon as there are threads, it waits 10 to 20 ms for all of them whenever it has to double
 * its table (expand_files()). */
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

static void on_joined(void *argument)
{
	daemon_tell_status(argument);
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
		.reload = daemon_reload,
		.check = check_group,
		.changed = on_joined,
	};
	if (!daemon->options->configuration)
		return 0; /* ad hoc: nobody is to be asked, and several may run */
	fd = handover_claim(daemon->handover, CONTROL_NAME);
	r = control_new(
		daemon->base, &daemon->backend, path, fd < 0 ? 0 : fd, why, &daemon->control);
	if (r < 0)
		log_error("control socket: %s", why);
	return r;
}

static int apply_first(struct daemon *daemon, struct config *config)
{
	AUTO_CHANGES struct config_changes changes = {0};
	AUTO_ERRORS struct errors errors = {0};
	char why[WHY_MAX];
	int r = identity_enter(config, why);

	if (r < 0)
		errors_add(&errors, "%s", why);
	else
		r = daemon_apply(daemon, config, false, &changes, &errors);
	if (r >= 0 && (r = identity_drop()) < 0)
		errors_add(&errors, "giving up root: %s", strerror(-r));

	for (size_t i = 0; r < 0 && i < errors.count; i++)
		log_error("%s", errors.lines[i]);
	return r;
}

/* The counters of an earlier run, or new ones. */
static int open_counters(struct daemon *daemon)
{
	int fd = store_claim(daemon->store, COUNTERS_NAME), r = -ENOENT;

	if (fd >= 0 && (r = counters_open(fd, &daemon->counters)) < 0) {
		log_warning(
			"the counters begin anew: those of the earlier run are not readable: %s",
			strerror(-r));
		store_remove(daemon->store, COUNTERS_NAME);
	}
	if (r >= 0)
		return r;
	r = counters_open(-1, &daemon->counters);
	if (r >= 0)
		store_put(daemon->store, COUNTERS_NAME, counters_fd(daemon->counters));
	return r;
}

/* What may come from an earlier run. */
static int open_store(struct daemon *daemon)
{
	int r = handover_take(&daemon->handover);

	if (r < 0)
		return r;
	daemon->store = store_new(daemon->handover);
	return daemon->store ? open_counters(daemon) : -ENOMEM;
}

static int make_parts(struct daemon *daemon)
{
	int r = open_store(daemon);

	if (r < 0)
		return r;
	daemon->base = event_base_new();
	daemon->handlers = handlers_new(daemon->counters);
	daemon->groups = daemon->base ? groups_new(daemon->base, daemon->counters, daemon->store)
				      : NULL;
	if (!daemon->handlers || !daemon->groups)
		return -ENOMEM;
	/* Before the first look at the interfaces, so that no change falls between. */
	r = link_monitor_new(daemon->base, on_links_changed, daemon, &daemon->links);
	if (r < 0)
		log_error("watching the network interfaces: %s", strerror(-r));
	r = r < 0 ? r : watchdog_new(daemon->base, &daemon->watchdog);
	r = r < 0 ? r : watch_signals(daemon);
	return r < 0 ? r : start_audit(daemon);
}

/* All that is wanted of an earlier run has been taken back. */
static void settle_earlier_run(struct daemon *daemon)
{
	const struct restored *back = groups_restored(daemon->groups);

	if (back->sockets || back->lost)
		log_event(LOG_NOTICE, &(struct log_fields){.message_id = MESSAGE_TAKEN_BACK},
			"going on after an earlier run: %u memberships were never left; since it "
			"last looked the kernel has dropped %" PRIu64 " datagrams there; %" PRIu64
			" were lost that came for groups that have changed or are gone",
			back->sockets, back->kernel_dropped, back->lost);
	if (store_refused(daemon->store))
		log_warning("systemd keeps the sockets of 2048 memberships; %u more are joined "
			    "again after a restart, and receive nothing meanwhile",
			store_refused(daemon->store));
	counters_settle(daemon->counters);
}

int daemon_start(
	const struct options *options, struct config *config, int *ret_status, struct daemon **ret)
{
	CLEANUP(config_freep) struct config *owned = config;
	struct daemon *daemon = calloc(1, sizeof(*daemon));
	char status[STATUS_MAX];
	int r;

	*ret_status = EXIT_FAILURE;
	if (!daemon)
		return -ENOMEM;
	daemon->options = options;
	prepare_descriptors(config->group_count);
	r = make_parts(daemon);
	/* The control socket comes first: it tells whether another daemon runs, before anything of
	 * its is touched. */
	r = r < 0 ? r : open_control(daemon, config->control_socket);
	if (r < 0) {
		daemon_stop(daemon);
		return r;
	}
	notify_extend(START_S);
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
		"mcastd %s started: %s", MCASTD_VERSION, daemon_status(daemon, status));
	notify_ready(strcpy(daemon->status, status));
	store_settle(daemon->store);
	handover_free(take(daemon->handover));
	*ret = daemon;
	return 0;
}

void daemon_run(struct daemon *daemon)
{
	event_base_dispatch(daemon->base);
}

static void free_events(struct daemon *daemon)
{
	for (size_t i = 0; i < SIGNAL_COUNT; i++)
		if (daemon->signals[i])
			event_free(daemon->signals[i]);
	if (daemon->reload)
		event_free(daemon->reload);
	if (daemon->audit)
		event_free(daemon->audit);
}

int daemon_stop(struct daemon *daemon)
{
	bool kept = daemon->store && store_exists(daemon->store);
	uint64_t deadline = clock_ns(CLOCK_MONOTONIC) + (kept ? STOP_KEPT_NS : STOP_NS);
	unsigned stuck;
	int status;

	notify_stopping();
	notify_extend(STOP_NS / NS_PER_S + 5);
	if (daemon->counters)
		counters_keep(daemon->counters);
	link_monitor_free(daemon->links);
	watchdog_free(daemon->watchdog);
	control_free(daemon->control);
	groups_free(daemon->groups);
	handover_free(daemon->handover);
	stuck = handlers_free(daemon->handlers, deadline);
	status = adhoc_finish(daemon->adhoc);
	store_free(daemon->store);
	if (stuck)
		_exit(status);
	adhoc_free(daemon->adhoc);
	free_events(daemon);
	if (daemon->base)
		event_base_free(daemon->base);
	counters_free(daemon->counters);
	config_free(daemon->config);
	free(daemon);
	return status;
}
