/* One file of the configuration: its text becomes groups, handlers and values. */
#pragma once

#include "config/config.h"

/* Reads the text of a file that is in config->files into config; a NUL ends it at text[size]. A
 * group or handler that exists already is added once more, for the check of the whole to find. Adds
 * to errors what is wrong with it. Returns 0 when all of it was read, however wrong; -EINVAL when
 * it could not be, and what it defines is missing; or -ENOMEM. */
int read_text(struct config *config, const char *file, const char *text, size_t size,
	const struct config_kind *const *kinds, struct errors *errors);
