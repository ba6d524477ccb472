#include "ctl/progress.h"

#include <string.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "base/io.h"
#include "ctl/human.h"

#define FIRST_NS NS_PER_S
#define NEXT_NS NS_PER_S
#define NEXT_ON_TERMINAL_NS (NS_PER_S / 5)

void progress_begin(struct progress *progress, bool is_wanted)
{
	const char *term = getenv("TERM");
	bool is_terminal = isatty(STDERR_FILENO) && term && *term && strcmp(term, "dumb");

	*progress = (struct progress){.is_terminal = is_terminal,
		.next_ns = is_terminal || is_wanted ? clock_ns(CLOCK_MONOTONIC) + FIRST_NS
						    : UINT64_MAX};
}

static void append_for_terminal(struct text *output, struct text *line)
{
	struct winsize size = {0};

	ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
	/* The last column stays free: some terminals go to the next line there. */
	text_append_fitted(
		output, text_string(line), size.ws_col > 1 ? size.ws_col - 1u : 79, false);
	text_append_string(output, "\r");
}

void progress_show(struct progress *progress, struct text *line)
{
	AUTO_TEXT struct text output = {0};

	if (progress->is_terminal)
		append_for_terminal(&output, line);
	else
		text_printf(&output, "%s\n", text_string(line));
	if (!text_failed(&output))
		write_all(STDERR_FILENO, output.data, output.length);
	progress->is_shown = progress->is_terminal;
	progress->next_ns = clock_ns(CLOCK_MONOTONIC) +
			    (progress->is_terminal ? NEXT_ON_TERMINAL_NS : NEXT_NS);
}

void progress_erase(struct progress *progress)
{
	if (progress->is_shown)
		write_all(STDERR_FILENO, "\x1b[K", 3);
	progress->is_shown = false;
}
