/* The reading half of a program at a group socket: an outlet that writes to it what it takes in
 * time. */
#pragma once

#include "groups/socket_kind.h"
#include "net/user.h"

/* Embedded in the connection that has it. */
struct reader {
	struct outlet outlet;
	struct channel *channel; /* the connection */
	struct user *user; /* whose program it is */
	uint64_t *unread; /* the group's counter of datagrams that the program missed */
	uint64_t *empty_skipped; /* and of those without payload, which it does not get; NULL: it
				    gets them */
	void (*stalled)(struct reader *reader); /* it has read nothing for READER_STALL_S; must not
						   free it */
	void (*unfinished)(struct reader *reader); /* a datagram was partly written */
	bool is_stalled;
	uint64_t full_since_ns; /* when its socket was found full, CLOCK_MONOTONIC; 0: it is not */
};

/* SO_SNDBUF of a program's connection, in bytes. The kernel doubles it for its own overhead. */
#define READER_BUFFER (1 << 20)

/* A program that reads nothing for this long while something is queued for it has stalled: a
 * minute, and a margin for a program that was stopped for a minute. */
#define READER_STALL_S 65

/* The owner sets user, stalled, unfinished, unread and empty_skipped. */
void reader_init(struct reader *reader, struct channel *channel);
