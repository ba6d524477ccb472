/* The file of a listening UNIX socket: made with its permissions before anybody can connect, in the
 * place of one that nobody listens on, and removed only where it is still the one that was made. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/errors.h"

/* unix(7), with the terminator. */
#define SOCKET_FILE_PATH_MAX 108

struct socket_file {
	char path[SOCKET_FILE_PATH_MAX];
	dev_t device; /* of the file that was made: another may stand there by now */
	ino_t inode; /* 0: none was made */
};

struct socket_file_options {
	const char *path;
	int type; /* SOCK_STREAM or SOCK_SEQPACKET */
	mode_t mode;
	gid_t group; /* (gid_t)-1: leave it */
	int backlog; /* listen(2) */
};

/* Binds and listens. A socket file that nobody listens on is replaced, no other file is. Returns a
 * descriptor, non-blocking and close-on-exec; or a negative errno with the reason in why, and no
 * file is left. */
int socket_file_bind(const struct socket_file_options *options, struct socket_file *ret,
	char why[static WHY_MAX]);

/* The same for a socket that an earlier run has bound to this path: the file must be there. fd
 * stays the caller's. Returns 0 or a negative errno. */
int socket_file_adopt(int fd, const struct socket_file_options *options, struct socket_file *ret);

/* Removes the file of a socket that an earlier run has bound, if it still is a socket of this user.
 */
void socket_file_remove_of(int fd);

/* The path that a UNIX socket is bound to; of a connection, that of the listening socket. Returns
 * 0, or -ENOENT where there is none. */
int socket_file_path(int fd, char ret[static SOCKET_FILE_PATH_MAX]);

/* Whether it still is where it was made. */
bool socket_file_is_there(const struct socket_file *file);

/* Gives it another mode, and group unless that is (gid_t)-1. Returns 0; -ESTALE when it is not
 * there any more, or another negative errno. */
int socket_file_permit(const struct socket_file *file, mode_t mode, gid_t group);

/* Removes it if it is still the one that was made. */
void socket_file_remove(const struct socket_file *file);

/* Removes the sockets of this user in a directory which are bound to nothing any more: those of a
 * daemon that has stopped or was killed. No program can have one again, as a socket is bound to its
 * file and not to the path. */
void socket_file_sweep(const char *directory);

/* Checks whether a socket may be made at a path, and connects to none. Returns 0 when there is a
 * socket that nobody listens on and that can be replaced, -ENOENT when there is nothing; or another
 * negative errno with the reason in why. */
int socket_file_check(const char *path, char why[static WHY_MAX]);

/* The same where one is to be made: returns 0 also when there is nothing, and the directory takes
 * it. */
int socket_file_check_new(const char *path, char why[static WHY_MAX]);

/* The process that listens at a path, as it was when it began to; 0: none that may be connected to.
 * It connects: where systemd listens, that starts the service. */
pid_t socket_file_owner(const char *path, int type);

/* Checks that this process may give a file to the group. Returns 0, or a negative errno with the
 * reason and its fix in why. */
int socket_file_check_group(gid_t group, char why[static WHY_MAX]);
