/* The one table of subcommands. A new one is one file in commands/ that ends in its NAME_command,
 * and one row here. */
#include "ctl/command.h"

/* In the order of --help. */
#define COMMANDS(ROW) \
	ROW(send)     \
	ROW(replay)   \
	ROW(tail)     \
	ROW(status)   \
	ROW(groups)   \
	ROW(senders)  \
	ROW(handlers) \
	ROW(stats)    \
	ROW(top)      \
	ROW(doctor)   \
	ROW(probe)    \
	ROW(join)     \
	ROW(leave)    \
	ROW(reload)   \
	ROW(refresh)  \
	ROW(rotate)   \
	ROW(help)

#define DECLARE(name) extern const struct command name##_command;
COMMANDS(DECLARE)

#define LIST(name) &name##_command,
const struct command *const commands[] = {COMMANDS(LIST) NULL};

const struct command *command_find(const char *name)
{
	for (const struct command *const *command = commands; *command; command++)
		if (!strcmp((*command)->name, name))
			return *command;
	return NULL;
}
