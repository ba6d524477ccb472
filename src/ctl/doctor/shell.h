/* Commands that can be pasted into a shell, also by root: names that others chose must not become
 * commands. */
#pragma once

#include <stdarg.h>

#include "base/text.h"

/* As one word, quoted where it needs to be. What a terminal would not show as it is, is escaped
 * (base/escape.h): the name is wrong then, and harmless. Nothing where it is empty. */
void shell_append_word(struct text *text, const char *word);

/* As vprintf(3) with %s, %u, %d, %zu and %lu alone, where each %s is as shell_append_word() says.
 */
void shell_append(struct text *text, const char *format, va_list arguments);
