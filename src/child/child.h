/* A program that a handler runs: without a shell, in a session of its own, inheriting nothing from
 * the daemon but what it is given. It is watched through descriptors in an epoll(7) set, without
 * waiting.
 *
 * A child is over when the program itself has ended and its output is at its end. What it left in
 * the background with the output still open belongs to it: it gets CHILD_GRACE_NS, and then
 * SIGTERM; or, after child_terminate(), until kill_ns, and then SIGKILL. What has detached from the
 * output goes on until the daemon stops (orphans.h); or, after child_terminate(), is killed when
 * the program has ended. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/errors.h"
#include "config/schema.h"
#include "child/output.h"

/* From SIGTERM to SIGKILL for a program, and from its end to SIGTERM for what it left behind. */
#define CHILD_GRACE_NS 1000000000ull

/* What is the same for all children of a handler. */
struct program {
	struct string_list command; /* with NULL at its end */
	int epoll; /* the set that they are watched in */
	unsigned lines_max; /* of each child's output, 0: no such limit */
	struct output_budget budget;
};

/* name, the handler's, is for the log, and must outlive the program. Returns 0 or a negative errno;
 * program_close() must be called in any case. */
int program_open(struct program *program, const char *name, const struct string_list *command,
	unsigned lines_max);
void program_close(struct program *program);

/* Waits until something in the set is ready, but not past until_ns (CLOCK_MONOTONIC). */
void program_wait(const struct program *program, uint64_t until_ns);

enum child_state {
	CHILD_RUNS,
	CHILD_LINGERS, /* the program has ended, its output has not */
	CHILD_TERMINATED,
	CHILD_KILLED,
};

struct child {
	pid_t pid; /* and its process group; 0: there is none */
	int watch; /* pidfd_open(2): readable when the program has ended; -1: seen to have ended */
	enum child_state state;
	uint64_t due_ns; /* when the state changes by itself; 0: it does not */
	struct output output;
};

/* A pipe to or from a child: the end own, 0 or 1, is the daemon's and does not block. Returns 0 or
 * a negative errno. */
int child_pipe(int ret_ends[2], int own);

/* Starts the program with an environment and a standard input, watched with data as its
 * epoll_data.ptr. child is zeroed or over. Returns 0 or a negative errno, also that of execve(2).
 */
int child_start(struct child *child, const struct program *program, char *const *environment,
	int input, void *data);

/* Does what is due: to be called when one of its descriptors is ready, and at due_ns. Returns
 * whether the child is over: it is then reaped, and all its descriptors are closed. The status is
 * that of waitpid(2). */
bool child_step(struct child *child, struct program *program, int *ret_status);

/* Sends its process group SIGTERM, and SIGKILL at kill_ns (CLOCK_MONOTONIC). */
void child_terminate(struct child *child, uint64_t kill_ns);

/* Closes the descriptors of a child that is not over, if there is one, and forgets it. */
void child_abandon(struct child *child);

/* When to end the input of what has to be over at until_ns, when to terminate it, and when to kill
 * it. Each step has CHILD_GRACE_NS, or its share of less time. The time to kill is half a second
 * from now at the earliest. */
uint64_t child_input_ns(uint64_t until_ns);
uint64_t child_term_ns(uint64_t until_ns);
uint64_t child_kill_ns(uint64_t until_ns);

/* How a program ended. Also the first counters of each kind that runs programs. */
enum child_end { CHILD_EXITED_0, CHILD_EXITED_OTHER, CHILD_SIGNALLED, CHILD_ENDS };
#define CHILD_COUNTERS "exited0", "exitedOther", "signalled"

enum child_end child_end(int status);

/* "exited with status 3", "was ended by SIGKILL". Returns string. */
#define CHILD_STATUS_MAX 48
const char *child_status(int status, char string[static CHILD_STATUS_MAX]);
