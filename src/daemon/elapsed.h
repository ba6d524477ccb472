/* Says on a terminal's standard error how long something takes that takes longer than a second. */
#pragma once

#include <pthread.h>
#include <stdbool.h>

struct elapsed {
	const char *what;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t ended;
	bool is_running; /* the thread */
	bool has_ended; /* under the mutex */
};

/* what, such as "checking /etc/mcastd.conf", must live until elapsed_end(). */
void elapsed_begin(struct elapsed *elapsed, const char *what);

/* Erases the line. To be called before anything else is written. */
void elapsed_end(struct elapsed *elapsed);
