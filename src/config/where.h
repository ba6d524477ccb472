/* The filter of a command line: each --where KEY=VALUE is one key of a handler's filter, as in
 * mcastd.conf(5), with the same values and the same errors. */
#pragma once

#include "config/config.h"

struct text;

/* Appends the keys, with commas. */
void where_append_keys(struct text *text);

/* The filter of these words, to be cleared with schema_clear(&filter_schema, ...), also on failure.
 * For a list, each word adds an item. Returns 0; -EINVAL or -ERANGE with what is wrong, and what to
 * write instead, in why; or -ENOMEM, likewise. */
int where_read(const char *const *words, size_t count, struct config_filter *ret,
	char why[static WHY_MAX]);
