/* System groups by name; apart, because grp.h has its own struct group. */
#pragma once

#include <sys/types.h>

/* A name, or a number. Returns 0; -ENOENT when the system has no such group; or another negative
 * errno when its database cannot be read. */
int find_gid(const char *name, gid_t *ret);
