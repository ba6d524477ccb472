/* What the daemon starts without, or with less than the configuration wants: warnings of a check.
 */
#pragma once

#include "config/config.h"

/* What takes privileges, limits or sysctls. Adds to config->warnings, at most one line for each
 * kind and group. To be called with the privileges of the start. */
void shortfalls_find(struct config *config);

/* What handlers would not reach. To be called as the daemon's user. */
void shortfalls_find_doubts(struct config *config);
