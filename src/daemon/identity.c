#include "daemon/identity.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/users.h"

#define UNCHANGED ((uid_t)-1)

/* Whether the process can still switch back to root. */
static bool can_raise(void)
{
	uid_t real, effective, saved;

	return getresuid(&real, &effective, &saved) == 0 && saved == 0 && effective != 0;
}

static int find_user(const struct config *config, struct passwd *ret, char why[static WHY_MAX])
{
	const struct passwd *entry = getpwnam(config->user);

	if (!entry)
		return because(why, -ENOENT, "user: this system has no user %s", config->user);
	*ret = *entry;
	if (config->group && find_gid(config->group, &ret->pw_gid) < 0)
		return because(why, -ENOENT, "group: this system has no group %s", config->group);
	return 0;
}

static int make_directory(const char *path, const struct passwd *user)
{
	if (mkdir(path, 0755) < 0)
		return errno == EEXIST ? 0 : -errno;
	return chown(path, user->pw_uid, user->pw_gid) < 0 ? -errno : 0;
}

/* Only root may be able to create them. Existing ones stay as they are. */
static int make_directories(
	const struct config *config, const struct passwd *user, char why[static WHY_MAX])
{
	char groups[PATH_MAX];
	int r = make_directory(config->run_directory, user);

	snprintf(groups, sizeof(groups), "%s/groups", config->run_directory);
	r = r < 0 ? r : make_directory(groups, user);
	return r < 0 ? because(why, r, "creating run_directory for user %s: %s", user->pw_name,
			       strerror(-r))
		     : 0;
}

static int become(const struct passwd *user, char why[static WHY_MAX])
{
	if (initgroups(user->pw_name, user->pw_gid) < 0 ||
		setresgid(user->pw_gid, user->pw_gid, user->pw_gid) < 0 ||
		setresuid(user->pw_uid, user->pw_uid, 0) < 0)
		return because(
			why, -errno, "switching to user %s: %s", user->pw_name, strerror(errno));
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
			log_warning("cannot switch to user %s: not started by root", config->user);
		return 0;
	}
	if (user.pw_uid == 0)
		return 0;
	r = make_directories(config, &user, why);
	return r < 0 ? r : become(&user, why);
}

/* glibc's functions change all threads (nptl(7)), and those of the handlers must not become root.
 */
static void set_effective(uid_t uid)
{
	syscall(SYS_setresuid, UNCHANGED, uid, UNCHANGED);
}

void identity_raise(void)
{
	if (can_raise())
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
	if (!can_raise())
		return 0;
	if (setresuid(UNCHANGED, UNCHANGED, geteuid()) < 0)
		return -errno;
	return setuid(0) == 0 ? -EPERM : 0;
}

/* libcap would be one more library, for two calls. */
static int capabilities(long call, struct __user_cap_data_struct data[static 2])
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	return syscall(call, &header, data) < 0 ? -errno : 0;
}

bool identity_has(unsigned capability)
{
	struct __user_cap_data_struct data[2];

	return capabilities(SYS_capget, data) == 0 && data[0].effective & CAP_TO_MASK(capability);
}

int identity_drop_net_raw(void)
{
	const uint32_t net_raw = CAP_TO_MASK(CAP_NET_RAW);
	struct __user_cap_data_struct data[2];
	int r = capabilities(SYS_capget, data);

	if (r < 0 || geteuid() == 0)
		return r;
	prctl(PR_CAPBSET_DROP, CAP_NET_RAW, 0, 0, 0);
	if (!((data[0].effective | data[0].permitted | data[0].inheritable) & net_raw))
		return 0;
	data[0].effective &= ~net_raw;
	data[0].permitted &= ~net_raw;
	data[0].inheritable &= ~net_raw;
	return capabilities(SYS_capset, data);
}
