#include "child/orphans.h"

#include <dirent.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "child/child.h"

#define POLL_MS 10

/* How long to wait after SIGKILL: longer takes only a process that hangs in the kernel. */
#define KILLED_NS (NS_PER_S / 4)

DEFINE_CLEANUP(DIR *, closedir)

/* They are in sessions of their own, and so in no process group of the daemon's. */
static void signal_group(pid_t pid, int number)
{
	pid_t group = getpgid(pid);

	if (group > 1 && group != getpgrp())
		kill(-group, number);
	else
		kill(pid, number);
}

/* Sends a signal to the children of a thread; 0: none. Returns their number. */
static unsigned signal_thread(const char *thread, int number)
{
	char path[NAME_MAX + 32];
	CLEANUP(fclosep) FILE *file = NULL;
	unsigned count = 0;
	int pid;

	snprintf(path, sizeof(path), "/proc/self/task/%s/children", thread);
	file = fopen(path, "re");
	for (; file && fscanf(file, "%d", &pid) == 1; count++)
		if (number)
			signal_group(pid, number);
	return count;
}

static unsigned signal_children(int number)
{
	CLEANUP(closedirp) DIR *threads = opendir("/proc/self/task");
	const struct dirent *thread;
	unsigned count = 0;

	while (threads && (thread = readdir(threads)))
		if (thread->d_name[0] != '.')
			count += signal_thread(thread->d_name, number);
	return count;
}

bool orphans_adopt(void)
{
	return !signal_children(0) && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0;
}

void orphans_reap(void)
{
	while (waitpid(-1, NULL, WNOHANG | __WNOTHREAD) > 0)
		;
}

/* Orphans become children of the main thread, which is the first one; those of a thread that has
 * ended, too. */
unsigned orphans_end(void)
{
	uint64_t kill_ns = clock_ns(CLOCK_MONOTONIC) + CHILD_GRACE_NS;
	unsigned left;

	orphans_reap();
	for (left = signal_children(SIGTERM); left;) {
		uint64_t now = clock_ns(CLOCK_MONOTONIC);

		if (now >= kill_ns + KILLED_NS)
			return left;
		poll(NULL, 0, POLL_MS);
		orphans_reap();
		left = signal_children(now >= kill_ns ? SIGKILL : 0);
	}
	return 0;
}
