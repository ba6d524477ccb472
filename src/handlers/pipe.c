/* pipe: one program that runs for as long as the handler does, with the datagrams on its standard
 * input.
 *
 * What one deliver() brings is framed into records, which are written as far as the pipe takes
 * them; until all are, the handler is not ready() for more, and what comes in waits in its queue. A
 * datagram is delivered when the last byte of its record is in the pipe. A program that has ended,
 * or has closed its standard input, is started again after a pause, and what was not written yet
 * goes to the new one. It begins with a whole record: one that the old program may have seen a part
 * of is dropped. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
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
#include "handlers/handler.h"

/* COUNTED_PAUSES is the sum of the pauses before it was started again: with COUNTED_RESTARTS it
 * tells how far they have grown. COUNTED_NUL is of what framing = "nul" could not carry. */
enum { COUNTED_SPAWN_FAILED = CHILD_ENDS, COUNTED_RESTARTS, COUNTED_PAUSES, COUNTED_NUL };

static const char *const pipe_counters[] = {
	CHILD_COUNTERS, "spawnFailed", "restarts", "backoffMilliseconds", "containsNul", NULL};

struct pipe_settings {
	struct string_list command;
	int framing;
};

struct pipe_handler {
	struct program program;
	enum framing framing;
	struct records records; /* of one batch */
	struct child child;
	int input; /* where the child reads, non-blocking; -1: there is none */
	bool wants_room; /* the input is watched for room */
	bool closing; /* the program is not to be started again */
	struct backoff backoff;
	uint64_t started_ns; /* when it was started last; 0: never */
	uint64_t start_ns; /* when it is to be started; 0: it runs, or the handler has not begun */
	uint64_t useless_ns; /* when to end it for no longer reading; 0: it reads */
	struct log_limit limit;
};

static const struct key pipe_keys[] = {
	{.name = "command",
		.type = KEY_ARGUMENTS,
		.offset = offsetof(struct pipe_settings, command),
		.min = 1,
		.required = true,
		.help = "The program, by its absolute path, and its arguments. No shell reads "
			"them."},
	{.name = "framing",
		.type = KEY_CHOICE,
		.offset = offsetof(struct pipe_settings, framing),
		.choices = framing_names,
		.fallback = "lines",
		.help = "How it tells datagrams apart: lines, json, length or nul."},
};

static int pipe_check(const void *settings, const char **ret_key, char why[static WHY_MAX])
{
	const struct pipe_settings *wanted = settings;

	*ret_key = "command";
	return child_trust(wanted->command.items[0], why);
}

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

static int pipe_open(const void *settings, const char *name, char why[static WHY_MAX], void **ret)
{
	const struct pipe_settings *wanted = settings;
	struct pipe_handler *handler = calloc(1, sizeof(*handler));
	int r;

	if (!handler)
		return -ENOMEM;
	handler->input = -1;
	handler->framing = (enum framing)wanted->framing;
	r = program_open(&handler->program, name, &wanted->command, 0);
	if (r < 0) {
		snprintf(why, WHY_MAX, "%s", strerror(-r));
		pipe_close(handler);
		return r;
	}
	*ret = handler;
	return 0;
}

static void pipe_begin(void *object)
{
	struct pipe_handler *handler = object;

	handler->start_ns = clock_ns(CLOCK_MONOTONIC);
}

static void close_input(struct pipe_handler *handler, struct outcome *outcome)
{
	closep(&handler->input);
	handler->input = -1;
	records_drop_torn(&handler->records, outcome);
}

/* The child no longer reads. Mostly because it is just ending, which takes a moment; else it is of
 * no more use. */
static void lose_input(struct pipe_handler *handler, struct outcome *outcome)
{
	close_input(handler, outcome);
	handler->useless_ns = clock_ns(CLOCK_MONOTONIC) + CHILD_GRACE_NS;
}

static void end_useless(struct pipe_handler *handler)
{
	handler->useless_ns = 0;
	log_warning("handler %s[%d]: has closed its standard input and still runs, ending it",
		handler->program.budget.name, (int)handler->child.pid);
	child_terminate(&handler->child, clock_ns(CLOCK_MONOTONIC) + CHILD_GRACE_NS);
}

