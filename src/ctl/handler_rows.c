#include "ctl/handler_rows.h"

static void append_interface(json_t *rows, const json_t *interface)
{
	const char *name = json_string_value(json_object_get(interface, "interface"));
	json_t *row = json_copy((json_t *)interface);

	json_object_set_new(row, "name", json_sprintf("  %s", name ? name : "(gone)"));
	json_array_append_new(rows, row);
}

/* The columns of a handler, for the other way: taken, sent, waiting. */
static void append_input(json_t *rows, const json_t *input)
{
	static const char *const names[][2] = {{"received", "taken"}, {"delivered", "sent"},
		{"dropped", "dropped"}, {"queued", "waiting"}, {"queuedBytes", "waitingBytes"},
		{"groups", "groups"}};
	json_int_t gaps = json_integer_value(json_object_get(input, "gaps"));
	json_t *row = json_pack("{s:s, s:i}", "name", "  in", "filtered", 0);

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		json_object_set(row, names[i][0], json_object_get(input, names[i][1]));
	json_object_set_new(row, "counters", json_pack("{s:I}", "gaps", gaps));
	json_array_append_new(rows, row);
}

static bool is_used(const json_t *input)
{
	return json_array_size(json_object_get(input, "groups")) ||
	       json_integer_value(json_object_get(input, "taken"));
}

json_t *handler_rows(const json_t *handlers, bool with_interfaces)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < json_array_size(handlers); i++) {
		json_t *handler = json_array_get(handlers, i);
		const json_t *interfaces = json_object_get(handler, "interfaces");
		const json_t *input = json_object_get(handler, "input");

		json_array_append(rows, handler);
		for (size_t j = 0; with_interfaces && j < json_array_size(interfaces); j++)
			append_interface(rows, json_array_get(interfaces, j));
		if (is_used(input))
			append_input(rows, input);
	}
	return rows;
}
