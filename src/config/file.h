/* The files of a configuration, as bytes and names. */
#pragma once

#include "base/errors.h"
#include "base/text.h"
#include "config/schema.h"

/* Much more than ten thousand groups take. */
#define CONFIG_FILE_MAX (16u << 20)

/* Reads all of a regular file. Anything else (a fifo, a directory, a device) is refused, and never
 * waited for. Returns 0, or a negative errno with the reason in why. */
int file_read(const char *path, struct text *text, char why[static WHY_MAX]);

/* Paths of the DIRECTORY/(all).conf, but hidden ones, sorted by strcmp(3) whatever the locale. That
 * there is no such directory is no error. Returns 0, or a negative errno after it has added to
 * errors; what could be listed is in paths all the same. */
int file_list(const char *directory, struct string_list *paths, struct errors *errors);
