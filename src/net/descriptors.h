/* The descriptors of the daemon, where few are left. The last ones are reserved in three parts: for
 * what the daemon does itself (files, programs, a reload), for connections of the privileged, and
 * for those of all other users (slots.h). Sockets of groups and handlers, of which a configuration
 * may have any number, take none of these: one that does not fit fails, and says why. So there is
 * always a way to see what has failed, and to change it. */
#pragma once

#include <stdbool.h>

#include "base/errors.h"

/* That open files are short, for a reason that ends in it. */
#define DESCRIPTORS_FIX "raise the limit on open files (LimitNOFILE=, ulimit -n)"

/* One part of those that are reserved, in descriptors. limit: of the process, RLIMIT_NOFILE. */
unsigned descriptors_reserved(unsigned limit);

/* How many sockets of groups and handlers and all that came before them may have. */
unsigned descriptors_for_sockets(unsigned limit);

/* The limit. Returns false where there is none to speak of. */
bool descriptors_limit(unsigned *ret);

/* How many are in use at least, as the kernel gives the lowest that is free (open(2)), or the
 * limit. fd: any that is open. */
unsigned descriptors_used(int fd, unsigned limit);

/* To be called before sockets of a group or handler are opened. Returns 0; or -EMFILE, with the
 * reason in why, where this many more would take those that are reserved. The reason is the same
 * until the limit changes. */
int descriptors_check(unsigned more, char why[static WHY_MAX]);
