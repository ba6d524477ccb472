/* Users and groups of the system. A file of its own, because grp.h defines a struct group. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Whom a permission names. */
enum principal_kind {
	PRINCIPAL_NONE,
	PRINCIPAL_USER,
	PRINCIPAL_GROUP,
	PRINCIPAL_SOCKET, /* whoever may open a certain socket file */
};

struct principal {
	enum principal_kind kind;
	uint32_t id; /* of the user or group */
};

/* Find a user or group by its name or number. They may block. Return 0, -ENOENT if there is none,
 * or another negative errno if the database cannot be read. */
int find_uid(const char *name, uid_t *ret);
int find_gid(const char *name, gid_t *ret);

/* Room for a name, useradd(8), and for a number. */
#define ACCOUNT_NAME_MAX 64

/* Write the name that a user or group has in the first lines of /etc/passwd or /etc/group, which
 * usermod(8) knows; else its number. They never block: other databases are not asked. Return
 * whether there is a name. */
bool name_user(uid_t uid, char ret[static ACCOUNT_NAME_MAX]);
bool name_group(gid_t gid, char ret[static ACCOUNT_NAME_MAX]);

/* Whether this number is that of every user or group of the host that this user namespace has no
 * number for (user_namespaces(7), /proc/sys/kernel/overflowuid): they cannot be told apart. */
bool is_uid_of_many(uid_t uid);
bool is_gid_of_many(gid_t gid);
