#include "child/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/io.h"

/* Minimum time from SIGTERM to SIGKILL. */
#define LAST_GRACE_NS (NS_PER_S / 2)

/* If the daemon was started with SIGCHLD ignored, children could not be waited for (sigaction(2)).
 */
static void allow_waiting(void)
{
	struct sigaction action;

	if (sigaction(SIGCHLD, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
		signal(SIGCHLD, SIG_DFL);
}

int program_open(struct program *program, const char *name, const struct string_list *command,
	unsigned lines_max)
{
	int r = 0;

	*program = (struct program){.lines_max = lines_max, .budget.name = name};
	program->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (program->epoll < 0)
		return -errno;
	for (size_t i = 0; i < command->count && r >= 0; i++)
		r = string_list_add(&program->command, command->items[i]);
	allow_waiting();
	return r < 0 ? r : array_add(&program->command, NULL);
}

void program_close(struct program *program)
{
	closep(&program->epoll);
	string_list_clear(&program->command);
}

void program_wait(const struct program *program, uint64_t until_ns)
{
	wait_until_ready(program->epoll, POLLIN, until_ns);
}

/* A session of its own, all signals at their default, and none blocked. */
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

/* The standard descriptors, no others, and the root directory. */
static int set_actions(posix_spawn_file_actions_t *actions, int input, int output)
{
	int r = posix_spawn_file_actions_adddup2(actions, input, STDIN_FILENO);

	r = r ? r : posix_spawn_file_actions_adddup2(actions, output, STDOUT_FILENO);
	r = r ? r : posix_spawn_file_actions_adddup2(actions, output, STDERR_FILENO);
	r = r ? r : posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
	return r ? r : posix_spawn_file_actions_addchdir_np(actions, "/");
}

/* posix_spawn() copies no page table, unlike fork(), and runs no code of ours in the child, where
 * other threads' locks would stay locked. */
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

int child_pipe(int ret_ends[2], int own)
{
	if (pipe2(ret_ends, O_CLOEXEC) < 0)
		return -errno;
	fcntl(ret_ends[own], F_SETFL, O_NONBLOCK); /* does not fail for a pipe */
	return 0;
}

static int add_to_set(int epoll, int fd, void *data)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = data};

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* Watches what was started, or ends it if that fails. */
static int watch(struct child *child, int epoll, void *data)
{
	int r;

	/* pidfd_open(2), for which older C libraries have no function. Sets close-on-exec. */
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
	int ends[2], r = child_pipe(ends, 0);

	if (r < 0)
		return r;
	r = spawn(program->command.items, environment, input, ends[1], &child->pid);
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

/* Whether the program itself has ended. It is not reaped yet: that keeps its number, which is also
 * that of its process group, from being used again. Its descriptor would stay readable: closing it
 * removes it from the set. */
static bool has_ended(struct child *child)
{
	siginfo_t info = {0};

	if (child->watch >= 0 &&
		waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
		!info.si_pid)
		return false;
	closep(&child->watch);
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

/* Continues a stopped program, so that it can take the signal. */
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
	child->pid = 0;
}

/* The share of one of the last steps in the time that is left. */
static uint64_t share_ns(uint64_t until_ns, unsigned steps)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	uint64_t share = until_ns > now ? (until_ns - now) / steps : 0;

	return share < CHILD_GRACE_NS ? share : CHILD_GRACE_NS;
}

uint64_t child_input_ns(uint64_t until_ns)
{
	return until_ns - 2 * share_ns(until_ns, 3);
}

uint64_t child_term_ns(uint64_t until_ns)
{
	return until_ns - share_ns(until_ns, 2);
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
