#include "ctl/top/screen.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "ctl/client.h"
#include "ctl/human.h"

/* Alternate screen, no cursor, no wrapping at the margin; all of it back, and colours off. The
 * alternate screen is cleared before: tmux shows what is below a smaller one after a resize. */
#define ENTER "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
#define LEAVE "\x1b[0m\x1b[H\x1b[J\x1b[?7h\x1b[?25h\x1b[?1049l"

/* Ends a control sequence of which only a part was sent (CAN, ECMA-48). */
#define CANCEL "\x18"

/* For a terminal that takes nothing, as after Ctrl-S: leaving does not wait any longer. */
#define LEAVE_NS (500 * NS_PER_MS)

int screen_open(struct screen *screen)
{
	const char *term = getenv("TERM");

	if (!isatty(STDOUT_FILENO))
		return -ENOTTY;
	if (!term || !*term || !strcmp(term, "dumb"))
		return -ENOTSUP;
	/* An open file of our own: O_NONBLOCK on the one of standard output would be the shell's,
	 * too. It may be another user's terminal, as after su: then the shared one has to do. */
	screen->fd = open("/proc/self/fd/1", O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (screen->fd < 0)
		screen->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
	if (screen->fd < 0 || tcgetattr(screen->fd, &screen->before) < 0)
		return -errno;
	return 0;
}

void screen_close(struct screen *screen)
{
	screen_leave(screen);
	closep(&screen->fd);
	text_free(&screen->shown);
	text_free(&screen->unsent);
}

void screen_measure(struct screen *screen)
{
	struct winsize size = {0};

	ioctl(screen->fd, TIOCGWINSZ, &size);
	screen->width = size.ws_col ? size.ws_col : 80;
	screen->height = size.ws_row ? size.ws_row : 24;
	text_clear(&screen->shown);
	text_append_string(&screen->unsent, "\x1b[2J");
}

int screen_enter(struct screen *screen)
{
	struct termios raw = screen->before;

	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	/* In the background this stops the process, until it is in the foreground again. */
	if (tcsetattr(screen->fd, TCSANOW, &raw) < 0)
		return -errno;
	screen->is_entered = true;
	text_clear(&screen->unsent);
	text_append_string(&screen->unsent, screen->is_partial ? CANCEL ENTER : ENTER);
	screen->is_partial = false;
	screen_measure(screen);
	return 0;
}

/* Then the modes of the terminal are those of somebody else, such as the shell. */
static bool is_in_background(const struct screen *screen)
{
	pid_t foreground = tcgetpgrp(screen->fd);

	return foreground >= 0 && foreground != getpgrp();
}

void screen_leave(struct screen *screen)
{
	uint64_t deadline_ns = clock_ns(CLOCK_MONOTONIC) + LEAVE_NS;
	void (*before)(int);

	if (!screen->is_entered)
		return;
	before = signal(SIGTTOU, SIG_IGN); /* to leave in the background, too */
	screen->is_entered = false;
	text_clear(&screen->unsent);
	text_append_string(&screen->unsent, screen->is_partial ? CANCEL LEAVE : LEAVE);
	while (screen_flush(screen) == 0 && screen->unsent.length) {
		struct pollfd poll_fd = {.fd = screen->fd, .events = POLLOUT};

		if (poll_until(&poll_fd, 1, deadline_ns) <= 0)
			break;
	}
	if (!is_in_background(screen)) {
		tcflush(screen->fd, TCIFLUSH); /* keys that were meant for us */
		tcsetattr(screen->fd, TCSANOW, &screen->before);
	}
	signal(SIGTTOU, before);
}

bool screen_is_ready(const struct screen *screen)
{
	return !screen->is_partial;
}

/* The columns of a line, whose control sequences are those of colours. */
static size_t line_columns(const char *line, size_t size)
{
	const char *end = line + size;
	size_t columns = 0;

	while (line < end) {
		const char *escape = memchr(line, '\x1b', (size_t)(end - line));
		size_t run = (size_t)((escape ? escape : end) - line);

		columns += text_columns(line, run);
		line += run;
		if (escape)
			line += strcspn(line, "m") + 1;
	}
	return columns;
}

void screen_draw(struct screen *screen, const struct text *frame)
{
	const char *before = screen->shown.data, *line = frame->data;
	const char *before_end = before ? before + screen->shown.length : NULL;
	const char *end = line ? line + frame->length : NULL;

	for (unsigned row = 1; line < end; row++) {
		size_t size = strcspn(line, "\n") + 1;
		size_t before_size = before < before_end ? strcspn(before, "\n") + 1 : 0;

		if (size != before_size || memcmp(line, before, size)) {
			text_printf(&screen->unsent, "\x1b[%u;1H", row);
			text_append(&screen->unsent, line, size - 1);
			/* In the last column the cursor stays on the character. */
			if (line_columns(line, size - 1) < screen->width)
				text_append_string(&screen->unsent, "\x1b[K");
		}
		line += size;
		before += before_size;
	}
	if (before < before_end) /* the last frame had more lines */
		text_append_string(&screen->unsent, "\x1b[J");
	text_clear(&screen->shown);
	text_append(&screen->shown, frame->data, frame->length);
	text_string(&screen->shown);
}

int screen_flush(struct screen *screen)
{
	struct text *unsent = &screen->unsent;
	ssize_t n;

	if (text_failed(unsent))
		text_clear(unsent);
	if (!unsent->length)
		return 0;
	n = write(screen->fd, unsent->data, unsent->length);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	unsent->length -= (size_t)n;
	memmove(unsent->data, unsent->data + n, unsent->length);
	screen->is_partial = unsent->length;
	return 0;
}
