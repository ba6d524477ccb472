#include "control/parameters.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const char *type_name(const json_t *value)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "an object",
		[JSON_ARRAY] = "an array",
		[JSON_STRING] = "a string",
		[JSON_INTEGER] = "a number",
		[JSON_REAL] = "a number with a fraction",
		[JSON_TRUE] = "true",
		[JSON_FALSE] = "false",
		[JSON_NULL] = "null",
	};

	return names[json_typeof(value)];
}

static bool is_name(const json_t *value)
{
	return json_is_string(value) &&
	       strlen(json_string_value(value)) == json_string_length(value);
}

static bool are_names(const json_t *value)
{
	if (!json_is_array(value))
		return false;
	for (size_t i = 0; i < json_array_size(value); i++)
		if (!is_name(json_array_get(value, i)))
			return false;
	return true;
}

static const char *const expected[] = {
	[PARAMETER_NAME] = "a string without NUL",
	[PARAMETER_TEXT] = "a string",
	[PARAMETER_NUMBER] = "a whole number",
	[PARAMETER_FLAG] = "true or false",
	[PARAMETER_NAMES] = "an array of strings without NUL",
	[PARAMETER_OBJECT] = "an object",
};

static bool is_of_type(const json_t *value, enum parameter_type type)
{
	switch (type) {
	case PARAMETER_NAME:
		return is_name(value);
	case PARAMETER_TEXT:
		return json_is_string(value);
	case PARAMETER_NUMBER:
		return json_is_integer(value);
	case PARAMETER_FLAG:
		return json_is_boolean(value);
	case PARAMETER_NAMES:
		return are_names(value);
	case PARAMETER_OBJECT:
		return json_is_object(value);
	}
	return false;
}

/* Writes a value of the row's type where the row wants it. */
static void set(const struct parameter *row, json_t *value)
{
	switch (row->type) {
	case PARAMETER_NAME:
		*(const char **)row->value = json_string_value(value);
		break;
	case PARAMETER_TEXT:
		*(struct parameter_text *)row->value = (struct parameter_text){
			json_string_value(value), json_string_length(value)};
		break;
	case PARAMETER_NUMBER:
		*(int64_t *)row->value = json_integer_value(value);
		break;
	case PARAMETER_FLAG:
		*(bool *)row->value = json_is_true(value);
		break;
	case PARAMETER_NAMES:
	case PARAMETER_OBJECT:
		*(json_t **)row->value = value;
		break;
	}
}

/* Names a member that no row has. */
static int refuse_unknown(const json_t *object, const struct parameter *rows, size_t count,
	const char **ret_name, char why[static WHY_MAX])
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)object, name, value)
	{
		size_t i = 0;

		while (i < count && strcmp(rows[i].name, name))
			i++;
		if (i < count)
			continue;
		*ret_name = name;
		snprintf(why, WHY_MAX,
			"there is no such parameter; the interface's description lists those that "
			"there are");
		return -EINVAL;
	}
	return 0;
}

int parameters_read(const json_t *object, const struct parameter *rows, size_t count,
	const char **ret_name, char why[static WHY_MAX])
{
	size_t known = 0;

	for (size_t i = 0; i < count; i++) {
		json_t *value = json_object_get(object, rows[i].name);
		bool absent = !value || json_is_null(value);

		*ret_name = rows[i].name;
		known += value != NULL;
		if (absent && rows[i].required) {
			snprintf(why, WHY_MAX, "is missing");
			return -EINVAL;
		}
		if (absent)
			continue;
		if (!is_of_type(value, rows[i].type)) {
			snprintf(why, WHY_MAX, "must be %s, and is %s", expected[rows[i].type],
				type_name(value));
			return -EINVAL;
		}
		set(&rows[i], value);
	}
	return known == json_object_size(object)
		       ? 0
		       : refuse_unknown(object, rows, count, ret_name, why);
}
