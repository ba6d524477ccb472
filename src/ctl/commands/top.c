#include "base/clock.h"
#include "ctl/command.h"
#include "ctl/top/top.h"

enum { TOP_INTERVAL, TOP_ONCE };

static const struct option_row options[] = {
	[TOP_INTERVAL] = {"interval", 0, OPTION_DURATION, "TIME",
		"Time from one look to the next, from 100ms on; default: 1s"},
	[TOP_ONCE] = {"once", 0, OPTION_FLAG, NULL,
		"Print the rates of one interval, as plain text, and end"},
	{0},
};

/* What a screen and its reader can take. */
#define INTERVAL_MIN_NS (100 * NS_PER_MS)

static int run(struct session *session, const struct arguments *arguments)
{
	struct top_options top_options = {
		.names = arguments->words,
		.name_count = arguments->word_count,
		.interval_ns = NS_PER_S,
		.is_once = arguments->options[TOP_ONCE].given,
	};

	if (arguments->options[TOP_INTERVAL].given)
		top_options.interval_ns = arguments->options[TOP_INTERVAL].number;
	if (top_options.interval_ns < INTERVAL_MIN_NS)
		return session_fail(session, EXIT_MISUSED, "--interval: '%s' is less than 100ms",
			arguments->options[TOP_INTERVAL].string);
	return top_run(session, &top_options);
}

const struct command top_command = {
	.name = "top",
	.arguments = "[GROUP...]",
	.words_max = SIZE_MAX,
	.help = "Watch rates, losses and queues, live",
	.options = options,
	.run = run,
};
