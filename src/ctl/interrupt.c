#include "ctl/interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/eventfd.h>

/* A signal handler has no argument of ours: the only state that is not passed around. */
static volatile sig_atomic_t came;
static int wake_fd = -1;

static void on_signal(int number)
{
	int saved = errno;

	(void)number;
	came = true;
	eventfd_write(wake_fd, 1);
	errno = saved;
}

int interrupt_catch(void)
{
	static const int signals[] = {SIGINT, SIGTERM};
	const struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};
	struct sigaction before;

	wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (wake_fd < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			sigaction(signals[i], &action, NULL);
	return wake_fd;
}

bool interrupted(void)
{
	return came;
}
