/* What may stand in the configuration, as tables: one row a key. The rows drive reading, ranges,
 * defaults, errors about unknown keys, comparing, copying and freeing, and the lists in the man
 * page. A room that owns keys (each kind of handler) owns their rows. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/array.h"
#include "base/errors.h"
#include "base/users.h"
#include "base/words.h"
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

struct principal_list {
	struct principal *items;
	size_t count;
};

/* The C type that each key type fills in, at the row's offset. */
enum key_type {
	KEY_STRING, /* char *, never empty; NULL when absent without default */
	KEY_PATH, /* char *, absolute */
	KEY_BOOL, /* bool */
	KEY_NUMBER, /* int64_t, between min and max */
	KEY_SIZE, /* uint64_t bytes, a string with units ("4M"), between min and max */
	KEY_DURATION, /* uint64_t nanoseconds, a string with units ("250ms"), between min and max */
	KEY_CHOICE, /* int, the index into choices; CHOICE_ABSENT when absent without default */
	KEY_MODE, /* int64_t, octal file permissions as a string ("0660") */
	KEY_ADDRESS, /* struct address; AF_UNSPEC when absent */
	KEY_STRINGS, /* struct string_list: an array of strings, or one string; none twice */
	KEY_ADDRESSES, /* struct address_list: an array of addresses, or one; none twice */
	KEY_ARGUMENTS, /* struct string_list: a program and its arguments, which may repeat and be
			  empty */
	KEY_PREFIXES, /* struct prefix_list: an array of "10.0.0.0/8", or one; none twice */
	KEY_RATE, /* uint64_t nanoseconds between two: a string ("1000/s") */
	KEY_RATES, /* struct string_list: an array of "1000/s" or "0/s", or one; none twice */
	KEY_SYSTEM_GROUP, /* struct principal: a name or number of this system; PRINCIPAL_NONE when
			     absent */
	KEY_PRINCIPALS, /* struct principal_list: an array of "user:alice", "group:telemetry" and
			   "socket", or one; none twice */
	KEY_TYPES, /* the number of types */
};

#define CHOICE_ABSENT -1

/* The most items of a list whose row has no max: far beyond any use, and few enough that the search
 * for duplicates may compare them one by one. */
#define LIST_ITEMS_MAX 1024

struct key {
	const char *name;
	enum key_type type;
	size_t offset; /* in the struct that the schema fills in */
	/* KEY_NUMBER, KEY_SIZE, KEY_DURATION: the range; both 0: no limit. KEY_STRING, KEY_PATH:
	 * max is the greatest length in bytes. Lists: the number of items; a min of 1 refuses the
	 * empty array. */
	int64_t min, max;
	int64_t least; /* KEY_SIZE, KEY_DURATION: the smallest value but 0, which stands for none */
	const char *fallback; /* the default, as it would be written (without quotes); NULL: none */
	const char *const *choices; /* KEY_CHOICE, NULL at the end */
	bool required;
	const char *unless; /* the key of the same block with which it is not required; or NULL */
	const char *example; /* a value as one would write it, with its quotes, where not any of the
				type will do; NULL: any will */
	const char *help; /* for the man page */
};

/* The beginning of a row whose key has the name of its member. */
#define KEY(structure, member, key_type) \
	.name = #member, .type = (key_type), .offset = offsetof(structure, member)

struct schema {
	const struct key *keys;
	size_t count;
	size_t size; /* of the struct, which starts out zeroed */
};

/* Fills in the defaults of a zeroed struct. Returns 0 or -ENOMEM. */
int schema_defaults(const struct schema *schema, void *settings);

/* Copies the values of all keys into a zeroed struct. Returns 0; or -ENOMEM after some of them, to
 * be freed with schema_clear(). */
int schema_copy(const struct schema *schema, void *ret, const void *settings);

bool schema_equal(const struct schema *schema, const void *a, const void *b);

/* Frees what the keys own, not the struct itself, and leaves every key absent. */
void schema_clear(const struct schema *schema, void *settings);

/* The row of a key, or NULL. */
const struct key *schema_find(const struct schema *schema, const char *name);

/* Sets one key from text, as written in the configuration but without quotes; for a list key, adds
 * one item. For groups that come from the command line or from the control socket. Returns 0, or
 * -EINVAL, -ERANGE or -ENOENT (no such key), with what is wrong and what to write instead in why;
 * or -ENOMEM. On failure nothing has changed. */
int schema_set(const struct schema *schema, void *settings, const char *key, const char *text,
	char why[static WHY_MAX]);

/* The same for a row. */
int key_set(const struct key *key, void *settings, const char *text, char why[static WHY_MAX]);

/* Orders two filled-in structs by one value: below, at or above 0. The order is any, but always the
 * same. */
int key_compare(const struct key *key, const void *a, const void *b);

/* Sets the key to the value that another key of the same type has. Returns 0 or -ENOMEM. */
int key_take_value(
	const struct key *key, void *settings, const struct key *from, const void *values);

/* Frees the key's value and leaves it absent. */
void key_clear(const struct key *key, void *settings);

/* "string", "addresses": as mcastd.conf(5) calls the types. */
const char *key_type_name(const struct key *key);
bool key_is_list(const struct key *key);

/* Whether the key, or its list, takes this text. That its owner takes it too is for the rows to see
 * to: what has a form of its own has an example. */
bool key_accepts(const struct key *key, const char *text);

/* A value of the key as one would write it, with its quotes. */
const char *key_example(const struct key *key, char buffer[static SHOWN_MAX]);

bool string_list_has(const struct string_list *list, const char *string);

/* The string is copied. Returns 0 or -ENOMEM. */
int string_list_add(struct string_list *list, const char *string);
void string_list_clear(struct string_list *list);

/* An estimate of its memory, in bytes. */
size_t string_list_memory(const struct string_list *list);
