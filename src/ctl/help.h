/* What --help prints, made from the tables of commands and options. */
#pragma once

#include "base/text.h"
#include "ctl/command.h"

void help_program(struct text *text);
void help_command(struct text *text, const struct command *command);
