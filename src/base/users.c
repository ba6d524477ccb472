#include "base/users.h"

#include <errno.h>
#include <grp.h>

#include "base/units.h"

int find_gid(const char *name, gid_t *ret)
{
	const struct group *entry;
	uint64_t number;

	if (parse_number(name, UINT32_MAX - 1, &number) == 0) {
		*ret = (gid_t)number;
		return 0;
	}
	errno = 0;
	entry = getgrnam(name);
	if (!entry)
		return errno && errno != ESRCH ? -errno : -ENOENT;
	*ret = entry->gr_gid;
	return 0;
}
