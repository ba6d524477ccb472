/* Which process listens on a TCP port, as /proc tells it. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "net/address.h"

/* Whether a process has a socket with this address and port, the one that listens there; also where
 * its descriptors may not be read, so that nobody can tell. */
bool tcp_holder_may_be(const struct address *address, unsigned port, pid_t process);
