#include "config/value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "base/units.h"

const char *value_type_name(enum value_type type)
{
	static const char *const names[] = {
		[VALUE_NUMBER] = "is a number",
		[VALUE_FRACTION] = "is a number with a fraction",
		[VALUE_BOOL] = "is true or false",
		[VALUE_STRING] = "is a string",
		[VALUE_ARRAY] = "is an array [ ]",
		[VALUE_LIST] = "is a list ( )",
		[VALUE_GROUP] = "is a group { }",
	};

	return names[type];
}

/* "true" or "false" where the value of another type can only mean that; or NULL. */
static const char *meant_bool(const struct value *value)
{
	static const char *const yes[] = {"true", "yes", "on", "1"};
	static const char *const no[] = {"false", "no", "off", "0"};

	if (value->type == VALUE_NUMBER)
		return value->number == 1 ? "true" : value->number == 0 ? "false" : NULL;
	for (size_t i = 0; value->type == VALUE_STRING && i < ARRAY_SIZE(yes); i++) {
		if (!strcasecmp(value->string, yes[i]))
			return "true";
		if (!strcasecmp(value->string, no[i]))
			return "false";
	}
	return NULL;
}

static int refuse_for_bool(const struct value *value, char why[static WHY_MAX])
{
	const char *meant = meant_bool(value);

	return because(why, -EINVAL, "%s, write %s%s", value_type_name(value->type),
		meant ? meant : "true or false",
		value->type == VALUE_STRING ? " without quotes" : "");
}

static int refuse_for_number(const struct value *value, char why[static WHY_MAX])
{
	return because(why, -EINVAL, "%s, write a %snumber%s", value_type_name(value->type),
		value->type == VALUE_FRACTION ? "whole " : "",
		value->type == VALUE_STRING ? " without quotes" : "");
}

/* How a number is meant where a string is wanted: with the first or the second of these units. */
static const struct meaning {
	const char *write, *units[2];
} any_string = {", write it in quotes: ", {""}},
  meanings[KEY_TYPES] = {
	  [KEY_SIZE] = {", write it with its unit in quotes: ", {""}},
	  [KEY_DURATION] = {" without a unit, write ", {"s", "ms"}},
	  [KEY_RATE] = {", write a rate, in quotes: ", {"/s"}},
	  [KEY_RATES] = {", write a rate, in quotes: ", {"/s"}},
	  [KEY_MODE] = {", write it in octal and in quotes: ", {""}},
};

/* Whether no number in quotes is a value of the key, or only by chance. */
static bool is_never_number(const struct key *key)
{
	return key->example || key->type == KEY_CHOICE || key->type == KEY_ARGUMENTS;
}

/* For types that are strings in the file: a number lacks only its quotes, and maybe its unit. What
 * is proposed is accepted. */
static int refuse_for_string(
	const struct key *key, const struct value *value, char why[static WHY_MAX])
{
	const struct meaning *meaning = meanings[key->type].write ? &meanings[key->type]
								  : &any_string;
	const char *is = value_type_name(value->type);
	char number[UNIT_STRING_MAX], example[SHOWN_MAX];
	AUTO_TEXT struct text proposed = {0};

	if (key->type == KEY_SIZE && value->number > 0)
		format_size((uint64_t)value->number, number);
	else
		snprintf(number, sizeof(number), key->type == KEY_MODE ? "%04" PRId64 : "%" PRId64,
			value->number);
	for (size_t i = 0; i < ARRAY_SIZE(meaning->units) && meaning->units[i]; i++) {
		char text[2 * UNIT_STRING_MAX];

		snprintf(text, sizeof(text), "%s%s", number, meaning->units[i]);
		if (value->type == VALUE_NUMBER && !is_never_number(key) && key_accepts(key, text))
			text_printf(&proposed, "%s\"%s\"", proposed.length ? " or " : "", text);
	}
	if (!proposed.length)
		return because(why, -EINVAL, "%s, write %s such as %s", is,
			key_is_list(key) ? "strings" : "a string", key_example(key, example));
	return because(why, -EINVAL, "%s%s%s", is, meaning->write, text_string(&proposed));
}

static int refuse_aggregate(
	const struct key *key, const struct value *value, char why[static WHY_MAX])
{
	const char *wanted = key_is_list(key) ? "an array" : "one value";
	char example[SHOWN_MAX];

	return because(why, -EINVAL, "%s, write %s: %s = %s;", value_type_name(value->type), wanted,
		key->name, key_example(key, example));
}

int key_set_value(
	const struct key *key, void *settings, const struct value *value, char why[static WHY_MAX])
{
	char number[32];

	if (value->type >= VALUE_ARRAY)
		return refuse_aggregate(key, value, why);
	if (key->type == KEY_BOOL) {
		if (value->type != VALUE_BOOL)
			return refuse_for_bool(value, why);
		return key_set(key, settings, value->number ? "true" : "false", why);
	}
	if (key->type == KEY_NUMBER) {
		if (value->type != VALUE_NUMBER)
			return refuse_for_number(value, why);
		snprintf(number, sizeof(number), "%" PRId64, value->number);
		return key_set(key, settings, number, why);
	}
	if (value->type != VALUE_STRING)
		return refuse_for_string(key, value, why);
	return key_set(key, settings, value->string, why);
}
