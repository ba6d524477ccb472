/* exec: a program for each datagram, with the payload as its standard input and the rest in its
 * environment.
 *
 * At most max_running programs run at a time: the handler is not ready() for another datagram until
 * one of them is over, and what is received meanwhile waits in its queue. A datagram is delivered
 * when its program is over, whatever its status: the counters tell that. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "child/child.h"
#include "child/environment.h"
#include "child/trust.h"
#include "handlers/failure.h"
#include "handlers/handler.h"

#define OUTPUT_LINES_MAX 64 /* of one program */

/* MFD_NOEXEC_SEAL of Linux 6.3: nobody may execute a payload. */
#define MEMFD_NOEXEC_SEAL 8u

enum { COUNTED_TIMED_OUT = CHILD_ENDS, COUNTED_SPAWN_FAILED };

static const char *const exec_counters[] = {CHILD_COUNTERS, "timedOut", "spawnFailed", NULL};

struct exec_settings {
	struct string_list command; /* first, for program_check() */
	int64_t max_running;
	uint64_t timeout;
};

struct slot {
	struct child child; /* its pid is 0: the slot is free */
	uint64_t timeout_ns; /* when to end it, CLOCK_MONOTONIC */
	bool timed_out;
	bool shutdown; /* ended because the handler does */
};

struct exec_handler {
	const char *name;
	struct program program;
	struct slot *slots;
	unsigned max_running, running;
	uint64_t timeout; /* ns */
	uint64_t due_ns; /* when to look at all slots: not after the first of them is due */
	struct failure failure; /* to start one */
	struct log_limit end_limit;
};

static const struct key exec_keys[] = {
	PROGRAM_KEYS,
	{.name = "max_running",
		.type = KEY_NUMBER,
		.offset = offsetof(struct exec_settings, max_running),
		.min = 1,
		.max = 1024,
		.fallback = "8",
		.help = "How many of it may run at a time."},
	{.name = "timeout",
		.type = KEY_DURATION,
		.offset = offsetof(struct exec_settings, timeout),
		.min = 10 * NS_PER_MS,
		.max = 86400 * (int64_t)NS_PER_S,
		.fallback = "30s",
		.help = "How long it may run until it gets SIGTERM, and SIGKILL a second later, "
			"with its process group."},
};

static unsigned exec_needs(const void *settings)
{
	(void)settings;
	return NEED_ALL;
}

static void exec_close(void *object)
{
	struct exec_handler *exec = object;

	if (!exec)
		return;
	for (unsigned i = 0; exec->slots && i < exec->max_running; i++)
		child_abandon(&exec->slots[i].child);
	program_close(&exec->program);
	free(exec->slots);
	free(exec);
}

static int exec_open(const void *settings, const struct handler_context *context,
	char why[static WHY_MAX], void **ret)
{
	const struct exec_settings *wanted = settings;
	struct exec_handler *exec = calloc(1, sizeof(*exec));
	int r;

	if (!exec)
		return -ENOMEM;
	exec->name = exec->failure.name = context->name;
	exec->max_running = (unsigned)wanted->max_running;
	exec->timeout = wanted->timeout;
	exec->slots = calloc(exec->max_running, sizeof(*exec->slots));
	r = program_open(&exec->program, context->name, &wanted->command, OUTPUT_LINES_MAX);
	if (r >= 0 && !exec->slots)
		r = -ENOMEM;
	if (r < 0) {
		exec_close(exec);
		return because(why, r, "%s", strerror(-r));
	}
	*ret = exec;
	return 0;
}

/* A file in memory, which unlike a pipe takes any size at once; sealed, so that it stays what was
 * received. */
