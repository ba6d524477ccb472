/* The keys of the configuration, by their rows. */
#include <inttypes.h>

#include "base/units.h"
#include "config/config.h"
#include "handlers/handler.h"
#include "tables.h"

static void append_choices(struct text *out, const char *const *choices)
{
	for (size_t i = 0; choices[i]; i++) {
		text_append_string(out, !i ? "\"" : choices[i + 1] ? ", \"" : " or \"");
		append_plain_string(out, choices[i]);
		text_append_string(out, "\"");
	}
}

static void append_type(struct text *out, const struct key *key)
{
	if (key->type == KEY_CHOICE)
		append_choices(out, key->choices);
	else
		text_printf(out, "_%s_", key_type_name(key));
}

static void append_range(struct text *out, const struct key *key)
{
	char min[UNIT_STRING_MAX], max[UNIT_STRING_MAX];

	if (key_is_list(key))
		text_printf(out, ", %s%" PRId64 " items", key->min ? "1 to " : "up to ",
			key->max ? key->max : (int64_t)LIST_ITEMS_MAX);
	else if (!key->min && !key->max)
		return;
	else if (key->type == KEY_NUMBER)
		text_printf(out, ", %" PRId64 " to %" PRId64, key->min, key->max);
	else if (key->type == KEY_SIZE)
		text_printf(out, ", \"%s\" to \"%s\"", format_size((uint64_t)key->min, min),
			format_size((uint64_t)key->max, max));
	else if (key->type == KEY_DURATION)
		text_printf(out, ", \"%s\" to \"%s\"", format_duration((uint64_t)key->min, min),
			format_duration((uint64_t)key->max, max));
	else
		text_printf(out, ", up to %" PRId64 " bytes", key->max);
}

static void append_default(struct text *out, const struct key *key)
{
	const char *quote = key->type == KEY_BOOL || key->type == KEY_NUMBER ? "" : "\"";

	if (key->required)
		text_append_string(out, "; required");
	if (key->unless)
		text_printf(out, ", unless %s is given", key->unless);
	if (!key->fallback)
		return;
	text_printf(out, "; default %s", quote);
	append_plain_string(out, key->fallback);
	text_append_string(out, quote);
}

static void append_key(struct text *out, const struct key *key)
{
	if (!key->help)
		fail("the key %s has no help", key->name);
	text_append_string(out, "*");
	append_plain_string(out, key->name);
	text_append_string(out, "* = ");
	append_type(out, key);
	append_range(out, key);
	append_default(out, key);
	text_append_string(out, "\n\t");
	append_sentence(out, key->help);
	text_append_string(out, "\n\n");
}

static const struct schema *find_schema(const char *name)
{
	static const struct {
		const char *name;
		const struct schema *schema;
	} schemas[] = {{"groups", &group_schema}, {"events", &events_schema},
		{"handlers", &handler_schema}, {"filter", &filter_schema},
		{"control", &control_schema}, {"http", &http_schema}, {"top", &config_schema}};

	for (size_t i = 0; i < ARRAY_SIZE(schemas); i++)
		if (!strcmp(schemas[i].name, name))
			return schemas[i].schema;
	for (const struct config_kind *const *kind = handler_config_kinds(); *kind; kind++)
		if (!strcmp((*kind)->name, name))
			return (*kind)->block.count ? &(*kind)->block : &(*kind)->schema;
	fail("there are no keys of %s", name);
}

void put_keys(struct text *out, const char *argument)
{
	const struct schema *schema = find_schema(argument);

	for (size_t i = 0; i < schema->count; i++)
		append_key(out, &schema->keys[i]);
	if (!schema->count)
		text_append_string(out, "It has no keys of its own.\n\n");
}
