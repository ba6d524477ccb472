/* Whether a file can be opened as a module: dlopen(3) maps what the file says it has, and kills the
 * process where that is not there; of another architecture it says that there is no such file. */
#pragma once

#include "base/errors.h"

/* Returns 0, or a negative errno with the reason in why, which begins with the path. */
int module_file_check(const char *path, char why[static WHY_MAX]);
