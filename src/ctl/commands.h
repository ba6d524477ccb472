/* The list of all subcommands. */
#pragma once

#include "ctl/command.h"

/* In the order in which --help shows them, NULL at the end. */
extern const struct command *const commands[];

/* NULL: there is none of this name. */
const struct command *command_find(const char *name);
