#include "config/value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

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

/* Whether digits, in quotes and maybe with a unit, can be a value of a type that is a string in the
 * file. */
static bool may_be_number(const struct key *key, int64_t number)
{
	char digits[32];

	switch (key->type) {
	case KEY_CHOICE:
	case KEY_PATH:
	case KEY_ADDRESS:
	case KEY_ADDRESSES:
	case KEY_PREFIXES:
	case KEY_PRINCIPALS:
		return false;
	case KEY_MODE:
		snprintf(digits, sizeof(digits), "%" PRId64, number);
		return number <= 777 && strspn(digits, "01234567") == strlen(digits);
	default:
		return true;
	}
}

/* For types that are strings in the file: a number lacks only its quotes, and maybe its unit. */
static int refuse_for_string(
	const struct key *key, const struct value *value, char why[static WHY_MAX])
{
	const char *is = value_type_name(value->type);
	char size[UNIT_STRING_MAX], example[SHOWN_MAX];

	if (value->type != VALUE_NUMBER || value->number < 0 || !may_be_number(key, value->number))
		return because(why, -EINVAL, "%s, write %s such as %s", is,
			key_is_list(key) ? "strings" : "a string", key_example(key, example));
	if (key->type == KEY_SIZE)
		return because(why, -EINVAL, "%s, write it with its unit in quotes: \"%s\"", is,
			format_size((uint64_t)value->number, size));
	if (key->type == KEY_DURATION)
		return because(why, -EINVAL,
			"%s without a unit, write \"%" PRId64 "s\" or \"%" PRId64 "ms\"", is,
			value->number, value->number);
	if (key->type == KEY_RATE)
		return because(why, -EINVAL, "%s, write \"%" PRId64 "/s\"", is, value->number);
	if (key->type == KEY_MODE)
		return because(why, -EINVAL,
			"%s, write it in octal and in quotes: \"%04" PRId64 "\"", is,
			value->number);
	return because(why, -EINVAL, "%s, write it in quotes: \"%" PRId64 "\"", is, value->number);
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
