#include "ctl/progress.h"

#include <string.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "base/io.h"
#include "ctl/human.h"

#define FIRST_NS NS_PER_S
#define NEXT_NS (NS_PER_S / 5)

void progress_begin(struct progress *progress)
{
	const char *term = getenv("TERM");
	bool is_wanted = isatty(STDERR_FILENO) && term && *term && strcmp(term, "dumb");

	*progress = (struct progress){
		.next_ns = is_wanted ? clock_ns(CLOCK_MONOTONIC) + FIRST_NS : UINT64_MAX};
}

void progress_show(struct progress *progress, struct text *line)
{
	AUTO_TEXT struct text output = {0};
	struct winsize size = {0};

	ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
	/* The last column stays free: some terminals go to the next line there. */
	text_append_fitted(
		&output, text_string(line), size.ws_col > 1 ? size.ws_col - 1u : 79, false);
	text_append_string(&output, "\r");
	if (!text_failed(&output))
		write_all(STDERR_FILENO, output.data, output.length);
	progress->is_shown = true;
	progress->next_ns = clock_ns(CLOCK_MONOTONIC) + NEXT_NS;
}

void progress_erase(struct progress *progress)
{
	if (progress->is_shown)
		write_all(STDERR_FILENO, "\x1b[K", 3);
	progress->is_shown = false;
}
