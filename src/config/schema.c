#include "config/schema.h"

#include <errno.h>
#include <string.h>

#include "config/behaviour.h"
#include "config/words.h"

int schema_defaults(const struct schema *schema, void *settings)
{
	char why[WHY_MAX];

	for (size_t i = 0; i < schema->count; i++) {
		const struct key *key = &schema->keys[i];
		int r = key->fallback ? key_set(key, settings, key->fallback, why) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

int schema_copy(const struct schema *schema, void *ret, const void *settings)
{
	int r = 0;

	for (size_t i = 0; i < schema->count && r >= 0; i++) {
		const struct key *key = &schema->keys[i];

		r = key_types[key->type].copy(
			(char *)ret + key->offset, (const char *)settings + key->offset);
	}
	return r;
}

bool schema_equal(const struct schema *schema, const void *a, const void *b)
{
	for (size_t i = 0; i < schema->count; i++)
		if (!key_equal(&schema->keys[i], a, b))
			return false;
	return true;
}

void schema_clear(const struct schema *schema, void *settings)
{
	for (size_t i = 0; i < schema->count; i++)
		key_clear(&schema->keys[i], settings);
}

const struct key *schema_find(const struct schema *schema, const char *name)
{
	for (size_t i = 0; i < schema->count; i++)
		if (!strcmp(schema->keys[i].name, name))
			return &schema->keys[i];
	return NULL;
}

int schema_set(const struct schema *schema, void *settings, const char *key, const char *text,
	char why[static WHY_MAX])
{
	const struct key *row = schema_find(schema, key);
	struct guess guess = {.word = key};
	char name[SHOWN_MAX], meant[GUESS_MAX];

	if (row)
		return key_set(row, settings, text, why);
	for (size_t i = 0; i < schema->count; i++)
		guess_offer(&guess, schema->keys[i].name);
	return because(why, -ENOENT, "unknown key \"%s\"%s", shown(key, name),
		guess_or(&guess, ", see mcastd.conf(5) for those that there are", meant));
}

int key_set(const struct key *key, void *settings, const char *text, char why[static WHY_MAX])
{
	int r = key_types[key->type].set(key, (char *)settings + key->offset, text, why);

	return r == -ENOMEM ? because(why, r, "out of memory") : r;
}

bool key_equal(const struct key *key, const void *a, const void *b)
{
	return key_types[key->type].equal(
		(const char *)a + key->offset, (const char *)b + key->offset);
}

void key_clear(const struct key *key, void *settings)
{
	key_types[key->type].clear((char *)settings + key->offset);
}
