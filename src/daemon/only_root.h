/* Whether root may make a file for another user: not where that user could put something else into
 * its place, and have root change that. */
#pragma once

#include "base/errors.h"

/* Checks that nobody but root can change where an absolute path of a directory leads: each
 * directory on the way and each symbolic link belongs to root, and others can write to none of
 * them, or only to a sticky one. What is true then stays true until root changes it, so that root
 * can use the path. Returns 0, or a negative errno with the reason in why. */
int only_root_changes(const char *directory, char why[static WHY_MAX]);
