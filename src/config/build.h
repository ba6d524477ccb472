/* Putting a struct config together. Nothing outside of this room changes one. */
#pragma once

#include "config/config.h"

/* The compiled defaults, without any handler. NULL without memory. */
struct config *config_new(void);

/* Appends to config->files and gives the copy that places point at. Returns 0 or -ENOMEM. */
int config_add_file(struct config *config, const char *path, const char **ret_file);

/* A handler with its defaults, at the end; until config_sort_handlers() none can be found by its
 * name. kind may be NULL: it is not known, and there are no settings. NULL without memory. */
struct config_handler *config_append_handler(
	struct config *config, const char *name, const struct config_kind *kind);
void config_sort_handlers(struct config *config);

/* Frees what only reading and checking need. */
void config_forget_marks(struct config *config);
