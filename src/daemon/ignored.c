#include "daemon/ignored.h"

#include <string.h>
#include <unistd.h>

#include "base/users.h"

/* Only root can become another user. */
static void find_user_key(struct config *config)
{
	char name[ACCOUNT_NAME_MAX];
	uid_t user;

	if (!config->user || find_uid(config->user, &user) < 0 || user == geteuid())
		return;
	name_user(geteuid(), name);
	config_add_error(&config->warnings, &config->user_place,
		"user: warning: it has no effect, and the daemon runs as %s: not started by root; "
		"remove it; in a unit, User= decides",
		name);
}

static void find_group_key(struct config *config)
{
	char name[ACCOUNT_NAME_MAX];
	gid_t group;

	if (!config->group || find_gid(config->group, &group) < 0 || group == getegid())
		return;
	name_group(getegid(), name);
	config_add_error(&config->warnings, &config->group_place,
		"group: warning: it has no effect, and the daemon's group is %s: not started by "
		"root; remove it; in a unit, Group= decides",
		name);
}

static void find_control_key(struct config *config, const char *listening)
{
	if (listening && *listening && config->control_place.file &&
		strcmp(listening, config->control_socket))
		config_add_error(&config->warnings, &config->control_place,
			"control.socket: warning: it has no effect: systemd listens at %s, and "
			"ListenStream= of the socket unit decides; remove it, or change both",
			listening);
}

void ignored_find(struct config *config, const char *listening)
{
	find_user_key(config);
	find_group_key(config);
	find_control_key(config, listening);
}
