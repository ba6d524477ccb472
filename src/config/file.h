/* The files of a configuration: their names and their bytes. */
#pragma once

#include "base/errors.h"
#include "base/text.h"
#include "config/schema.h"

/* Bytes of one file, and of all files together. Far more than ten thousand groups need. */
#define CONFIG_FILE_MAX (16u << 20)
#define CONFIG_FILES_MAX (32u << 20)

/* Files of conf.d: one for each of ten thousand groups, and more. */
#define CONFIG_D_MAX 16384

/* Reads all of a regular file. Refuses anything else (a fifo, a directory, a device) without
 * waiting for it. Returns 0, or a negative errno with the reason in why. */
int file_read(const char *path, struct text *text, char why[static WHY_MAX]);

/* Adds the paths of DIRECTORY/(all).conf, except hidden ones, in the order of strcmp(3) whatever
 * the locale is. A missing directory is no error. Returns 0; or a negative errno, with a line in
 * errors and those paths that could be listed. */
int file_list(const char *directory, struct string_list *paths, struct errors *errors);