static int open_payload(const struct datagram *datagram)
{
	AUTO_CLOSE int fd = memfd_create(
		"payload", MFD_CLOEXEC | MFD_ALLOW_SEALING | MEMFD_NOEXEC_SEAL);
	int r;

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("payload", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	r = write_all(fd, datagram->payload, datagram->size);
	if (r < 0)
		return r;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0 ||
		lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	return take_fd(fd);
}

static int start(struct exec_handler *exec, struct slot *slot, const struct origin *origin,
	const struct datagram *datagram)
{
	AUTO_CLOSE int payload = open_payload(datagram);
	struct child_environment environment;

	if (payload < 0)
		return payload;
	child_environment_begin(&environment);
	child_environment_describe(&environment, origin, datagram);
	return child_start(&slot->child, &exec->program, environment.list, payload, slot);
}

/* When to look at a slot next. */
static uint64_t slot_due(const struct slot *slot)
{
	return slot->child.state == CHILD_RUNS ? slot->timeout_ns : slot->child.due_ns;
}

static void tell_not_started(struct exec_handler *exec, int r)
{
	const char *program = exec->program.command.items[0];
	char fix[WHY_MAX];

	if (failure_is_new(&exec->failure, r))
		failure_tell(&exec->failure, r, "starting %s: %s%s", program, strerror(-r),
			program_fix(r, program, fix));
}

static void deliver_one(struct exec_handler *exec, const struct origin *origin,
	const struct datagram *datagram, struct outcome *outcome)
{
	struct slot *slot = exec->slots;
	int r;

	while (slot->child.pid)
		slot++;
	r = start(exec, slot, origin, datagram);
	if (r < 0) {
		outcome->dropped[DROP_IO]++;
		outcome->counted[COUNTED_SPAWN_FAILED]++;
		tell_not_started(exec, r);
		return;
	}
	if (failure_end(&exec->failure))
		log_notice("handler %s: %s can be started again", exec->name,
			exec->program.command.items[0]);
	exec->running++;
	slot->timed_out = slot->shutdown = false;
	slot->timeout_ns = clock_ns(CLOCK_MONOTONIC) + exec->timeout;
	exec->due_ns = earlier_ns(exec->due_ns, slot->timeout_ns);
}

/* Counts what became of the datagram, and logs failures, but not each of them. */
static void settle(struct exec_handler *exec, const struct slot *slot, pid_t pid, int status,
	struct outcome *outcome)
{
	char string[CHILD_STATUS_MAX];

	exec->running--;
	if (slot->shutdown) {
		outcome->dropped[DROP_SHUTDOWN]++;
		return;
	}
	outcome->delivered++;
	outcome->counted[slot->timed_out ? COUNTED_TIMED_OUT : (int)child_end(status)]++;
	if ((status || slot->timed_out) && log_limit_pass(&exec->end_limit))
		log_warning("handler %s: process %d: %s%s", exec->name, (int)pid,
			slot->timed_out ? "ran for too long and " : "",
			child_status(status, string));
}

/* Does what is due for a slot, and ends a program that has timed out. */
static void step(
	struct exec_handler *exec, struct slot *slot, uint64_t now, struct outcome *outcome)
{
	pid_t pid = slot->child.pid;
	int status;

	if (!pid)
		return;
	if (child_step(&slot->child, &exec->program, &status)) {
		settle(exec, slot, pid, status, outcome);
		return;
	}
	if (slot->child.state == CHILD_RUNS && now >= slot->timeout_ns) {
		slot->timed_out = true;
		child_terminate(&slot->child, now + CHILD_GRACE_NS);
	}
	exec->due_ns = earlier_ns(exec->due_ns, slot_due(slot));
}

static void exec_serve(void *object, struct outcome *outcome)
{
	struct exec_handler *exec = object;
	struct epoll_event events[64];
	unsigned rounds = 1 + 2 * exec->max_running / ARRAY_SIZE(events); /* each has one turn */
	uint64_t now;
	int n;

	do {
		now = clock_ns(CLOCK_MONOTONIC);
		n = epoll_wait(exec->program.epoll, events, ARRAY_SIZE(events), 0);
		for (int i = 0; i < n; i++)
			step(exec, events[i].data.ptr, now, outcome);
	} while (n == (int)ARRAY_SIZE(events) && --rounds);
	if (!exec->due_ns || now < exec->due_ns)
		return;
	exec->due_ns = 0;
	for (unsigned i = 0; i < exec->max_running; i++) {
		struct slot *slot = &exec->slots[i];
		uint64_t due = slot->child.pid ? slot_due(slot) : 0;

		if (due && now >= due)
			step(exec, slot, now, outcome);
		else
			exec->due_ns = earlier_ns(exec->due_ns, due);
	}
}

/* Serves first: while there are datagrams and free slots, nothing else does. */
static void exec_deliver(void *object, const struct batch *batch, struct outcome *outcome)
{
	exec_serve(object, outcome);
	for (unsigned i = 0; i < batch->count; i++)
		deliver_one(object, batch->origin, &batch->datagrams[i], outcome);
}

static const char *exec_error(const void *object)
{
	return failure_text(&((const struct exec_handler *)object)->failure);
}

static bool exec_ready(const void *object)
{
	const struct exec_handler *exec = object;

	return exec->running < exec->max_running;
}

static uint64_t exec_deadline(const void *object)
{
	return ((const struct exec_handler *)object)->due_ns;
}

static int exec_descriptor(const void *object)
{
	return ((const struct exec_handler *)object)->program.epoll;
}

static void serve_until(struct exec_handler *exec, uint64_t until_ns, struct outcome *outcome)
{
	while (exec->running && clock_ns(CLOCK_MONOTONIC) < until_ns) {
		program_wait(&exec->program, earlier_ns(exec->due_ns, until_ns));
		exec_serve(exec, outcome);
	}
}

static void exec_finish(void *object, uint64_t until_ns, struct outcome *outcome)
{
	struct exec_handler *exec = object;
	uint64_t kill_ns;

	serve_until(exec, child_term_ns(until_ns), outcome);
	kill_ns = child_kill_ns(until_ns);
	for (unsigned i = 0; i < exec->max_running; i++) {
		struct slot *slot = &exec->slots[i];

		if (!slot->child.pid)
			continue;
		slot->shutdown = slot->child.state == CHILD_RUNS;
		child_terminate(&slot->child, kill_ns);
		exec->due_ns = earlier_ns(exec->due_ns, kill_ns);
	}
	/* A killed program is gone at once, unless it hangs in the kernel. */
	serve_until(exec, kill_ns + CHILD_GRACE_NS / 4, outcome);
}

const struct handler_kind exec_kind = {
	.config = {.name = "exec",
		.may_block = true,
		.schema = {exec_keys, ARRAY_SIZE(exec_keys), sizeof(struct exec_settings)},
		.check = program_check},
	.counters = exec_counters,
	.needs = exec_needs,
	.doubt = program_doubt,
	.open = exec_open,
	.error = exec_error,
	.deliver = exec_deliver,
	.deadline = exec_deadline,
	.descriptor = exec_descriptor,
	.serve = exec_serve,
	.ready = exec_ready,
	.batch_max = 1,
	.finish = exec_finish,
	.finish_waits = true,
	.close = exec_close,
};
