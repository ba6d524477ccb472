/* pipe: one program that runs as long as the handler does, with the datagrams on its standard
 * input.
 *
 * Each batch is framed into records (child/records.h), which are written as far as the pipe takes
 * them; until all are, the handler is not ready() for more, and what is received waits in its
 * queue. A program that has ended is restarted after a pause (child/backoff.h); one that has closed
 * its standard input is ended first. What was not written yet goes to the new one, which starts
 * with a whole record: one that was partly written is dropped. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "child/child.h"
#include "child/backoff.h"
#include "child/environment.h"
#include "child/records.h"
#include "child/trust.h"
#include "handlers/failure.h"
#include "handlers/handler.h"

/* COUNTED_PAUSES is the sum of the pauses before restarts, in milliseconds: with COUNTED_RESTARTS
 * it tells how far they have grown. COUNTED_NUL is of what framing = "nul" could not carry. */
enum { COUNTED_SPAWN_FAILED = CHILD_ENDS, COUNTED_RESTARTS, COUNTED_PAUSES, COUNTED_NUL };

static const char *const pipe_counters[] = {
	CHILD_COUNTERS, "spawnFailed", "restarts", "backoffMilliseconds", "containsNul", NULL};

struct pipe_settings {
	struct string_list command; /* first, for program_check() */
	int framing;
};

struct pipe_handler {
	const char *name;
	struct program program;
	enum framing framing;
	struct records records; /* of one batch */
	struct child child;
	int input; /* of the child, non-blocking; -1: there is none */
	bool is_watched; /* the input is watched for room */
	bool finishing; /* the program is not restarted */
	struct backoff backoff;
	uint64_t started_ns; /* when it was started last; 0: never */
	uint64_t start_ns; /* when to start it; 0: it runs, or the handler has not begun */
	uint64_t stdin_closed_deadline_ns; /* when to end it for having closed its standard input;
					      0: it has not */
	struct failure failure; /* to have a program that reads */
};

static const struct key pipe_keys[] = {
	PROGRAM_KEYS,
	{.name = "framing",
		.type = KEY_CHOICE,
		.offset = offsetof(struct pipe_settings, framing),
		.choices = framing_names,
		.fallback = "lines",
		.help = "How it tells datagrams apart: lines, json, length, nul or raw."},
};

static unsigned pipe_needs(const void *settings)
{
	return framing_needs((enum framing)((const struct pipe_settings *)settings)->framing);
}

static void pipe_close(void *object)
{
	struct pipe_handler *handler = object;

	if (!handler)
		return;
	child_abandon(&handler->child);
	closep(&handler->input);
	program_close(&handler->program);
	records_clear(&handler->records);
	free(handler);
}

static int pipe_open(const void *settings, const struct handler_context *context,
	char why[static WHY_MAX], void **ret)
{
	const struct pipe_settings *wanted = settings;
	struct pipe_handler *handler = calloc(1, sizeof(*handler));
	int r;

	if (!handler)
		return -ENOMEM;
	handler->name = handler->failure.name = context->name;
	handler->input = -1;
	handler->framing = (enum framing)wanted->framing;
	r = program_open(&handler->program, context->name, &wanted->command, 0);
	if (r < 0) {
		pipe_close(handler);
		return because(why, r, "%s", strerror(-r));
	}
	*ret = handler;
	return 0;
}

static void pipe_begin(void *object)
{
	struct pipe_handler *handler = object;

	handler->start_ns = clock_ns(CLOCK_MONOTONIC);
}

/* The child does not read any more: mostly because it is ending, which takes a moment. */
static void lose_input(struct pipe_handler *handler, struct outcome *outcome)
{
	closep(&handler->input);
	records_drop_torn(&handler->records, outcome);
	handler->stdin_closed_deadline_ns = clock_ns(CLOCK_MONOTONIC) + CHILD_GRACE_NS;
}

