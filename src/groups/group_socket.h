/* A group socket: a file through which programs send to a group, and receive it. SOCK_SEQPACKET:
 * one write is one datagram sent, one read is one datagram received. */
#pragma once

#include "base/errors.h"
#include "groups/group.h"

/* Whether a group's socket may take this path: nothing is there, or a socket that nobody listens on
 * any more. Returns 0, or a negative errno with the reason in why. */
int group_socket_check(const char *path, char why[static WHY_MAX]);

/* Makes the socket at path; the directory must exist. Returns 0, or a negative errno with
 * the reason in why. */
int group_socket_new(
	struct group *group, const char *path, char why[static WHY_MAX], struct group_socket **ret);

/* Moves the file into its place, over the one of the group that this one replaces. Returns 0 or a
 * negative errno. */
int group_socket_publish(struct group_socket *socket, const char *path);

/* Cuts the connections and removes the file. Accepts NULL. */
void group_socket_free(struct group_socket *socket);

/* Hands the connections of one group over to another: a program that is connected stays so while
 * its group is changed by a reload. Both may be NULL. */
void group_socket_move_connections(struct group_socket *from, struct group_socket *to);
