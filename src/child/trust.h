/* Whether a program may be run: who can replace the file at its path can run code as the daemon. */
#pragma once

#include "config/schema.h"

/* The keys of a kind of handler that runs a program. Its settings begin with the command, a struct
 * string_list, which program_check() checks, as the kind's check(). */
#define PROGRAM_KEYS                                                                            \
	{                                                                                       \
		.name = "command", .type = KEY_ARGUMENTS, .min = 1, .required = true,           \
		.help = "The program, by its absolute path, and its arguments. No shell reads " \
			"them."                                                                 \
	}

int program_check(const void *settings, const char **ret_key, char why[static WHY_MAX]);

/* For handler_kind.doubt: a program that may be executed, but cannot be, as a script without its
 * interpreter. */
bool program_doubt(const void *settings, char why[static WHY_MAX]);

/* How to fix that this program could not be started, for a negative errno: "; WHAT TO DO", or "".
 * Returns fix. */
const char *program_fix(int r, const char *program, char fix[static WHY_MAX]);

/* Checks that an absolute path leads to a program that the daemon may execute, and that only root
 * and the daemon's user can write to it and to every directory on the way, those of symbolic links
 * included. Only these two can change that, so that it need not be checked again when the program
 * is started. Returns 0, or a negative errno with the reason in why: what is wrong, and how to fix
 * it. */
int child_trust(const char *path, char why[static WHY_MAX]);

/* The same for the program of a command. One string of a program and its arguments is no command:
 * why has the list that it should be. */
int child_trust_command(const struct string_list *command, char why[static WHY_MAX]);
