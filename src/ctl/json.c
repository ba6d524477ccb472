#include "ctl/json.h"

#include "base/escape.h"

static void append_array(struct text *text, const json_t *array)
{
	text_append(text, "[", 1);
	for (size_t i = 0; i < json_array_size(array); i++) {
		if (i)
			text_append(text, ",", 1);
		text_append_value(text, json_array_get(array, i));
	}
	text_append(text, "]", 1);
}

static void append_object(struct text *text, const json_t *object)
{
	json_t *mutable = (json_t *)object; /* jansson has no iterator over a const object */
	const char *separator = "";
	const char *key;
	json_t *value;

	text_append(text, "{", 1);
	json_object_foreach(mutable, key, value)
	{
		text_append_string(text, separator);
		text_append_json(text, key, strlen(key));
		text_append(text, ":", 1);
		text_append_value(text, value);
		separator = ",";
	}
	text_append(text, "}", 1);
}

void text_append_value(struct text *text, const json_t *value)
{
	switch (value ? json_typeof(value) : JSON_NULL) {
	case JSON_OBJECT:
		append_object(text, value);
		break;
	case JSON_ARRAY:
		append_array(text, value);
		break;
	case JSON_STRING:
		text_append_json(text, json_string_value(value), json_string_length(value));
		break;
	case JSON_INTEGER:
		text_printf(text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		break;
	case JSON_REAL:
		text_printf(text, "%.17g", json_real_value(value));
		break;
	case JSON_TRUE:
		text_append_string(text, "true");
		break;
	case JSON_FALSE:
		text_append_string(text, "false");
		break;
	case JSON_NULL:
		text_append_string(text, "null");
		break;
	}
}

void text_append_shown(struct text *text, const char *string, size_t size)
{
	const char *end = string + size;

	while (string < end) {
		const char *backslash = memchr(string, '\\', (size_t)(end - string));
		size_t run = (size_t)((backslash ? backslash : end) - string);

		text_append_escaped(text, string, run);
		if (backslash)
			text_append(text, "\\", 1);
		string += run + (backslash != NULL);
	}
}
