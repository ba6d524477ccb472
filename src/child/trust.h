/* Whether a program may be run: who can replace the file at its path can run code as the daemon. */
#pragma once

#include "base/errors.h"

/* Checks that an absolute path leads to a program that the daemon may execute, and that only root
 * and the daemon's user can write to it and to every directory on the way, those of symbolic links
 * included. Only these two can change that, so that it need not be checked again when the program
 * is started. Returns 0, or a negative errno with the reason in why: what is wrong, and how to fix
 * it. */
int child_trust(const char *path, char why[static WHY_MAX]);
