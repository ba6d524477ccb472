#include "child/output.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/escape.h"
#include "base/log.h"

/* What a pipe holds (pipe(7)): all that a child wrote before it ended. */
#define READ_MAX (64 * 1024)

void output_begin(struct output *output, int fd, pid_t pid, unsigned lines_max)
{
	*output = (struct output){.fd = fd, .pid = pid, .lines_max = lines_max};
}

/* Whether the handler may write one more line; logs once a period that it may not. */
static bool budget_pass(struct output_budget *budget)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (now >= budget->period_end_ns) {
		budget->period_end_ns = now + OUTPUT_PERIOD_S * NS_PER_S;
		budget->lines = 0;
	}
	if (budget->lines == OUTPUT_PERIOD_LINES)
		log_warning("handler %s: discarding further output, it was %d lines in %d seconds",
			budget->name, OUTPUT_PERIOD_LINES, OUTPUT_PERIOD_S);
	if (budget->lines <= OUTPUT_PERIOD_LINES)
		budget->lines++;
	return budget->lines <= OUTPUT_PERIOD_LINES;
}

static bool may_write(struct output *output, struct output_budget *budget)
{
	if (output->lines_max && output->lines > output->lines_max)
		return false;
	if (!budget_pass(budget))
		return false;
	if (output->lines_max && output->lines == output->lines_max)
		log_info("handler %s: process %d: discarding further output", budget->name,
			(int)output->pid);
	output->lines++;
	return !output->lines_max || output->lines <= output->lines_max;
}

static void write_line(struct output *output, struct output_budget *budget)
{
	AUTO_TEXT struct text text = {0};

	if (may_write(output, budget)) {
		text_append_escaped(&text, output->line, output->length);
		log_info("handler %s: process %d: %s%s", budget->name, (int)output->pid,
			text_string(&text), output->is_shortened ? "..." : "");
	}
	output->length = 0;
	output->is_shortened = false;
}

/* Adds to the line, up to its limit. */
static void add(struct output *output, const char *data, size_t size)
{
	size_t room = OUTPUT_LINE_MAX - output->length;
	size_t taken = size < room ? size : room;

	memcpy(output->line + output->length, data, taken);
	output->length += taken;
	output->is_shortened |= taken < size;
}

static void take_in(
	struct output *output, struct output_budget *budget, const char *data, size_t size)
{
	const char *end = data + size, *feed;

	for (; (feed = memchr(data, '\n', (size_t)(end - data))); data = feed + 1) {
		add(output, data, (size_t)(feed - data));
		write_line(output, budget);
	}
	add(output, data, (size_t)(end - data));
}

static void close_output(struct output *output, struct output_budget *budget)
{
	if (output->length)
		write_line(output, budget);
	closep(&output->fd);
}

void output_read(struct output *output, struct output_budget *budget)
{
	char data[4096];
	ssize_t n;

	for (size_t total = 0; output->fd >= 0 && total < READ_MAX; total += (size_t)n) {
		n = read(output->fd, data, sizeof(data));
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			close_output(output, budget);
			return;
		}
		take_in(output, budget, data, (size_t)n);
	}
}

void output_end(struct output *output, struct output_budget *budget)
{
	output_read(output, budget);
	close_output(output, budget);
}
