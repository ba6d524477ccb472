#include "base/users.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/units.h"

/* Where the members of a group need more than this, it is not found. */
#define BUFFER_MIN 1024
#define BUFFER_MAX (16 << 20)

/* Entries of a file that are read to find a name, and room for one of them: whoever is refused
 * makes the loop read them. These take about 0.1 ms. */
#define ENTRIES_MAX 256
#define ENTRY_SIZE 4096

/* Looks a name up once, with this buffer. Returns as getpwnam_r(3). */
typedef int (*look_up)(const char *name, char *buffer, size_t size, uint32_t *ret, bool *ret_found);

static int look_up_user(const char *name, char *buffer, size_t size, uint32_t *ret, bool *ret_found)
{
	struct passwd entry, *found = NULL;
	int r = getpwnam_r(name, &entry, buffer, size, &found);

	*ret_found = found;
	if (found)
		*ret = entry.pw_uid;
	return r;
}

static int look_up_group(
	const char *name, char *buffer, size_t size, uint32_t *ret, bool *ret_found)
{
	struct group entry, *found = NULL;
	int r = getgrnam_r(name, &entry, buffer, size, &found);

	*ret_found = found;
	if (found)
		*ret = entry.gr_gid;
	return r;
}

/* Not getgrnam(3): reloads are read in a thread. */
static int find(const char *name, look_up look_up, uint32_t *ret)
{
	uint64_t number;
	int r = ERANGE;

	if (parse_number(name, UINT32_MAX - 1, &number) >= 0) {
		*ret = (uint32_t)number;
		return 0;
	}
	for (size_t size = BUFFER_MIN; r == ERANGE && size <= BUFFER_MAX; size *= 4) {
		AUTO_FREE char *buffer = malloc(size);
		bool found = false;

		r = buffer ? look_up(name, buffer, size, ret, &found) : ENOMEM;
		if (!found && (!r || r == ESRCH))
			r = ENOENT;
	}
	return -r;
}

int find_uid(const char *name, uid_t *ret)
{
	return find(name, look_up_user, ret);
}

int find_gid(const char *name, gid_t *ret)
{
	return find(name, look_up_group, ret);
}

static bool write_name(const char *name, uint32_t id, char ret[static ACCOUNT_NAME_MAX])
{
	if (name && strlen(name) < ACCOUNT_NAME_MAX) {
		memcpy(ret, name, strlen(name) + 1);
		return true;
	}
	snprintf(ret, ACCOUNT_NAME_MAX, "%u", (unsigned)id);
	return false;
}

bool name_user(uid_t uid, char ret[static ACCOUNT_NAME_MAX])
{
	FILE *file = fopen("/etc/passwd", "re");
	struct passwd entry, *found = NULL;
	char buffer[ENTRY_SIZE];
	bool is_named;

	for (int i = 0; file && i < ENTRIES_MAX; i++)
		if (fgetpwent_r(file, &entry, buffer, sizeof(buffer), &found) ||
			found->pw_uid == uid)
			break;
	is_named = write_name(found && found->pw_uid == uid ? found->pw_name : NULL, uid, ret);
	if (file)
		fclose(file);
	return is_named;
}

bool name_group(gid_t gid, char ret[static ACCOUNT_NAME_MAX])
{
	FILE *file = fopen("/etc/group", "re");
	struct group entry, *found = NULL;
	char buffer[ENTRY_SIZE];
	bool is_named;

	for (int i = 0; file && i < ENTRIES_MAX; i++)
		if (fgetgrent_r(file, &entry, buffer, sizeof(buffer), &found) ||
			found->gr_gid == gid)
			break;
	is_named = write_name(found && found->gr_gid == gid ? found->gr_name : NULL, gid, ret);
	if (file)
		fclose(file);
	return is_named;
}

/* The initial user namespace maps all numbers but the last, which is none. */
static bool is_of_many(uint32_t id, const char *overflow, const char *map)
{
	CLEANUP(fclosep) FILE *file = NULL;
	uint64_t mapped = 0;
	uint32_t length;

	if (read_number(overflow, 65534) != id)
		return false;
	file = fopen(map, "re");
	while (file && fscanf(file, "%*u %*u %" SCNu32, &length) == 1)
		mapped += length;
	return file && mapped < UINT32_MAX;
}

bool is_uid_of_many(uid_t uid)
{
	return is_of_many(uid, "/proc/sys/kernel/overflowuid", "/proc/self/uid_map");
}

bool is_gid_of_many(gid_t gid)
{
	return is_of_many(gid, "/proc/sys/kernel/overflowgid", "/proc/self/gid_map");
}
