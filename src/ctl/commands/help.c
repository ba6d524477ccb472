#include "ctl/command.h"

/* What it prints is made of the table that it is in itself: main() does it. */
const struct command help_command = {
	.name = "help",
	.arguments = "[COMMAND]",
	.words_max = 1,
	.help = "Print the commands, or the options of one",
};
