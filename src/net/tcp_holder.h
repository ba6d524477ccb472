/* Which process listens on a TCP port, as /proc tells it. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "net/address.h"

/* Whether a process listens at the address and the port; also where its descriptors may not be
 * read, so that nobody can tell. */
bool tcp_holder_may_be(const struct address *address, unsigned port, pid_t process);