/* Watches the input for being closed by the child, and for room while records are left. */
static int watch_input(struct pipe_handler *handler, int operation)
{
	bool wanted = records_left(&handler->records);
	struct epoll_event event = {.events = wanted ? EPOLLOUT : 0, .data.ptr = handler};

	if (operation == EPOLL_CTL_MOD && wanted == handler->is_watched)
		return 0;
	if (epoll_ctl(handler->program.epoll, operation, handler->input, &event) < 0)
		return -errno;
	handler->is_watched = wanted;
	return 0;
}

/* Writes as much as the pipe takes. */
static void write_records(struct pipe_handler *handler, struct outcome *outcome)
{
	int r;

	if (handler->input < 0)
		return;
	r = records_write(&handler->records, handler->input, outcome);
	if (r < 0 && r != -EAGAIN)
		lose_input(handler, outcome);
	else
		watch_input(handler, EPOLL_CTL_MOD);
}

/* A pipe that nobody can read from is in error, whether or not there is something to write. */
static bool input_is_closed(const struct pipe_handler *handler)
{
	struct pollfd input = {.fd = handler->input};

	return poll(&input, 1, 0) > 0 && (input.revents & POLLERR);
}

/* Returns the pause before the restart, in milliseconds. */
static uint64_t plan_start(struct pipe_handler *handler, struct outcome *outcome)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC), pause;
	uint32_t random;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = (uint32_t)now;
	pause = backoff_next(&handler->backoff, now - handler->started_ns, random);
	handler->start_ns = now + pause;
	pause /= NS_PER_MS;
	outcome->counted[COUNTED_PAUSES] += pause;
	return pause;
}

static int spawn(struct pipe_handler *handler)
{
	struct child_environment environment;
	int ends[2], r = child_pipe(ends, 1);

	if (r < 0)
		return r;
	child_environment_begin(&environment);
	handler->input = ends[1];
	r = watch_input(handler, EPOLL_CTL_ADD);
	if (r >= 0)
		r = child_start(
			&handler->child, &handler->program, environment.list, ends[0], handler);
	close(ends[0]);
	return r;
}

static void start(struct pipe_handler *handler, struct outcome *outcome)
{
	const char *program = handler->program.command.items[0];
	char fix[WHY_MAX];
	int r;

	outcome->counted[COUNTED_RESTARTS] += handler->started_ns != 0;
	handler->started_ns = clock_ns(CLOCK_MONOTONIC);
	handler->start_ns = 0;
	r = spawn(handler);
	if (r >= 0) {
		failure_end(&handler->failure);
		log_info("handler %s: process %d: started %s", handler->name,
			(int)handler->child.pid, program);
		write_records(handler, outcome);
		return;
	}
	closep(&handler->input);
	outcome->counted[COUNTED_SPAWN_FAILED]++;
	if (failure_is_new(&handler->failure, r))
		failure_tell(&handler->failure, r, "starting %s: %s%s", program, strerror(-r),
			program_fix(r, program, fix));
	plan_start(handler, outcome);
}

/* Logs it, as no datagram does that: each end of a program has its line. */
static void tell(struct pipe_handler *handler, pid_t pid, const char *what)
{
	failure_show(&handler->failure, -EPIPE, "process %d: %s", (int)pid, what);
	log_warning("handler %s: %s", handler->name, handler->failure.text);
}

static void settle_child(
	struct pipe_handler *handler, pid_t pid, int status, struct outcome *outcome)
{
	char string[CHILD_STATUS_MAX], text[WHY_MAX];

	outcome->counted[child_end(status)]++;
	lose_input(handler, outcome);
	handler->stdin_closed_deadline_ns = 0;
	child_status(status, string);
	if (handler->finishing) {
		log_info("handler %s: process %d: %s", handler->name, (int)pid, string);
		return;
	}
	because(text, 0, "%s, restarting it in %" PRIu64 " ms", string,
		plan_start(handler, outcome));
	tell(handler, pid, text);
}

