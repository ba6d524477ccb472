/* The reading half of a program at a group socket: an outlet that hands on what it is there in time
 * to take. */
#pragma once

#include "data/datagram.h"

/* Embedded in the connection that has it. */
struct reader {
	struct outlet outlet;
	int fd; /* of the connection */
	uint64_t *unread; /* counts what the program did not take, of the group */
	void (*stalled)(struct reader *reader); /* it has read nothing for too long; not to be freed
						   in this call */
	bool is_stalled;
	uint64_t full_since_ns; /* when its socket was first found full, CLOCK_MONOTONIC; 0: it is
				   not */
	uint64_t gap; /* datagrams that it missed and was not told of */
	int gap_fd; /* what tells it; -1: nothing to tell */
};

/* Bytes that may wait for a program, as SO_SNDBUF of its connection. The kernel takes twice as
 * much, for its own overhead. */
#define READER_BUFFER (1 << 20)

/* A program that reads nothing for so long while something waits for it has stalled: a minute, and
 * a little for one that was stopped just so long. */
#define READER_STALL_S 65

/* Begins with nothing missed; stalled and unread are set by whoever has it. */
void reader_init(struct reader *reader, int fd);
void reader_clear(struct reader *reader);