/* Watches the input for being closed by the child, and for room while records are left. */
static int watch_input(struct pipe_handler *handler, int operation)
{
	bool wanted = records_left(&handler->records);
	struct epoll_event event = {.events = wanted ? EPOLLOUT : 0, .data.ptr = handler};

	if (operation == EPOLL_CTL_MOD && wanted == handler->wants_room)
		return 0;
	handler->wants_room = wanted;
	if (epoll_ctl(handler->program.epoll, operation, handler->input, &event) < 0)
		return -errno;
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

/* A pipe whose other end nobody has open any more is in error, whether or not something is to be
 * written. */
static bool input_is_closed(const struct pipe_handler *handler)
{
	struct pollfd input = {.fd = handler->input};

	return poll(&input, 1, 0) > 0 && (input.revents & POLLERR);
}

/* Returns how long the pause is, in milliseconds. */
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
	int ends[2], r;

	child_environment_begin(&environment);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	r = fcntl(ends[1], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
	handler->input = ends[1];
	if (r >= 0)
		r = watch_input(handler, EPOLL_CTL_ADD);
	if (r >= 0)
		r = child_start(
			&handler->child, &handler->program, environment.list, ends[0], handler);
	close(ends[0]);
	return r;
}

static void start(struct pipe_handler *handler, struct outcome *outcome)
{
	int r;

	outcome->counted[COUNTED_RESTARTS] += handler->started_ns != 0;
	handler->started_ns = clock_ns(CLOCK_MONOTONIC);
	handler->start_ns = 0;
	r = spawn(handler);
	if (r >= 0) {
		log_info("handler %s[%d]: started %s", handler->program.budget.name,
			(int)handler->child.pid, handler->program.argv[0]);
		write_records(handler, outcome);
		return;
	}
	closep(&handler->input);
	handler->input = -1;
	outcome->counted[COUNTED_SPAWN_FAILED]++;
	if (log_limit_pass(&handler->limit))
		log_warning("handler %s: starting %s: %s", handler->program.budget.name,
			handler->program.argv[0], strerror(-r));
	plan_start(handler, outcome);
}

static void child_is_over(
	struct pipe_handler *handler, pid_t pid, int status, struct outcome *outcome)
{
	const char *name = handler->program.budget.name;
	char string[CHILD_STATUS_MAX];

	outcome->counted[child_end(status)]++;
	close_input(handler, outcome);
	handler->useless_ns = 0;
	child_status(status, string);
	if (handler->closing)
		log_info("handler %s[%d]: %s", name, (int)pid, string);
	else
		log_warning("handler %s[%d]: %s, starting it again in %" PRIu64 " ms", name,
			(int)pid, string, plan_start(handler, outcome));
}

static bool is_due(uint64_t ns)
{
	return ns && clock_ns(CLOCK_MONOTONIC) >= ns;
}

/* Everything that the descriptors may have to say, and what is due. */
static void pipe_serve(void *object, struct outcome *outcome)
{
	struct pipe_handler *handler = object;
	pid_t pid = handler->child.pid;
	int status;

	if (pid && child_step(&handler->child, &handler->program, &status))
		child_is_over(handler, pid, status, outcome);
	if (handler->input >= 0 && input_is_closed(handler))
		lose_input(handler, outcome);
	write_records(handler, outcome);
	if (is_due(handler->useless_ns))
		end_useless(handler);
	if (is_due(handler->start_ns))
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

static bool pipe_ready(const void *object)
{
	return !records_left(&((const struct pipe_handler *)object)->records);
}

/* The earlier of two times, of which 0 is none. */
static uint64_t earlier(uint64_t a, uint64_t b)
{
	return !b || (a && a < b) ? a : b;
}

static uint64_t pipe_deadline(const void *object)
{
	const struct pipe_handler *handler = object;

	return earlier(handler->start_ns, earlier(handler->useless_ns, handler->child.due_ns));
}

static int pipe_descriptor(const void *object)
{
	return ((const struct pipe_handler *)object)->program.epoll;
}

static void wait_and_serve(struct pipe_handler *handler, uint64_t until_ns, struct outcome *outcome)
{
	program_wait(&handler->program, earlier(pipe_deadline(handler), until_ns));
	pipe_serve(handler, outcome);
}

/* Lets the child have what is pending, then the end of its input, and the time that is left. */
static void pipe_finish(void *object, uint64_t until_ns, struct outcome *outcome)
{
	struct pipe_handler *handler = object;
	uint64_t term_ns = child_term_ns(until_ns), kill_ns;

	while (records_left(&handler->records) && handler->start_ns < term_ns &&
		clock_ns(CLOCK_MONOTONIC) < term_ns)
		wait_and_serve(handler, term_ns, outcome);
	if (handler->useless_ns)
		term_ns = 0; /* an end of its input tells it nothing */
	handler->closing = true;
	handler->start_ns = handler->useless_ns = 0;
	closep(&handler->input);
	handler->input = -1;
	while (handler->child.pid && clock_ns(CLOCK_MONOTONIC) < term_ns)
		wait_and_serve(handler, term_ns, outcome);
	if (!handler->child.pid)
		return;
	kill_ns = child_kill_ns(until_ns);
	child_terminate(&handler->child, kill_ns);
	while (handler->child.pid && clock_ns(CLOCK_MONOTONIC) < kill_ns + CHILD_GRACE_NS / 4)
		wait_and_serve(handler, kill_ns + CHILD_GRACE_NS / 4, outcome);
}

const struct handler_kind pipe_kind = {
	.config = {.name = "pipe",
		.may_block = true,
		.schema = {pipe_keys, ARRAY_SIZE(pipe_keys), sizeof(struct pipe_settings)},
		.check = pipe_check},
	.counters = pipe_counters,
	.needs = pipe_needs,
	.open = pipe_open,
	.begin = pipe_begin,
	.deliver = pipe_deliver,
	.deadline = pipe_deadline,
	.descriptor = pipe_descriptor,
	.serve = pipe_serve,
	.ready = pipe_ready,
	.finish = pipe_finish,
	.close = pipe_close,
};
