#include "child/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"

/* So long SIGTERM works at the least, also where the time is over already. */
#define LAST_GRACE_NS (NS_PER_S / 2)

/* A copy of the strings with NULL at its end, in one piece; NULL without memory. */
static char **copy_arguments(const struct string_list *list)
{
	size_t size = (list->count + 1) * sizeof(char *);
	char **arguments, *at;

	for (size_t i = 0; i < list->count; i++)
		size += strlen(list->items[i]) + 1;
	arguments = malloc(size);
	if (!arguments)
		return NULL;
	at = (char *)(arguments + list->count + 1);
	for (size_t i = 0; i < list->count; i++) {
		arguments[i] = at;
		at = stpcpy(at, list->items[i]) + 1;
	}
	arguments[list->count] = NULL;
	return arguments;
}

int program_open(struct program *program, const char *name, const struct string_list *command,
	unsigned lines_max)
{
	*program = (struct program){.argv = copy_arguments(command),
		.epoll = -1,
		.lines_max = lines_max,
		.budget.name = name};
	if (!program->argv)
		return -ENOMEM;
	program->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (program->epoll < 0)
		return -errno;
	/* Where whoever started the daemon ignored it, nobody could wait for children
	 * (sigaction(2)). */
	signal(SIGCHLD, SIG_DFL);
	return 0;
}

void program_close(struct program *program)
{
	closep(&program->epoll);
	free(program->argv);
}

void program_wait(const struct program *program, uint64_t until_ns)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	struct timespec left = ns_timespec(until_ns > now ? until_ns - now : 0);

	ppoll(&(struct pollfd){.fd = program->epoll, .events = POLLIN}, 1, &left, NULL);
}

/* All signals at their default and none blocked, whatever the thread that starts it has; and no
 * terminal. */
static int set_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_setsigmask(attributes, &none);
	posix_spawnattr_setsigdefault(attributes, &all);
	return posix_spawnattr_setflags(
		attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

/* What stays open, and where it starts. */
static int set_actions(posix_spawn_file_actions_t *actions, int input, int output)
{
	int r = posix_spawn_file_actions_adddup2(actions, input, STDIN_FILENO);

	r = r ? r : posix_spawn_file_actions_adddup2(actions, output, STDOUT_FILENO);
	r = r ? r : posix_spawn_file_actions_adddup2(actions, output, STDERR_FILENO);
	r = r ? r : posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
	return r ? r : posix_spawn_file_actions_addchdir_np(actions, "/");
}

/* posix_spawn() and not fork(): it copies no page table, and the child runs no code of ours that
 * another thread has left in the middle of something. */
static int spawn(char *const *argv, char *const *environment, int input, int output, pid_t *ret)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int r = posix_spawn_file_actions_init(&actions);

	if (r)
		return -r;
	r = posix_spawnattr_init(&attributes);
	if (!r) {
		r = set_attributes(&attributes);
		r = r ? r : set_actions(&actions, input, output);
		r = r ? r : posix_spawn(ret, argv[0], &actions, &attributes, argv, environment);
		posix_spawnattr_destroy(&attributes);
	}
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

/* The reading end does not block; the writing end is the child's, and does. */
static int open_output(int ret_ends[2])
{
	int r;

	if (pipe2(ret_ends, O_CLOEXEC) < 0)
		return -errno;
	if (fcntl(ret_ends[0], F_SETFL, O_NONBLOCK) == 0)
		return 0;
	r = -errno;
	close(ret_ends[0]);
	close(ret_ends[1]);
	return r;
}

static int add_to_set(int epoll, int fd, void *data)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = data};

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* Watches what was started, or ends it where that is not possible. */
static int watch(struct child *child, int epoll, void *data)
{
	int r;

	/* pidfd_open(2), for which older C libraries have no function. It is close-on-exec by
	 * itself. */
	child->watch = (int)syscall(SYS_pidfd_open, child->pid, 0);
	r = child->watch < 0 ? -errno : add_to_set(epoll, child->watch, data);
	r = r < 0 ? r : add_to_set(epoll, child->output.fd, data);
	if (r < 0) {
		kill(-child->pid, SIGKILL);
		waitpid(child->pid, NULL, 0);
		child_abandon(child);
	}
	return r;
}

