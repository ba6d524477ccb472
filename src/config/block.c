#include "config/block.h"

#include <errno.h>
#include <libconfig.h>
#include <string.h>

#include "base/text.h"
#include "config/behaviour.h"
#include "config/value.h"
#include "config/words.h"

static struct value get_value(const config_setting_t *setting)
{
	static const enum value_type types[] = {
		[CONFIG_TYPE_INT] = VALUE_NUMBER,
		[CONFIG_TYPE_INT64] = VALUE_NUMBER,
		[CONFIG_TYPE_FLOAT] = VALUE_FRACTION,
		[CONFIG_TYPE_BOOL] = VALUE_BOOL,
		[CONFIG_TYPE_STRING] = VALUE_STRING,
		[CONFIG_TYPE_ARRAY] = VALUE_ARRAY,
		[CONFIG_TYPE_LIST] = VALUE_LIST,
		[CONFIG_TYPE_GROUP] = VALUE_GROUP,
	};
	struct value value = {.type = types[config_setting_type(setting)]};

	if (value.type == VALUE_NUMBER)
		value.number = config_setting_get_int64(setting);
	else if (value.type == VALUE_BOOL)
		value.number = config_setting_get_bool(setting);
	else if (value.type == VALUE_STRING)
		value.string = config_setting_get_string(setting);
	return value;
}

/* Sets one value, or one item of a list. */
static int read_value(struct reader *reader, const struct block *block, const struct key *key,
	const struct target *target, const config_setting_t *setting)
{
	struct value value = get_value(setting);
	unsigned line = config_setting_source_line(setting);
	char why[WHY_MAX];
	int r;

	if (value.type == VALUE_NUMBER && odd_lines_contain(&reader->odd, line))
		return -EINVAL; /* the pre-scan has said why */
	r = key_set_value(key, target->settings, &value, why);
	if (r < 0 && r != -ENOMEM)
		report(reader->errors, &block->subject, line, key->name, why);
	return r;
}

static int read_array(struct reader *reader, const struct block *block, const struct key *key,
	const struct target *target, const config_setting_t *array)
{
	int count = config_setting_length(array), failed = 0;

	if (!count && key->min > 0) {
		report(reader->errors, &block->subject, config_setting_source_line(array),
			key->name,
			key->required
				? "is empty, write at least one item"
				: "is empty, which would select nothing: leave the key out for its "
				  "default");
		return -EINVAL;
	}
	for (int i = 0; i < count && failed != -ENOMEM; i++) {
		int r = read_value(
			reader, block, key, target, config_setting_get_elem(array, (unsigned)i));

		if (r < 0)
			failed = r;
		if (r == -ERANGE) /* full: so it is for the rest of them */
			break;
	}
	return failed;
}

static int read_key(struct reader *reader, const struct block *block, const struct key *key,
	const struct target *target, const config_setting_t *setting)
{
	struct key_mark *mark = &target->marks[key - target->schema->keys];
	bool is_list = key_types[key->type].is_list;
	int r;

	mark->line = config_setting_source_line(setting);
	if (is_list)
		key_clear(key, target->settings);
	if (is_list && config_setting_is_array(setting))
		r = read_array(reader, block, key, target, setting);
	else
		r = read_value(reader, block, key, target, setting);
	mark->failed = r < 0;
	return r == -ENOMEM ? r : 0;
}

/* ", did you mean ...", or all the keys that there are. */
static void append_known(struct text *why, const struct block *block, const char *name)
{
	AUTO_TEXT struct text known = {0};
	struct guess guess = {.word = name};
	const char *separator = ", known: ";
	char meant[GUESS_MAX];

	for (size_t i = 0; i < block->target_count; i++) {
		const struct schema *schema = block->targets[i].schema;

		for (size_t j = 0; j < schema->count; j++) {
			guess_offer(&guess, schema->keys[j].name);
			text_printf(&known, "%s%s", separator, schema->keys[j].name);
			separator = ", ";
		}
	}
	for (size_t i = 0; block->others && block->others[i]; i++) {
		guess_offer(&guess, block->others[i]);
		text_printf(&known, ", %s", block->others[i]);
	}
	text_append_string(why, guess_or(&guess, text_string(&known), meant));
}

