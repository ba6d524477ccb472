#include "net/background.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/timer.h"

/* The user database may load modules with buffers of their own (nsswitch.conf(5)). */
#define STACK_SIZE (1024 * 1024)

/* The thread ends with its work. One that waited for more would make each call of the loop that has
 * a descriptor slower: the kernel counts references to files in processes with threads. */
struct background {
	struct event finished;
	int wake; /* eventfd(2): the work is done */
	pthread_t thread;
	bool has_thread;
	bool is_running;
	bool may_wait; /* the work: the loop must not do it */
	bool waits; /* for a thread to be had */
	struct event again;
	struct log_limit limit;
	void (*work)(void *argument);
	void (*done)(void *argument);
	void *argument;
};

static void *run(void *argument)
{
	struct background *background = argument;

	background->work(background->argument);
	eventfd_write(background->wake, 1);
	return NULL;
}

static void finish(struct background *background)
{
	eventfd_t count;

	if (background->has_thread)
		pthread_join(background->thread, NULL);
	background->has_thread = background->is_running = false;
	eventfd_read(background->wake, &count);
}

/* Signals are handled in the loop. */
static void start_thread(struct background *background)
{
	static const struct timeval delay = {.tv_usec = 100 * 1000};
	sigset_t all, before;
	pthread_attr_t attributes;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	error = pthread_create(&background->thread, &attributes, run, background);
	pthread_attr_destroy(&attributes);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	background->has_thread = !error;
	background->waits = error && background->may_wait;
	if (error && !background->waits)
		run(background);
	if (!background->waits)
		return;
	timer_start(&background->again, &delay);
	if (log_limit_pass(&background->limit))
		log_warning("no thread to work in the background: %s; trying again, raise "
			    "TasksMax= if it lasts",
			strerror(error));
}

static void on_again(evutil_socket_t fd, short what, void *argument)
{
	(void)fd, (void)what;
	start_thread(argument);
}

static void on_finished(evutil_socket_t fd, short what, void *argument)
{
	(void)fd, (void)what;
	background_wait(argument);
}

struct background *background_new(struct event_base *base, bool may_wait,
	void (*work)(void *argument), void (*done)(void *argument), void *argument)
{
	struct background *background = calloc(1, sizeof(*background));

	if (!background)
		return NULL;
	background->may_wait = may_wait;
	background->work = work;
	background->done = done;
	background->argument = argument;
	background->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (background->wake < 0) {
		free(background);
		return NULL;
	}
	event_assign(&background->finished, base, background->wake, EV_READ | EV_PERSIST,
		on_finished, background);
	evtimer_assign(&background->again, base, on_again, background);
	if (event_add(&background->finished, NULL) < 0) {
		background_free(background);
		return NULL;
	}
	return background;
}

void background_free(struct background *background)
{
	if (!background)
		return;
	if (background->is_running && !background->waits)
		finish(background);
	event_del(&background->again);
	event_del(&background->finished);
	close(background->wake);
	free(background);
}

void background_start(struct background *background)
{
	if (background->is_running)
		return;
	background->is_running = true;
	start_thread(background);
}

void background_wait(struct background *background)
{
	if (!background->is_running)
		return;
	/* Whoever waits has it done without a thread as well. */
	if (background->waits)
		run(background);
	event_del(&background->again);
	background->waits = false;
	finish(background);
	background->done(background->argument);
}

bool background_wait_for(struct background *background, uint64_t timeout_ns)
{
	struct pollfd wake = {.fd = background->wake, .events = POLLIN};
	struct timespec timeout = {(time_t)(timeout_ns / NS_PER_S), (long)(timeout_ns % NS_PER_S)};

	if (background->is_running && ppoll(&wake, 1, &timeout, NULL) > 0)
		background_wait(background);
	return !background->is_running;
}
