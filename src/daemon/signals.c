#include "daemon/signals.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/timer.h"
#include "child/orphans.h"

/* Minimum time between two reloads by signal. Signals in between share the next reload. */
#define RELOAD_NS (100 * NS_PER_MS)

#define SIGNAL_COUNT 5

struct signals {
	struct signals_setup setup;
	struct event watched[SIGNAL_COUNT];
	struct event due; /* the next reload */
	struct reload_request request;
	bool requested, again;
	uint64_t reloaded_ns; /* when the last reload by signal ended, CLOCK_MONOTONIC */
};

static void on_reload_signal(evutil_socket_t signal_number, short what, void *argument)
{
	struct signals *signals = argument;
	uint64_t now = clock_ns(CLOCK_MONOTONIC), due = signals->reloaded_ns + RELOAD_NS;
	struct timeval delay = ns_timeval(due > now ? due - now : 0);

	(void)signal_number, (void)what;
	if (signals->requested)
		signals->again = true;
	else if (!evtimer_pending(&signals->due, NULL))
		timer_start(&signals->due, &delay);
}

static void on_signal_reloaded(struct reload_request *request, int r,
	const struct config_changes *changes, const struct errors *errors)
{
	struct signals *signals = container_of(request, struct signals, request);

	(void)changes;
	if (r < 0)
		log_lines(LOG_ERR, errors);
	signals->reloaded_ns = clock_ns(CLOCK_MONOTONIC);
	signals->requested = false;
	if (signals->again && r != -ECANCELED)
		on_reload_signal(SIGHUP, 0, signals);
}

static void on_reload_due(evutil_socket_t fd, short what, void *argument)
{
	struct signals *signals = argument;

	(void)fd, (void)what;
	signals->requested = true;
	signals->again = false;
	signals->request = (struct reload_request){.done = on_signal_reloaded};
	reloads_add(signals->setup.reloads, &signals->request);
}

static void on_stop_signal(evutil_socket_t signal_number, short what, void *argument)
{
	struct signals *signals = argument;

	(void)what;
	log_info("stopping: %s", strsignal(signal_number));
	event_base_loopbreak(signals->setup.base);
}

static void on_rotate_signal(evutil_socket_t signal_number, short what, void *argument)
{
	struct signals *signals = argument;

	(void)signal_number, (void)what;
	for (size_t i = 0; i < handlers_count(signals->setup.handlers); i++)
		handler_rotate(handlers_at(signals->setup.handlers, i));
}

static void on_child_signal(evutil_socket_t signal_number, short what, void *argument)
{
	(void)signal_number, (void)what, (void)argument;
	orphans_reap();
}

void signals_hold(bool hold)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigprocmask(hold ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
	/* Writing beyond the limit on the size of files (RLIMIT_FSIZE) returns an error. */
	signal(SIGXFSZ, SIG_IGN);
}

static bool is_ignored(int number)
{
	struct sigaction action;

	return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

/* Without a configuration there is nothing to read again: the terminal has gone, unless nohup(1)
 * has it ignored. */
static event_callback_fn callback_of_hangup(const struct signals_setup *setup)
{
	return !setup->is_adhoc ? on_reload_signal : is_ignored(SIGHUP) ? NULL : on_stop_signal;
}

int signals_new(const struct signals_setup *setup, struct signals **ret)
{
	const struct {
		int number;
		event_callback_fn callback;
	} watched[SIGNAL_COUNT] = {{SIGTERM, on_stop_signal}, {SIGINT, on_stop_signal},
		{SIGHUP, callback_of_hangup(setup)}, {SIGUSR1, on_rotate_signal},
		{SIGCHLD, on_child_signal}};
	struct signals *signals = calloc(1, sizeof(*signals));
	int r = 0;

	if (!signals)
		return -ENOMEM;
	signals->setup = *setup;
	evtimer_assign(&signals->due, setup->base, on_reload_due, signals);
	for (size_t i = 0; i < SIGNAL_COUNT; i++) {
		evsignal_assign(&signals->watched[i], setup->base, watched[i].number,
			watched[i].callback, signals);
		if (watched[i].callback && event_add(&signals->watched[i], NULL) < 0)
			r = -ENOMEM;
	}
	if (r < 0) {
		signals_free(signals);
		return r;
	}
	/* Without SIGPIPE, writing to a closed pipe or socket returns an error. */
	if (!setup->is_adhoc)
		signal(SIGPIPE, SIG_IGN);
	signals_hold(false);
	*ret = signals;
	return 0;
}

void signals_free(struct signals *signals)
{
	if (!signals)
		return;
	for (size_t i = 0; i < SIGNAL_COUNT; i++)
		event_del(&signals->watched[i]);
	evtimer_del(&signals->due);
	free(signals);
}
