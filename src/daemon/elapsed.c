#include "daemon/elapsed.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"

static void show(const char *what, unsigned seconds)
{
	AUTO_TEXT struct text line = {0};

	/* Whatever else is written to the terminal overwrites it. */
	text_printf(&line, "%s: %u s\x1b[K\r", what, seconds);
	write_all(STDERR_FILENO, line.data, line.length);
}

static void *run(void *context)
{
	struct elapsed *elapsed = context;
	struct timespec deadline;
	unsigned seconds = 0;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	pthread_mutex_lock(&elapsed->mutex);
	while (!elapsed->has_ended) {
		deadline.tv_sec++;
		while (!elapsed->has_ended &&
			pthread_cond_clockwait(&elapsed->ended, &elapsed->mutex, CLOCK_MONOTONIC,
				&deadline) != ETIMEDOUT)
			;
		if (!elapsed->has_ended)
			show(elapsed->what, ++seconds);
	}
	pthread_mutex_unlock(&elapsed->mutex);
	if (seconds)
		write_all(STDERR_FILENO, "\x1b[K", 3);
	return NULL;
}

void elapsed_begin(struct elapsed *elapsed, const char *what)
{
	const char *term = getenv("TERM");
	sigset_t all, before;

	*elapsed = (struct elapsed){.what = what};
	if (!isatty(STDERR_FILENO) || !term || !*term || !strcmp(term, "dumb"))
		return;
	pthread_mutex_init(&elapsed->mutex, NULL);
	pthread_cond_init(&elapsed->ended, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	elapsed->is_running = !pthread_create(&elapsed->thread, NULL, run, elapsed);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void elapsed_end(struct elapsed *elapsed)
{
	if (!elapsed->is_running)
		return;
	pthread_mutex_lock(&elapsed->mutex);
	elapsed->has_ended = true;
	pthread_cond_signal(&elapsed->ended);
	pthread_mutex_unlock(&elapsed->mutex);
	pthread_join(elapsed->thread, NULL);
	elapsed->is_running = false;
}