static void refuse_key(struct reader *reader, const struct block *block, const char *name,
	const config_setting_t *setting)
{
	AUTO_TEXT struct text why = {0};
	char buffer[SHOWN_MAX];

	if (block->is_open)
		return;
	text_printf(&why, "unknown key \"%s\"", shown(name, buffer));
	append_known(&why, block, name);
	report(reader->errors, &block->subject, config_setting_source_line(setting), NULL,
		text_string(&why));
}

/* Whether rows begin with the name and a dot: it is a block within the block. */
static bool is_inner_block(const struct block *block, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < block->target_count; i++) {
		const struct schema *schema = block->targets[i].schema;

		for (size_t j = 0; j < schema->count; j++)
			if (!strncmp(schema->keys[j].name, name, length) &&
				schema->keys[j].name[length] == '.')
				return true;
	}
	return false;
}

/* Reads one setting that goes by this name, with a dot where it stands in an inner block. */
static int read_named(struct reader *reader, const struct block *block, const char *name,
	const config_setting_t *setting)
{
	for (size_t i = 0; i < block->target_count; i++) {
		const struct target *target = &block->targets[i];
		const struct key *key = schema_find(target->schema, name);

		if (key)
			return read_key(reader, block, key, target, setting);
	}
	refuse_key(reader, block, name, setting);
	return 0;
}

static int read_inner_block(
	struct reader *reader, const struct block *block, const config_setting_t *setting)
{
	const char *outer = config_setting_name(setting);
	char why[WHY_MAX];
	int r = 0;

	if (!config_setting_is_group(setting)) {
		snprintf(why, sizeof(why), "%s, write %s: { ... };",
			value_type_name(get_value(setting).type), outer);
		report(reader->errors, &block->subject, config_setting_source_line(setting), outer,
			why);
		return 0;
	}
	for (int i = 0; i < config_setting_length(setting) && r >= 0; i++) {
		const config_setting_t *inner = config_setting_get_elem(setting, (unsigned)i);
		AUTO_TEXT struct text name = {0};

		text_printf(&name, "%s.%s", outer, config_setting_name(inner));
		r = read_named(reader, block, text_string(&name), inner);
	}
	return r;
}

int read_setting(struct reader *reader, const struct block *block, const config_setting_t *setting)
{
	const char *name = config_setting_name(setting);

	if (is_inner_block(block, name))
		return read_inner_block(reader, block, setting);
	return read_named(reader, block, name, setting);
}

static void check_required(
	struct reader *reader, const struct block *block, const struct target *target)
{
	for (size_t i = 0; i < target->schema->count; i++) {
		const struct key *key = &target->schema->keys[i];
		char why[WHY_MAX], buffer[SHOWN_MAX];

		if (!key->required || target->marks[i].line)
			continue;
		snprintf(why, sizeof(why), "has no %s, add one: %s = %s;", key->name, key->name,
			key_example(key, buffer));
		report(reader->errors, &block->subject, 0, NULL, why);
		target->marks[i].failed = true;
	}
}

int read_block(struct reader *reader, const struct block *block, const config_setting_t *setting)
{
	int count = config_setting_length(setting), r = 0;

	for (int i = 0; i < count && r >= 0; i++)
		r = read_setting(reader, block, config_setting_get_elem(setting, (unsigned)i));
	for (size_t i = 0; i < block->target_count && !block->is_open; i++)
		check_required(reader, block, &block->targets[i]);
	return r;
}

bool expect_group(
	struct reader *reader, const struct subject *subject, const config_setting_t *setting)
{
	struct value value = get_value(setting);
	char why[WHY_MAX];

	if (value.type == VALUE_GROUP)
		return true;
	if (subject->name || !strcmp(subject->section, "control"))
		snprintf(why, sizeof(why), "%s, write %s: { ... };", value_type_name(value.type),
			config_setting_name(setting));
	else
		snprintf(why, sizeof(why), "%s, write %s: { NAME: { ... }; };",
			value_type_name(value.type), subject->section);
	report(reader->errors, subject, 0, NULL, why);
	return false;
}
