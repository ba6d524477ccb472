/* Runs a command that does not outlive the one that starts it, not even when that is killed:
 * with-us [-g CGROUP] COMMAND... */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static int enter(const char *group)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1) {
		perror(path);
		return -1;
	}
	return close(fd);
}

int main(int count, char **arguments)
{
	char **command = arguments + 1;
	if (count > 2 && !strcmp(command[0], "-g")) {
		if (enter(command[1]) < 0) {
			return 126;
		}
		command += 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execvp(command[0], command);
	perror(command[0]);
	return 127;
}
