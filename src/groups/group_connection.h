/* A program at a group's socket: what it may do, and its slot; what it writes is sent, what arrives
 * is written to it. How datagrams are told apart is the matter of the socket's kind
 * (groups/socket_kind). */
#pragma once

#include "groups/socket_kind.h"
#include "groups/group.h"
#include "net/slots.h"
#include "service/fd_queue.h"

/* The programs at all sockets of a group. Must not move. */
struct group_programs {
	struct group *group;
	struct link connections;
	struct slots slots;
	struct log_limit unwelcome_limit, full_limit; /* for warnings about programs that may not
							 connect, and that are too many */
};

void group_programs_init(struct group_programs *programs, struct group *group);

/* Disconnects all. */
void group_programs_clear(struct group_programs *programs);

/* Adds one that has connected; owns fd. One that may not be here is disconnected, and the log says
 * why. */
void group_connection_accept(
	struct group_programs *programs, const struct socket_kind *kind, int fd);

/* Moves all to another group, where what each may do is decided again. */
void group_programs_move(struct group_programs *from, struct group_programs *to);

/* Puts the connections into the queue for the next run, and what is known of them into the file, as
 * far as there is room. */
void group_programs_store(struct group_programs *programs, struct fd_queue *queue, int file);

/* The fd store's name of the queue, and of the file. */
#define STORED_PROGRAMS "programs"
#define STORED_CHANNELS "program-channels"

/* Adds one of an earlier run, as group_connection_accept(). Returns whether it stays. */
bool group_connection_restore(
	struct group_programs *programs, const struct socket_kind *kind, int fd, int file);