/* Does all that the descriptors may be ready for, and what is due. */
static void pipe_serve(void *object, struct outcome *outcome)
{
	struct pipe_handler *handler = object;
	pid_t pid = handler->child.pid;
	uint64_t now;
	int status;

	if (pid && child_step(&handler->child, &handler->program, &status))
		settle_child(handler, pid, status, outcome);
	if (handler->input >= 0 && input_is_closed(handler))
		lose_input(handler, outcome);
	write_records(handler, outcome);
	now = clock_ns(CLOCK_MONOTONIC);
	if (handler->stdin_closed_deadline_ns && now >= handler->stdin_closed_deadline_ns) {
		handler->stdin_closed_deadline_ns = 0;
		tell(handler, handler->child.pid,
			"has closed its standard input and still runs, ending it");
		child_terminate(&handler->child, now + CHILD_GRACE_NS);
	}
	if (handler->start_ns && now >= handler->start_ns)
		start(handler, outcome);
}

static void pipe_deliver(void *object, const struct batch *batch, struct outcome *outcome)
{
	struct pipe_handler *handler = object;
	unsigned refused = records_fill(&handler->records, handler->framing, batch);

	outcome->dropped[DROP_IO] += refused;
	if (handler->framing == FRAMING_NUL)
		outcome->counted[COUNTED_NUL] += refused;
	write_records(handler, outcome);
}

static const char *pipe_error(const void *object)
{
	return failure_text(&((const struct pipe_handler *)object)->failure);
}

static bool pipe_ready(const void *object)
{
	return !records_left(&((const struct pipe_handler *)object)->records);
}

static uint64_t pipe_deadline(const void *object)
{
	const struct pipe_handler *handler = object;

	return earlier_ns(handler->start_ns,
		earlier_ns(handler->stdin_closed_deadline_ns, handler->child.due_ns));
}

static int pipe_descriptor(const void *object)
{
	return ((const struct pipe_handler *)object)->program.epoll;
}

/* Waits for what is due, and serves. Returns false, and does nothing, from until_ns on. */
static bool serve_until(struct pipe_handler *handler, uint64_t until_ns, struct outcome *outcome)
{
	if (clock_ns(CLOCK_MONOTONIC) >= until_ns)
		return false;
	program_wait(&handler->program, earlier_ns(pipe_deadline(handler), until_ns));
	pipe_serve(handler, outcome);
	return true;
}

/* Gives the child what is pending, the end of its input, and the time that is left. */
static void pipe_finish(void *object, uint64_t until_ns, struct outcome *outcome)
{
	struct pipe_handler *handler = object;
	uint64_t input_ns = child_input_ns(until_ns), term_ns, kill_ns;

	while (records_left(&handler->records) && handler->start_ns < input_ns &&
		serve_until(handler, input_ns, outcome))
		;
	/* One that has closed its input would not see the end of it. */
	term_ns = handler->stdin_closed_deadline_ns ? 0 : child_term_ns(until_ns);
	handler->finishing = true;
	handler->start_ns = handler->stdin_closed_deadline_ns = 0;
	closep(&handler->input);
	while (handler->child.pid && serve_until(handler, term_ns, outcome))
		;
	if (!handler->child.pid)
		return;
	kill_ns = child_kill_ns(until_ns);
	child_terminate(&handler->child, kill_ns);
	while (handler->child.pid && serve_until(handler, kill_ns + CHILD_GRACE_NS / 4, outcome))
		;
}

const struct handler_kind pipe_kind = {
	.config = {.name = "pipe",
		.may_block = true,
		.schema = {pipe_keys, ARRAY_SIZE(pipe_keys), sizeof(struct pipe_settings)},
		.check = program_check},
	.counters = pipe_counters,
	.needs = pipe_needs,
	.doubt = program_doubt,
	.open = pipe_open,
	.begin = pipe_begin,
	.error = pipe_error,
	.deliver = pipe_deliver,
	.deadline = pipe_deadline,
	.descriptor = pipe_descriptor,
	.serve = pipe_serve,
	.ready = pipe_ready,
	.finish = pipe_finish,
	.finish_waits = true,
	.close = pipe_close,
};
