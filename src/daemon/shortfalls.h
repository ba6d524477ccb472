/* What the daemon starts without, or with less than the configuration wants: warnings. */
#pragma once

#include "config/config.h"

/* What takes privileges, limits or sysctls. Adds to config->warnings, at most one line for each
 * kind and group. For a check, as a start finds these one by one. To be called with the privileges
 * of the start. */
void shortfalls_find(struct config *config);

/* What handlers would not reach, and what nobody else would. For a check, a start and a reload. To
 * be called as the daemon's user, and once for a configuration. */
void shortfalls_find_doubts(struct config *config);
