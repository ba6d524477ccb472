/* Keys of the configuration that have no effect as the daemon was started: warnings of a check, a
 * start and a reload. */
#pragma once

#include "config/config.h"

/* To be called as the user that the daemon stays; may block. listening: the path of the socket that
 * systemd passes for the control socket, NULL or "" for none. Adds to config->warnings. */
void ignored_find(struct config *config, const char *listening);
