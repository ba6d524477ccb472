#include "base/users.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/units.h"

/* Where the members of a group need more than this, it is not found. */
#define BUFFER_MIN 1024
#define BUFFER_MAX (16 << 20)

/* Not getgrnam(3): reloads are checked in a thread. */
static int find_by_name(const char *name, gid_t *ret)
{
	int r = ERANGE;

	for (size_t size = BUFFER_MIN; r == ERANGE && size <= BUFFER_MAX; size *= 4) {
		AUTO_FREE char *buffer = malloc(size);
		struct group entry, *found = NULL;

		r = buffer ? getgrnam_r(name, &entry, buffer, size, &found) : ENOMEM;
		if (found)
			*ret = entry.gr_gid;
		else if (!r || r == ESRCH)
			r = ENOENT;
	}
	return -r;
}

int find_gid(const char *name, gid_t *ret)
{
	uint64_t number;

	if (parse_number(name, UINT32_MAX - 1, &number) < 0)
		return find_by_name(name, ret);
	*ret = (gid_t)number;
	return 0;
}
