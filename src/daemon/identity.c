#include "daemon/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/users.h"
#include "daemon/only_root.h"

/* What the first joining takes: ports under 1024, large buffers and, before Linux 5.7, binding to
 * an interface. */
#define JOINING \
	(CAP_TO_MASK(CAP_NET_BIND_SERVICE) | CAP_TO_MASK(CAP_NET_ADMIN) | CAP_TO_MASK(CAP_NET_RAW))

/* Whether the process has become another user, and has not dropped root's privileges yet. */
static bool can_raise(void)
{
	uid_t real, effective, saved;

	return getresuid(&real, &effective, &saved) == 0 && saved == 0 && effective != 0;
}

/* The check of the configuration has found them: they may have gone since then. */
static int find_user(const struct config *config, struct passwd *ret, struct errors *errors)
{
	const struct passwd *entry = getpwnam(config->user);

	if (!entry) {
		config_add_error(errors, &config->user_place,
			"user: this system has no user %s: useradd --system %s, or name another",
			config->user, config->user);
		return -ENOENT;
	}
	*ret = *entry;
	if (config->group && find_gid(config->group, &ret->pw_gid) < 0) {
		config_add_error(errors, &config->group_place,
			"group: this system has no group %s: groupadd --system %s, or name another",
			config->group, config->group);
		return -ENOENT;
	}
	return 0;
}

static int become(const struct config *config, const struct passwd *user, struct errors *errors)
{
	int r = 0;

	if (initgroups(user->pw_name, user->pw_gid) < 0 ||
		setresgid(user->pw_gid, user->pw_gid, user->pw_gid) < 0 ||
		setresuid(user->pw_uid, user->pw_uid, 0) < 0)
		r = -errno;
	if (r < 0)
		config_add_error(errors, &config->user_place,
			"switching to user %s: %s; root may not do that here: give it CAP_SETUID "
			"and CAP_SETGID (of a container: --cap-add SETUID,SETGID), or remove user "
			"and start mcastd as %s",
			user->pw_name, strerror(-r), user->pw_name);
	return r;
}

/* libcap would be one more library, for two calls. */
static int capabilities(long call, struct __user_cap_data_struct data[static 2])
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	return syscall(call, &header, data) < 0 ? -errno : 0;
}

/* For the calling thread only (capabilities(7)). Files stay those that the user may use. */
static void set_effective(uint32_t wanted)
{
	struct __user_cap_data_struct data[2];

	if (capabilities(SYS_capget, data) < 0)
		return;
	data[0].effective = data[0].permitted & wanted;
	data[1].effective = 0;
	capabilities(SYS_capset, data);
}

void identity_raise(void)
{
	if (can_raise())
		set_effective(JOINING);
}

int identity_raise_for(const char *path, char why[static WHY_MAX])
{
	const char *slash = strrchr(path, '/');
	char directory[PATH_MAX];
	int r;

	if (!can_raise() || !slash)
		return 0;
	snprintf(
		directory, sizeof(directory), "%.*s", slash > path ? (int)(slash - path) : 1, path);
	if (access(directory, W_OK | X_OK) == 0 || errno != EACCES)
		return 0;
	r = only_root_changes(directory, why);
	if (r >= 0 && seteuid(0) < 0)
		r = because(why, -errno, "switching back to root: %s", strerror(errno));
	return r;
}

void identity_lower(void)
{
	uid_t real, effective, saved;

	if (getresuid(&real, &effective, &saved) < 0 || real == 0 || saved != 0)
		return;
	if (effective == 0 && seteuid(real) < 0)
		abort(); /* it was permitted a moment ago */
	set_effective(0);
}

void identity_tell_root(const struct config *config, const char *path)
{
	if (!config->user && geteuid() == 0)
		log_notice("the daemon runs as root, and stays root: write user = \"mcastd\"; into "
			   "%s, and start it again; that user must be able to use its files. In a "
			   "unit, write User=mcastd",
			path);
}

/* Makes the directory as root, for the user. */
static int give_directory(const char *path, const struct passwd *user)
{
	AUTO_CLOSE int fd = -1;

	if (mkdir(path, 0755) < 0)
		return errno == EEXIST ? 0 : -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 || fchown(fd, user->pw_uid, user->pw_gid) < 0 ? -errno : 0;
}

/* An existing one stays as it is. What comes into it, the user makes. */
static int make_run_directory(
	const struct config *config, const struct passwd *user, struct errors *errors)
{
	const char *path = config->run_directory;
	char reason[WHY_MAX];
	int r = mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;

	because(reason, r, "%s", strerror(-r));
	if (r == -EACCES) {
		r = identity_raise_for(path, reason);
		if (r >= 0 && (r = give_directory(path, user)) < 0)
			because(reason, r, "%s", strerror(-r));
		identity_lower();
	}
	if (r < 0)
		config_add_error(errors, &config->run_directory_place,
			"making run_directory for user %s: %s; make it first: install -d -o %s %s",
			user->pw_name, reason, user->pw_name, path);
	return r;
}

int identity_enter(const struct config *config, struct errors *errors)
{
	struct passwd user;
	int r;

	if (!config->user)
		return 0;
	r = find_user(config, &user, errors);
	if (r < 0)
		return r;
	if (geteuid() != 0 || user.pw_uid == 0)
		return 0;
	r = become(config, &user, errors);
	return r < 0 ? r : make_run_directory(config, &user, errors);
}

int identity_drop(void)
{
	if (!can_raise())
		return 0;
	/* In all threads (nptl(7)). With the last user ID that is 0, their capabilities go. */
	if (setresuid(geteuid(), geteuid(), geteuid()) < 0)
		return -errno;
	return setuid(0) == 0 ? -EPERM : 0;
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
