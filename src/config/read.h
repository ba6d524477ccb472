/* One file of the configuration: its text becomes groups, handlers and values. */
#pragma once

#include "config/config.h"

/* Reads the text of a file that is in config->files into config. The text ends with a NUL at
 * text[size]. A group or handler that exists already is added once more: find_clashes() reports it.
 * Adds a line to errors for each error. Returns 0 when the file was read, even with errors; -EINVAL
 * when it could not be, so that what it defines is missing; or -ENOMEM. */
int read_text(struct config *config, const char *file, const char *text, size_t size,
	const struct config_kind *const *kinds, struct errors *errors);
