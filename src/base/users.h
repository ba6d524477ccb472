/* System groups by name; apart, because grp.h has its own struct group. */
#pragma once

#include <sys/types.h>

/* A name, or a number. Returns 0, or -ENOENT when the system has no such group. */
int find_gid(const char *name, gid_t *ret);
