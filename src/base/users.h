/* System groups. A file of its own, because grp.h defines a struct group. */
#pragma once

#include <sys/types.h>

/* Finds a group by its name or number. Returns 0, -ENOENT if there is none, or another negative
 * errno if the database cannot be read. */
int find_gid(const char *name, gid_t *ret);
