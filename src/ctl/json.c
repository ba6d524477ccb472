#include "ctl/json.h"

#include "base/escape.h"
#include "base/json.h"

void text_append_value(struct text *text, const json_t *value)
{
	const char *key;
	json_t *item;
	size_t i;

	switch (value ? json_typeof(value) : JSON_NULL) {
	case JSON_OBJECT:
		text_append(text, "{", 1);
		json_object_foreach((json_t *)value, key, item) /* jansson has no const iterator */
		{
			json_put_string(text, NULL, key);
			text_append(text, ":", 1);
			text_append_value(text, item);
		}
		json_put_close(text, '}');
		break;
	case JSON_ARRAY:
		text_append(text, "[", 1);
		json_array_foreach(value, i, item)
		{
			json_put_member(text, NULL);
			text_append_value(text, item);
		}
		json_put_close(text, ']');
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
