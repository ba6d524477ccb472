/* What a child writes to its standard output and error: to the daemon's log line by line, escaped,
 * and never more than a log can bear. It is read to its end in any case, so that no child waits for
 * somebody to read. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* In bytes, of which each may be escaped to four; the rest of a longer line is passed over. */
#define OUTPUT_LINE_MAX 1000

/* How much all children of one handler may write to the log. */
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
	bool cut; /* the line has become too long */
	size_t length;
	char line[OUTPUT_LINE_MAX];
};

/* Takes fd over, and waits for a child's first byte. */
void output_begin(struct output *output, int fd, pid_t pid, unsigned lines_max);

/* Reads what is there now, but only some of it from a child that writes without end. */
void output_read(struct output *output, struct output_budget *budget);

/* Reads what is left, writes an unfinished last line, and closes the pipe, also where a grandchild
 * still holds its other end. Accepts output that has ended. */
void output_end(struct output *output, struct output_budget *budget);
