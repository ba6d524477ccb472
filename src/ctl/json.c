#include "ctl/json.h"

#include "base/escape.h"
#include "base/json.h"

static void append_array(struct text *text, const json_t *array)
{
	text_append(text, "[", 1);
	for (size_t i = 0; i < json_array_size(array); i++) {
		json_put_member(text, NULL);
		text_append_value(text, json_array_get(array, i));
	}
	json_put_close(text, ']');
}

static void append_object(struct text *text, const json_t *object)
{
	const char *key;
	json_t *value;

	text_append(text, "{", 1);
	json_object_foreach((json_t *)object, key, value) /* jansson has no const iterator */
	{
		json_put_string(text, NULL, key);
		text_append(text, ":", 1);
		text_append_value(text, value);
	}
	json_put_close(text, '}');
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
	default:
		text_append_string(text, json_is_true(value)    ? "true"
					 : json_is_false(value) ? "false"
								: "null");
	}
}
