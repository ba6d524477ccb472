/* Quotes and spaces that are none to libconfig, as text from word processors and web pages has
 * them. Pure. */
#pragma once

#include "config/token.h"

/* The first such character in a token, an apostrophe not counted, or NULL; then *ret_is_space says
 * whether it stands for a space. */
const char *quotes_find(const struct token *token, bool *ret_is_space);

/* Whether a word begins with such a character, or with an apostrophe. */
bool quotes_stand_at(const struct token *word);

/* The word without such characters at both ends. */
struct token quotes_leave_out(const struct token *word);
