/* What the keys do that are lists, for the table in behaviour.c. */
#pragma once

#include "config/schema.h"

int add_string(const struct key *key, void *field, const char *text, char why[static WHY_MAX]);
int add_argument(const struct key *key, void *field, const char *text, char why[static WHY_MAX]);
bool equal_string_lists(const void *a, const void *b);
int copy_string_list(void *ret, const void *field);
void clear_string_list(void *field);

int add_address(const struct key *key, void *field, const char *text, char why[static WHY_MAX]);
bool equal_address_lists(const void *a, const void *b);
int copy_address_list(void *ret, const void *field);
void clear_address_list(void *field);

int add_prefix(const struct key *key, void *field, const char *text, char why[static WHY_MAX]);
bool equal_prefix_lists(const void *a, const void *b);
int copy_prefix_list(void *ret, const void *field);
void clear_prefix_list(void *field);

/* An address as a value or as an item of a list. */
int parse_address_key(const char *text, struct address *ret, char why[static WHY_MAX]);
