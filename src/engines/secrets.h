/* Files that only the daemon may read: passwords, keys, certificates. Their paths are absolute, or
 * relative to $CREDENTIALS_DIRECTORY, where LoadCredential= of systemd puts them. */
#pragma once

#include <stdint.h>

#include "base/errors.h"

/* Reads a secret (a line) from a file. Returns 0 and a text to be freed, after explicit_bzero(3);
 * or a negative errno with the reason in why, which names the file and never its content. */
int engine_read_secret(const char *file, char why[static WHY_MAX], char **ret);

/* The path of a file that a library reads itself. Returns 0 and a text to be freed, or a negative
 * errno with the reason in why when the daemon cannot read it. */
int engine_find_file(const char *file, char why[static WHY_MAX], char **ret);

/* Adds to a hash what tells the file that is there now from others, and from none. */
uint64_t engine_hash_file(const char *file, uint64_t hash);
