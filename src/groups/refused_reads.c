#include "groups/refused_reads.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "net/multicast.h"

/* Other errors may come in between. */
#define TRIES 8

bool read_is_refused(int fd, int r)
{
	for (int i = 0; i < TRIES && r < 0 && r != -EAGAIN; i++)
		r = socket_try_read(fd);
	return r < 0 && r != -EAGAIN;
}

void read_refusal_explain(int r, char why[static WHY_MAX])
{
	const char *fix = r == -EPERM || r == -EACCES || r == -ENOSYS
				  ? "; a seccomp filter or a security module (SELinux, AppArmor) "
				    "forbids it: allow it there"
				  : "";

	snprintf(why, WHY_MAX, "what comes cannot be read (recvmmsg(2)): %s%s", strerror(-r), fix);
}
