#include "config/where.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"

/* Of the keys that stand in the block "filter" of a handler; the others stand beside it. */
#define BLOCK "filter."

/* The key as one writes it here. */
static const char *plain_name(const char *name)
{
	return strncmp(name, BLOCK, strlen(BLOCK)) ? name : name + strlen(BLOCK);
}

void where_append_keys(struct text *text)
{
	for (size_t i = 0; i < filter_schema.count; i++)
		text_printf(text, "%s%s", i ? ", " : "", plain_name(filter_schema.keys[i].name));
}

static int refuse_key(const char *name, char why[static WHY_MAX])
{
	AUTO_TEXT struct text known = {0};
	struct guess guess = {.word = name};
	char buffer[SHOWN_MAX], meant[GUESS_MAX];

	for (size_t i = 0; i < filter_schema.count; i++)
		guess_offer(&guess, plain_name(filter_schema.keys[i].name));
	text_append_string(&known, ", known: ");
	where_append_keys(&known);
	return because(why, -EINVAL, "unknown key \"%s\"%s", shown(name, buffer),
		guess_or(&guess, text_string(&known), meant));
}

static const struct key *find_key(const char *name)
{
	for (size_t i = 0; i < filter_schema.count; i++)
		if (!strcmp(plain_name(filter_schema.keys[i].name), plain_name(name)))
			return &filter_schema.keys[i];
	return NULL;
}

static int take_word(struct config_filter *filter, const char *word, char why[static WHY_MAX])
{
	const char *equals = strchr(word, '=');
	AUTO_FREE char *name = equals ? strndup(word, (size_t)(equals - word)) : NULL;
	char wrong[WHY_MAX] = "out of memory", buffer[SHOWN_MAX];
	const struct key *key;
	int r;

	if (!equals)
		return because(why, -EINVAL,
			"\"%s\" has no value, write KEY=VALUE, as sources=10.0.0.0/8",
			shown(word, buffer));
	if (!name)
		return because(why, -ENOMEM, "%s", wrong);
	key = find_key(name);
	if (!key)
		return refuse_key(name, why);
	r = key_set(key, filter, equals + 1, wrong);
	return r < 0 ? because(why, r, "%s: %s", plain_name(key->name), wrong) : 0;
}

/* The first that config_filter_check() finds. */
static void note(void *argument, const char *key, const char *wrong)
{
	char *why = argument;

	if (!*why)
		because(why, -EINVAL, "%s: %s", plain_name(key), wrong);
}

int where_read(
	const char *const *words, size_t count, struct config_filter *ret, char why[static WHY_MAX])
{
	int r;

	*ret = (struct config_filter){0};
	if (schema_defaults(&filter_schema, ret) < 0)
		return because(why, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++)
		if ((r = take_word(ret, words[i], why)) < 0)
			return r;
	*why = '\0';
	config_filter_check(ret, note, why);
	return *why ? -EINVAL : 0;
}
