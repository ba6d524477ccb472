#include "daemon/identity.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/users.h"

#define KEEP ((uid_t)-1)

/* Whether root's rights are only laid down, and could be taken up again. */
static bool is_root_below(void)
{
	uid_t real, effective, saved;

	return getresuid(&real, &effective, &saved) == 0 && saved == 0 && effective != 0;
}

static int find_user(const struct config *config, struct passwd *ret, char why[static WHY_MAX])
{
	const struct passwd *entry = getpwnam(config->user);

	if (!entry) {
		snprintf(why, WHY_MAX, "user: this system has no user %s", config->user);
		return -ENOENT;
	}
	*ret = *entry;
	if (config->group && find_gid(config->group, &ret->pw_gid) < 0) {
		snprintf(why, WHY_MAX, "group: this system has no group %s", config->group);
		return -ENOENT;
	}
	return 0;
}

static int make_directory(const char *path, const struct passwd *user)
{
	if (mkdir(path, 0755) < 0)
		return errno == EEXIST ? 0 : -errno;
	return chown(path, user->pw_uid, user->pw_gid) < 0 ? -errno : 0;
}

/* Where only root may make them. Those that are there already stay as they are. */
static int make_directories(
	const struct config *config, const struct passwd *user, char why[static WHY_MAX])
{
	char groups[PATH_MAX];
	int r = make_directory(config->run_directory, user);

	snprintf(groups, sizeof(groups), "%s/groups", config->run_directory);
	r = r < 0 ? r : make_directory(groups, user);
	if (r < 0)
		snprintf(why, WHY_MAX, "making run_directory for user %s: %s", user->pw_name,
			strerror(-r));
	return r;
}

static int become(const struct passwd *user, char why[static WHY_MAX])
{
	if (initgroups(user->pw_name, user->pw_gid) < 0 ||
		setresgid(user->pw_gid, user->pw_gid, user->pw_gid) < 0 ||
		setresuid(user->pw_uid, user->pw_uid, 0) < 0) {
		int r = -errno;

		snprintf(why, WHY_MAX, "becoming user %s: %s", user->pw_name, strerror(-r));
		return r;
	}
	return 0;
}

int identity_enter(const struct config *config, char why[static WHY_MAX])
{
	struct passwd user;
	int r;

	if (!config->user)
		return 0;
	r = find_user(config, &user, why);
	if (r < 0)
		return r;
	if (geteuid() != 0) {
		if (geteuid() != user.pw_uid)
			log_warning("not started by root, and so not able to become user %s",
				config->user);
		return 0;
	}
	if (user.pw_uid == 0)
		return 0;
	r = make_directories(config, &user, why);
	return r < 0 ? r : become(&user, why);
}

/* glibc's functions change all threads (nptl(7)), and those of the handlers are not to be root. */
static void set_effective(uid_t uid)
{
	syscall(SYS_setresuid, KEEP, uid, KEEP);
}

void identity_raise(void)
{
	if (is_root_below())
		set_effective(0);
}

void identity_lower(void)
{
	uid_t real, effective, saved;

	if (getresuid(&real, &effective, &saved) == 0 && effective == 0 && real != 0)
		set_effective(real);
}

int identity_drop(void)
{
	if (!is_root_below())
		return 0;
	if (setresuid(KEEP, KEEP, geteuid()) < 0)
		return -errno;
	return setuid(0) == 0 ? -EPERM : 0;
}
