#include "ctl/interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"

/* A signal handler has no argument: this is the only state that is not passed around. */
static volatile sig_atomic_t interrupted; /* the signal's number */
static int interrupt_fd = -1;

static void on_signal(int number)
{
	int saved = errno;

	interrupted = number;
	eventfd_write(interrupt_fd, 1);
	errno = saved;
}

int interrupt_catch(void)
{
	static const int signals[] = {SIGINT, SIGTERM};
	const struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};
	struct sigaction before;

	interrupt_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (interrupt_fd < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			sigaction(signals[i], &action, NULL);
	return interrupt_fd;
}

bool interrupt_came(void)
{
	return interrupted;
}

void interrupt_end(void)
{
	if (interrupted)
		raise(interrupted);
}
