/* Lists that the configuration is made of (base/array.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/array.h"
#include "net/address.h"

struct string_list {
	char **items;
	size_t count;
};

struct address_list {
	struct address *items;
	size_t count;
};

struct prefix_list {
	struct prefix *items;
	size_t count;
};

/* The string is copied. Returns 0 or -ENOMEM. */
int string_list_add(struct string_list *list, const char *string);
void string_list_clear(struct string_list *list);
bool string_list_contains(const struct string_list *list, const char *string);
/* Below, at or above 0, as strcmp(3): by the items in their order, then by length. */
int string_list_compare(const struct string_list *a, const struct string_list *b);

int address_list_add(struct address_list *list, const struct address *address);
void address_list_clear(struct address_list *list);
bool address_list_contains(const struct address_list *list, const struct address *address);
int address_list_compare(const struct address_list *a, const struct address_list *b);

/* Orders addresses: by family, then by their bytes. */
int address_compare(const struct address *a, const struct address *b);

int prefix_list_add(struct prefix_list *list, const struct prefix *prefix);
void prefix_list_clear(struct prefix_list *list);
bool prefix_list_contains(const struct prefix_list *list, const struct prefix *prefix);
int prefix_list_compare(const struct prefix_list *a, const struct prefix_list *b);