int child_start(struct child *child, const struct program *program, char *const *environment,
	int input, void *data)
{
	int ends[2], r = open_output(ends);

	if (r < 0)
		return r;
	r = spawn(program->argv, environment, input, ends[1], &child->pid);
	close(ends[1]);
	if (r < 0) {
		close(ends[0]);
		child->pid = 0;
		return r;
	}
	child->state = CHILD_RUNS;
	child->due_ns = 0;
	output_begin(&child->output, ends[0], child->pid, program->lines_max);
	return watch(child, program->epoll, data);
}

/* Whether the program itself has ended. It is not reaped yet: until then nobody else gets its
 * number, which is also that of its process group. Its descriptor, which would stay readable,
 * leaves the set by being closed. */
static bool has_ended(struct child *child)
{
	siginfo_t info = {0};

	if (child->watch >= 0 &&
		waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
		!info.si_pid)
		return false;
	closep(&child->watch);
	child->watch = -1;
	return true;
}

static bool is_due(const struct child *child)
{
	return child->due_ns && clock_ns(CLOCK_MONOTONIC) >= child->due_ns;
}

static void kill_group(struct child *child)
{
	kill(-child->pid, SIGKILL);
	child->state = CHILD_KILLED;
	child->due_ns = 0;
}

/* Whether nothing that a program left when it ended is to be waited for: only what holds its output
 * open is. */
static bool is_over(struct child *child)
{
	if (child->state == CHILD_RUNS) {
		child->state = CHILD_LINGERS;
		child->due_ns = clock_ns(CLOCK_MONOTONIC) + CHILD_GRACE_NS;
	}
	if (child->output.fd >= 0 && child->state != CHILD_KILLED && !is_due(child))
		return false;
	if (child->state == CHILD_TERMINATED)
		kill_group(child);
	else if (child->state == CHILD_LINGERS && child->output.fd >= 0)
		kill(-child->pid, SIGTERM);
	return true;
}

bool child_step(struct child *child, struct program *program, int *ret_status)
{
	int status = 0;
	bool ended;

	output_read(&child->output, &program->budget);
	ended = has_ended(child);
	if (child->state == CHILD_TERMINATED && is_due(child))
		kill_group(child);
	if (!ended || !is_over(child))
		return false;
	waitpid(child->pid, &status, 0);
	output_end(&child->output, &program->budget);
	child->pid = 0;
	child->due_ns = 0;
	*ret_status = status;
	return true;
}

/* A stopped program is continued, so that it can take the signal. */
void child_terminate(struct child *child, uint64_t kill_ns)
{
	if (child->state == CHILD_KILLED)
		return;
	kill(-child->pid, SIGTERM);
	kill(-child->pid, SIGCONT);
	child->state = CHILD_TERMINATED;
	child->due_ns = kill_ns;
}

void child_abandon(struct child *child)
{
	if (!child->pid)
		return;
	closep(&child->watch);
	closep(&child->output.fd);
	child->watch = child->output.fd = -1;
	child->pid = 0;
}

uint64_t child_term_ns(uint64_t until_ns)
{
	return until_ns > CHILD_GRACE_NS ? until_ns - CHILD_GRACE_NS : 0;
}

uint64_t child_kill_ns(uint64_t until_ns)
{
	uint64_t soonest = clock_ns(CLOCK_MONOTONIC) + LAST_GRACE_NS;

	return until_ns > soonest ? until_ns : soonest;
}

enum child_end child_end(int status)
{
	if (!WIFEXITED(status))
		return CHILD_SIGNALLED;
	return WEXITSTATUS(status) ? CHILD_EXITED_OTHER : CHILD_EXITED_0;
}

const char *child_status(int status, char string[static CHILD_STATUS_MAX])
{
	const char *name = WIFSIGNALED(status) ? sigabbrev_np(WTERMSIG(status)) : NULL;

	if (WIFEXITED(status))
		snprintf(string, CHILD_STATUS_MAX, "exited with status %d", WEXITSTATUS(status));
	else if (name)
		snprintf(string, CHILD_STATUS_MAX, "was ended by SIG%s", name);
	else
		snprintf(string, CHILD_STATUS_MAX, "was ended by signal %d", WTERMSIG(status));
	return string;
}
