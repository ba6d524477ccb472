/* A group socket: a file through which programs send to a group, and receive it. SOCK_SEQPACKET:
 * one write is one datagram sent, one read is one datagram received. */
#pragma once

#include "base/errors.h"
#include "groups/group.h"

/* Checks that a group's socket may take this path: nothing is there, or a socket that nobody
 * listens on, or the process running (0: none). Returns 0, or a negative errno with the reason in
 * why. */
int group_socket_check(const char *path, pid_t running, char why[static WHY_MAX]);

/* Checks that the daemon may give a file to the group's socket_group. Returns 0, or a negative
 * errno with the reason and its fix in why. */
int group_socket_check_owner(const struct config_group *config, char why[static WHY_MAX]);

/* Makes the socket at path; the directory must exist. Returns 0, or a negative errno with
 * the reason in why. */
int group_socket_new(
	struct group *group, const char *path, char why[static WHY_MAX], struct group_socket **ret);

/* Moves the file to its path, over the one of the group that this one replaces; nothing when that
 * is done. Returns 0 or a negative errno. */
int group_socket_publish(struct group_socket *socket, const char *path);

/* Disconnects the programs and removes the file. Accepts NULL. */
void group_socket_free(struct group_socket *socket);

/* How many programs are connected. Accepts NULL. */
unsigned group_socket_count(const struct group_socket *socket);

/* Moves the connections to the socket of another group: programs stay connected while a reload
 * changes their group. Both may be NULL. */
void group_socket_move_connections(struct group_socket *from, struct group_socket *to);
