/* A group's sockets: files through which programs send to the group, and receive it. NAME is of the
 * type SOCK_SEQPACKET, where one write is one datagram sent and one read one received; NAME.stream
 * is a SOCK_STREAM, with the length before each (groups/socket_kind). */
#pragma once

#include "base/errors.h"
#include "groups/group.h"
#include "service/fd_queue.h"

/* How many a group has. */
#define GROUP_SOCKETS 2

/* Removes what an earlier run has left of the sockets of groups that there are no more. To be
 * called when those that it has stored are restored or closed. */
void group_sockets_sweep(const char *run_directory);

/* Checks that a group's sockets may be made at path, and at that with the suffixes: nothing is
 * there, or a socket that nobody listens on, or the process running (0: none), or one of the group
 * that this one replaces (NULL: none); and that the daemon may give them their group. Returns 0, or
 * a negative errno with the reason and its fix in why. */
int group_socket_check(const struct config_group *config, const char *path,
	const struct group_socket *replaced, pid_t running, char why[static WHY_MAX]);

/* Whether somebody has removed or replaced one of its files: programs that connect would not find
 * it. Accepts NULL. */
bool group_socket_is_removed(const struct group_socket *socket);

/* How many sockets group_socket_new() would open at path. */
unsigned group_socket_doors(const char *path, const struct group_socket *replaced);

/* Makes the sockets at path; the directory must exist. Those that are there of the group that this
 * one replaces will be taken over. Programs that connect wait until group_socket_begin(). Returns
 * 0, or a negative errno with the reason in why. */
int group_socket_new(struct group *group, const char *path, const struct group_socket *replaced,
	char why[static WHY_MAX], struct group_socket **ret);

/* Takes over what there is of the group that this one replaces: its sockets, and the programs,
 * which stay connected as far as they may. Then, for each of its own, begins to accept. replaced
 * may be NULL. Errors are logged. */
void group_socket_begin(struct group_socket *socket, struct group_socket *replaced);

/* Disconnects the programs and removes the files. Accepts NULL. */
void group_socket_free(struct group_socket *socket);

/* How many programs are connected. Accepts NULL. */
unsigned group_socket_count(const struct group_socket *socket);

/* The fd store's names of the listening sockets begin with it. They are stored while they are
 * there. */
#define STORED_SOCKET "socket-"

/* At the stop: stores the connections, as group_programs_store(). */
void group_socket_store(struct group_socket *socket, struct fd_queue *queue, int file);

/* At the start: adds a connection of an earlier run to a socket at this path; owns fd. Returns
 * whether it stays. */
bool group_socket_restore(struct group_socket *socket, const char *path, int fd, int file);
