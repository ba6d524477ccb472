/* Whether a program may be run: whoever else could change what lies at its path would run as the
 * daemon. */
#pragma once

#include "base/errors.h"

/* Checks an absolute path: that it leads to a program that the daemon may execute, and that only
 * root and the daemon's user can write to it and to every directory on the way, those of symbolic
 * links included. What holds here can only be changed by those two, so that it need not be checked
 * again when the program is started. Returns 0, or a negative errno with the reason in why: what is
 * wrong, and what would mend it. */
int child_trust(const char *path, char why[static WHY_MAX]);
