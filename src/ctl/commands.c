#include "ctl/commands.h"

#include <string.h>

extern const struct command send_command, tail_command, status_command, groups_command,
	handlers_command, stats_command, join_command, leave_command, reload_command,
	rotate_command, replay_command;

const struct command *const commands[] = {
	&send_command,
	&replay_command,
	&tail_command,
	&status_command,
	&groups_command,
	&handlers_command,
	&stats_command,
	&join_command,
	&leave_command,
	&reload_command,
	&rotate_command,
	NULL,
};

const struct command *command_find(const char *name)
{
	for (const struct command *const *command = commands; *command; command++)
		if (!strcmp((*command)->name, name))
			return *command;
	return NULL;
}
