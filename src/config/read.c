#include "config/read.h"

#include <errno.h>
#include <libconfig.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "config/block.h"
#include "config/build.h"
#include "config/words.h"

static struct subject subject_of(const struct reader *reader, const char *section,
	const config_setting_t *setting, bool is_named)
{
	return (struct subject){
		.place = {reader->file, config_setting_source_line(setting)},
		.section = section,
		.name = is_named ? config_setting_name(setting) : NULL,
	};
}

static int read_group(struct reader *reader, const config_setting_t *setting)
{
	struct block block = {
		.subject = subject_of(reader, "groups", setting, true), .target_count = 1};
	CLEANUP(config_group_clear) struct config_group group = {0};
	int r;

	if (!expect_group(reader, &block.subject, setting))
		return 0;
	r = config_group_init(&group, config_setting_name(setting));
	if (r < 0)
		return r;
	group.place = block.subject.place;
	group.marks = calloc(group_schema.count, sizeof(*group.marks));
	if (!group.marks)
		return -ENOMEM;
	block.targets[0] = (struct target){&group_schema, &group, group.marks};
	r = read_block(reader, &block, setting);
	return r < 0 ? r : config_add_group(reader->config, &group);
}

/* The kind that a handler's type names, or NULL after saying why not. That its value is no string
 * is for the row of "type" to say. */
static const struct config_kind *find_kind(
	struct reader *reader, const struct subject *subject, const config_setting_t *setting)
{
	const config_setting_t *type = config_setting_get_member(setting, "type");
	const char *name = type ? config_setting_get_string(type) : "";
	AUTO_TEXT struct text why = {0}, known = {0};
	struct guess guess = {.word = name};
	char buffer[SHOWN_MAX], meant[GUESS_MAX];

	if (!name || (type && !*name))
		return NULL;
	for (size_t i = 0; reader->kinds[i]; i++) {
		const char *kind = reader->kinds[i]->name;

		if (!strcmp(kind, name))
			return reader->kinds[i];
		guess_offer(&guess, kind);
		text_printf(&known, "%s%s", i ? ", " : "", kind);
	}
	if (type)
		text_printf(&why, "unknown type \"%s\"%s (there are %s)", shown(name, buffer),
			guess_or(&guess, ", use another", meant), text_string(&known));
	else
		text_printf(&why, "has no type, add type = \"...\"; with one of %s",
			text_string(&known));
	report(reader->errors, subject, type ? config_setting_source_line(type) : 0,
		type ? "type" : NULL, text_string(&why));
	return NULL;
}

static int read_handler(struct reader *reader, const config_setting_t *setting)
{
	struct block block = {.subject = subject_of(reader, "handlers", setting, true)};
	const struct config_kind *kind;
	struct config_handler *handler;

	if (!expect_group(reader, &block.subject, setting))
		return 0;
	kind = find_kind(reader, &block.subject, setting);
	handler = config_append_handler(reader->config, config_setting_name(setting), kind);
	if (!handler)
		return -ENOMEM;
	handler->place = block.subject.place;
	handler->marks = calloc(
		handler_schema.count + filter_schema.count + (kind ? kind->schema.count : 0),
		sizeof(*handler->marks));
	if (!handler->marks)
		return -ENOMEM;
	block.targets[block.target_count++] = (struct target){
		&handler_schema, handler, handler->marks};
	block.targets[block.target_count++] = (struct target){
		&filter_schema, &handler->filter, handler->marks + handler_schema.count};
	if (kind)
		block.targets[block.target_count++] = (struct target){&kind->schema,
			handler->settings,
			handler->marks + handler_schema.count + filter_schema.count};
	block.is_open = !kind;
	return read_block(reader, &block, setting);
}

static int read_members(struct reader *reader, const char *section, const config_setting_t *setting,
	int (*read)(struct reader *reader, const config_setting_t *setting))
{
	struct subject subject = subject_of(reader, section, setting, false);
	int r = 0;

	if (!expect_group(reader, &subject, setting))
		return 0;
	for (int i = 0; i < config_setting_length(setting) && r >= 0; i++)
		r = read(reader, config_setting_get_elem(setting, (unsigned)i));
	return r;
}

static int read_groups(struct reader *reader, const config_setting_t *setting)
{
	return read_members(reader, "groups", setting, read_group);
}

static int read_handlers(struct reader *reader, const config_setting_t *setting)
{
	return read_members(reader, "handlers", setting, read_handler);
}

static int read_control(struct reader *reader, const config_setting_t *setting)
{
	AUTO_FREE struct key_mark *marks = calloc(control_schema.count, sizeof(*marks));
	struct block block = {
		.subject = subject_of(reader, "control", setting, false),
		.targets = {{&control_schema, reader->config, marks}},
		.target_count = 1,
	};

	if (!marks)
		return -ENOMEM;
	return expect_group(reader, &block.subject, setting) ? read_block(reader, &block, setting)
							     : 0;
}

/* What stands at the top and is no value. */
static const struct section {
	const char *name;
	int (*read)(struct reader *reader, const config_setting_t *setting);
} sections[] = {
	{"groups", read_groups},
	{"handlers", read_handlers},
	{"control", read_control},
};

static const char *const section_names[] = {"groups", "handlers", "control", NULL};

static int read_top(
	struct reader *reader, const struct block *block, const config_setting_t *setting)
{
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++)
		if (!strcmp(sections[i].name, config_setting_name(setting)))
			return sections[i].read(reader, setting);
	return read_setting(reader, block, setting);
}

static int read_root(struct reader *reader, const config_setting_t *root)
{
	AUTO_FREE struct key_mark *marks = calloc(config_schema.count, sizeof(*marks));
	struct block block = {
		.subject = {.place = {reader->file, 1}},
		.targets = {{&config_schema, reader->config, marks}},
		.target_count = 1,
		.others = section_names,
	};
	int r = marks ? 0 : -ENOMEM;

	for (int i = 0; i < config_setting_length(root) && r >= 0; i++)
		r = read_top(reader, &block, config_setting_get_elem(root, (unsigned)i));
	return r;
}

/* The pre-scan has caught what it can name; the rest is in libconfig's few words. */
static void report_parse_error(struct reader *reader, const config_t *parsed)
{
	const char *text = config_error_text(parsed), *hint = "";

	if (!strcmp(text, "syntax error"))
		hint = ", a setting is NAME = VALUE; look here and on the line above";
	else if (!strcmp(text, "mismatched element type in array"))
		hint = ", write all items as strings";
	errors_add(
		reader->errors, "%s:%d: %s%s", reader->file, config_error_line(parsed), text, hint);
}

static int parse_text(struct reader *reader, const char *text)
{
	CLEANUP(config_destroy) config_t parsed;

	config_init(&parsed);
	if (!config_read_string(&parsed, text)) {
		report_parse_error(reader, &parsed);
		return -EINVAL;
	}
	return read_root(reader, config_root_setting(&parsed));
}

int read_text(struct config *config, const char *file, const char *text, size_t size,
	const struct config_kind *const *kinds, struct errors *errors)
{
	struct reader reader = {.config = config, .kinds = kinds, .errors = errors, .file = file};
	int r = prescan(file, text, size, errors, &reader.odd);

	if (r >= 0)
		r = parse_text(&reader, text);
	odd_lines_clear(&reader.odd);
	return r;
}
