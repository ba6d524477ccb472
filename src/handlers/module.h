/* Kinds whose functions are in shared objects of their own, so that the daemon needs their
 * libraries only where such a handler is configured. A module is src/engines/NAME/, and ends in
 * "const struct handler_kind engine"; it uses the daemon's own functions.
 *
 * Modules are looked for in one directory, whose name has this daemon's version:
 * lib/mcastd/VERSION beside the bin or sbin that the program is in, or else where the program is.
 * Nothing of another version is ever opened. What was opened stays. */
#pragma once

#include "config/config.h"
#include "handlers/handler.h"

/* The kind with its functions: itself where it has no module. Opens a module, which may take
 * milliseconds, on its first use. From any thread. Returns 0, or a negative errno with the reason
 * and what to install in why. */
int module_load(
	const struct handler_kind *kind, char why[static WHY_MAX], const struct handler_kind **ret);

/* Opens the modules of all handlers, before the loop needs them. Returns 0, or the negative errno
 * of the last failure with a line in errors for each. */
int modules_load(const struct config *config, struct errors *errors);
