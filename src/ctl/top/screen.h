/* The whole of a terminal: raw keys, the alternate screen, and frames of which only the lines that
 * differ are written. Escape sequences are those of ECMA-48 and xterm, which every terminal of
 * today has. Writing never blocks: a frame that a slow terminal has not taken is finished before
 * the next one is begun. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

#include "base/text.h"

struct screen {
	int fd; /* the terminal of standard output, for both ways; -1: none */
	struct termios before;
	bool is_entered;
	unsigned width, height;
	struct text shown; /* the last frame */
	struct text unsent;
	bool is_partial; /* some of unsent was sent */
};

#define NO_SCREEN  \
	{          \
		-1 \
	}

/* Returns 0; -ENOTTY where standard output is no terminal; -ENOTSUP where that cannot do it. */
int screen_open(struct screen *screen);

/* Leaves, if it was entered. */
void screen_close(struct screen *screen);

/* Takes the terminal over, or again, as after SIGCONT: reads its size, and forgets what it shows.
 */
int screen_enter(struct screen *screen);

/* Gives the terminal back as it was. */
void screen_leave(struct screen *screen);

/* After SIGWINCH. */
void screen_measure(struct screen *screen);

/* Whether a new frame may be drawn. */
bool screen_is_ready(const struct screen *screen);

/* Shows a frame: lines that each end with a line feed. */
void screen_draw(struct screen *screen, const struct text *frame);

/* Writes what the terminal takes now. Returns 0 or a negative errno: the terminal has gone. */
int screen_flush(struct screen *screen);
