#include "control/method.h"

#include <errno.h>
#include <string.h>

#include "base/json.h"

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

static const char *const expected[] = {
	[PARAMETER_NAME] = "a string without NUL",
	[PARAMETER_TEXT] = "a string",
	[PARAMETER_NUMBER] = "a whole number",
	[PARAMETER_FLAG] = "true or false",
	[PARAMETER_NAMES] = "an array of strings without NUL",
	[PARAMETER_OBJECT] = "an object",
};

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

/* Sets the row's value. Returns whether the member has the type for it. */
static bool set(const struct parameter *row, json_t *value)
{
	switch (row->type) {
	case PARAMETER_NAME:
		*(const char **)row->value = json_string_value(value);
		return is_name(value);
	case PARAMETER_TEXT:
		*(struct parameter_text *)row->value = (struct parameter_text){
			json_string_value(value), json_string_length(value)};
		return json_is_string(value);
	case PARAMETER_NUMBER:
		*(int64_t *)row->value = json_integer_value(value);
		return json_is_integer(value);
	case PARAMETER_FLAG:
		*(bool *)row->value = json_is_true(value);
		return json_is_boolean(value);
	case PARAMETER_NAMES:
		*(json_t **)row->value = value;
		return are_names(value);
	case PARAMETER_OBJECT:
		*(json_t **)row->value = value;
		return json_is_object(value);
	}
	return false;
}

/* Finds a member that has no row. */
static const char *find_unknown(const json_t *object, const struct parameter *rows, size_t count)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)object, name, value)
	{
		size_t i = 0;

		while (i < count && strcmp(rows[i].name, name))
			i++;
		if (i == count)
			return name;
	}
	return NULL;
}

int parameters_read(const json_t *object, const struct parameter *rows, size_t count,
	const char **ret_name, char why[static WHY_MAX])
{
	size_t known = 0;

	for (size_t i = 0; i < count; i++) {
		json_t *value = json_object_get(object, rows[i].name);

		*ret_name = rows[i].name;
		known += value != NULL;
		if (!value || json_is_null(value)) {
			if (rows[i].required)
				return because(why, -EINVAL, "is missing");
		} else if (!set(&rows[i], value)) {
			return because(why, -EINVAL, "must be %s, and is %s",
				expected[rows[i].type], type_name(value));
		}
	}
	if (known == json_object_size(object))
		return 0;
	*ret_name = find_unknown(object, rows, count);
	return because(
		why, -EINVAL, "is not known; the interface description lists all parameters");
}

int method_read(
	struct client *client, const struct call *call, const struct parameter *rows, size_t count)
{
	const char *name = NULL;
	char why[WHY_MAX];
	int r = parameters_read(call->parameters, rows, count, &name, why);

	if (r < 0)
		method_invalid(client, name, why);
	return r;
}

void method_invalid(struct client *client, const char *parameter, const char *message)
{
	json_put_string(client_begin_error(client, "org.varlink.service.InvalidParameter"),
		"parameter", parameter);
	client_end_message(client, "%s", message);
}

void method_no_such_group(struct client *client, const char *name)
{
	json_put_string(client_begin_error(client, "io.mcastd.NoSuchGroup"), "group", name);
	client_end_message(client, "there is no group \"%s\"; mcastctl groups lists them", name);
}

void method_no_such_handler(struct client *client, const char *name)
{
	json_put_string(client_begin_error(client, "io.mcastd.NoSuchHandler"), "handler", name);
	client_end_message(
		client, "there is no handler \"%s\"; mcastctl handlers lists them", name);
}

static void refuse(struct client *client, const struct group *group, const struct peer *peer,
	enum access access)
{
	AUTO_TEXT struct text why = {0};

	permission_explain(group->config, &group->owner, peer, access, &why);
	json_put_string(
		client_begin_error(client, "io.mcastd.NotPermitted"), "group", group->config->name);
	client_end_message(client, "%s", text_string(&why));
}

bool method_permits(struct client *client, const struct group *group, enum access access)
{
	const struct peer *peer = client_peer(client);

	if (peer && group_permits(group, peer, access))
		return true;
	if (peer)
		refuse(client, group, peer, access);
	else
		client_close(client);
	return false;
}

void method_put_lines(struct text *text, const char *name, const struct errors *lines)
{
	char omitted[32];

	json_put_open(text, name, '[');
	for (size_t i = 0; i < lines->count; i++)
		json_put_string(text, NULL, lines->lines[i]);
	if (lines->omitted) {
		snprintf(omitted, sizeof(omitted), "and %zu more", lines->omitted);
		json_put_string(text, NULL, omitted);
	}
	json_put_close(text, ']');
}
