/* What a child writes to its standard output and error goes to the daemon's log, line by line,
 * escaped, and limited. All of it is read, so that no child blocks in writing. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* In bytes, each of which may be escaped to four; the rest of a longer line is discarded. */
#define OUTPUT_LINE_MAX 1000

/* The limit for all children of one handler. */
#define OUTPUT_PERIOD_S 10
#define OUTPUT_PERIOD_LINES 640

struct output_budget {
	const char *name; /* of the handler */
	uint64_t period_end_ns;
	unsigned lines; /* in this period */
};

/* One child's output. */
struct output {
	int fd; /* the pipe, non-blocking; -1: at its end */
	pid_t pid;
	unsigned lines_max; /* of this child; 0: only the handler's budget counts */
	unsigned lines;
	bool is_shortened; /* the line was longer than OUTPUT_LINE_MAX */
	size_t length;
	char line[OUTPUT_LINE_MAX];
};

/* Takes over fd, the non-blocking reading end of a child's pipe. */
void output_begin(struct output *output, int fd, pid_t pid, unsigned lines_max);

/* Reads what is there now, up to a limit: a child may write without end. Accepts output that has
 * ended. */
void output_read(struct output *output, struct output_budget *budget);

/* Reads what is left, writes an unfinished last line, and closes the pipe, even if a grandchild
 * still holds its other end. Accepts output that has ended. */
void output_end(struct output *output, struct output_budget *budget);
