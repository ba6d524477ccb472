#include "ctl/doctor/udp_sockets.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/io.h"
#include "base/users.h"

#define COMMAND_MAX 64 /* bytes of /proc/PID/comm: TASK_COMM_LEN, and more of kernel threads */

DEFINE_CLEANUP(DIR *, closedir)

/* Whether one of the descriptors of a program is the socket, by its link as in proc(5). Those of
 * other users cannot be seen without privilege. */
static bool has_socket(int proc, const char *pid, const char *wanted)
{
	CLEANUP(closedirp) DIR *descriptors = NULL;
	char path[NAME_MAX + sizeof("/fd")], link[64];
	struct dirent *entry;
	int fd;

	snprintf(path, sizeof(path), "%s/fd", pid);
	fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	descriptors = fd < 0 ? NULL : fdopendir(fd);
	if (!descriptors) {
		closep(&fd);
		return false;
	}
	while ((entry = readdir(descriptors))) {
		ssize_t size = readlinkat(fd, entry->d_name, link, sizeof(link) - 1);

		if (size < 0)
			continue;
		link[size] = '\0';
		if (!strcmp(link, wanted))
			return true;
	}
	return false;
}

/* The first program that has it, but for systemd, which holds those that it has opened for others.
 */
static bool find_program(uint64_t inode, char ret_pid[static NAME_MAX + 1])
{
	CLEANUP(closedirp) DIR *proc = opendir("/proc");
	struct dirent *entry;
	bool found = false;
	char wanted[64];

	snprintf(wanted, sizeof(wanted), "socket:[%" PRIu64 "]", inode);
	while (proc && (entry = readdir(proc))) {
		if (*entry->d_name < '1' || *entry->d_name > '9' ||
			!has_socket(dirfd(proc), entry->d_name, wanted))
			continue;
		strcpy(ret_pid, entry->d_name);
		found = true;
		if (strcmp(ret_pid, "1") != 0)
			break;
	}
	return found;
}

/* Any program may choose its name. */
static void append_program(struct text *text, const char *pid)
{
	AUTO_TEXT struct text name = {0};
	char path[NAME_MAX + sizeof("/proc//comm")];

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	if (read_file(path, COMMAND_MAX, &name) == 0 && name.length > 1)
		text_append_escaped(text, name.data, name.length - 1);
	else
		text_append_string(text, "a program");
	text_printf(text, " (pid %s)", pid);
}

/* Sockets of the kernel itself are root's. */
static void append_user(struct text *text, uid_t uid)
{
	char name[ACCOUNT_NAME_MAX];

	text_printf(text, "a program of user %u", (unsigned)uid);
	if (name_user(uid, name))
		text_printf(text, " (%s)", name);
	if (!uid)
		text_append_string(text, " or the kernel (VXLAN, WireGuard)");
}

void udp_socket_owner(const struct udp_socket *socket, char *ret, size_t size)
{
	AUTO_TEXT struct text text = {0};
	char pid[NAME_MAX + 1];

	if (find_program(socket->inode, pid))
		append_program(&text, pid);
	else
		append_user(&text, socket->uid);
	snprintf(ret, size, "%s", text_string(&text));
}
