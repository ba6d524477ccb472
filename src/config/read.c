#include "config/read.h"

#include <errno.h>
#include <libconfig.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/text.h"
#include "config/chunks.h"
#include "config/prescan.h"
#include "config/report.h"
#include "config/value.h"

/* One file that is being read. */
struct reader {
	struct config *config;
	const struct config_kind *const *kinds;
	struct errors *errors;
	const char *file;
	struct refused_lines refused;
	unsigned first_line; /* of the chunk that is being read */
};

/* A { }, or the top of the file, and the keys that may stand in it. */
struct block {
	struct subject subject;
	struct config_part parts[HANDLER_PARTS];
	size_t part_count;
	bool is_open; /* any other key may stand there, too, since the handler's kind is unknown */
	bool is_group; /* blocks of kinds of handlers may stand there, too */
};

/* What stands at the top and is no value. */
struct section {
	const char *name;
	/* Reads one member, when the members have names of their own; else NULL. */
	int (*read_member)(struct reader *reader, const config_setting_t *setting);
	/* Else reads the whole. */
	int (*read)(struct reader *reader, const struct subject *subject,
		const config_setting_t *setting);
};

static int read_group(struct reader *reader, const config_setting_t *setting);
static int read_handler(struct reader *reader, const config_setting_t *setting);
static int read_control(
	struct reader *reader, const struct subject *subject, const config_setting_t *setting);
static int read_http(
	struct reader *reader, const struct subject *subject, const config_setting_t *setting);
static int read_events(
	struct reader *reader, const struct subject *subject, const config_setting_t *setting);
static int read_section(
	struct reader *reader, const struct section *section, const config_setting_t *setting);
static int read_kind_block(struct reader *reader, const struct block *group,
	const struct config_kind *kind, const config_setting_t *setting);

static const struct section sections[] = {{"groups", read_group, NULL},
	{"handlers", read_handler, NULL}, {"control", NULL, read_control},
	{"http", NULL, read_http}, {"events", NULL, read_events}};

/* The line of the file, which libconfig counts from the chunk's first. */
static unsigned line_of(const struct reader *reader, const config_setting_t *setting)
{
	return reader->first_line - 1 + config_setting_source_line(setting);
}

/* ---- Keys ---- */

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

/* Sets one value, or adds one item of a list. */
static int read_value(struct reader *reader, const struct block *block, const struct key *key,
	void *settings, const config_setting_t *setting)
{
	struct value value = get_value(setting);
	unsigned line = line_of(reader, setting);
	char why[WHY_MAX];
	int r;

	if (value.type == VALUE_NUMBER && refused_lines_contain(&reader->refused, line))
		return -EINVAL; /* the pre-scan has said why */
	r = key_set_value(key, settings, &value, why);
	if (r < 0 && r != -ENOMEM)
		config_report(reader->errors, &block->subject, line, key->name, "%s", why);
	return r;
}

static int read_array(struct reader *reader, const struct block *block, const struct key *key,
	void *settings, const config_setting_t *array)
{
	int count = config_setting_length(array), failed = 0;

	if (!count && key->min > 0) {
		config_report(reader->errors, &block->subject, line_of(reader, array), key->name,
			"is empty, %s",
			key->required ? "write at least one item"
				      : "which would select nothing: leave the key out for its "
					"default");
		return -EINVAL;
	}
	for (int i = 0; i < count && failed != -ENOMEM; i++) {
		int r = read_value(
			reader, block, key, settings, config_setting_get_elem(array, (unsigned)i));

		if (r < 0)
			failed = r;
		if (r == -ERANGE) /* full: all further items would say so again */
			break;
	}
	return failed;
}

static int read_key(struct reader *reader, const struct block *block, const struct key *key,
	const struct config_part *part, const config_setting_t *setting)
{
	struct key_mark *mark = &part->marks[key - part->schema->keys];
	int r;

	mark->line = line_of(reader, setting);
	if (key_is_list(key))
		key_clear(key, part->settings);
	if (key_is_list(key) && config_setting_is_array(setting))
		r = read_array(reader, block, key, part->settings, setting);
	else
		r = read_value(reader, block, key, part->settings, setting);
	mark->failed = r < 0;
	return r == -ENOMEM ? r : 0;
}

/* ---- Blocks ---- */

#define BLOCK_OF_A_GROUP \
	"\"%s\" is a block of a group, write groups: { NAME: { ... %s: { ... }; }; };"

/* The kind whose handlers are blocks of groups, of this name, or NULL. */
static const struct config_kind *find_block_kind(const struct reader *reader, const char *name)
{
	for (size_t i = 0; reader->kinds[i]; i++)
		if (reader->kinds[i]->block.count && !strcmp(reader->kinds[i]->name, name))
			return reader->kinds[i];
	return NULL;
}

static void refuse_key(struct reader *reader, const struct block *block, const char *name,
	const config_setting_t *setting)
{
	AUTO_TEXT struct text known = {0};
	struct guess guess = {.word = name};
	char buffer[SHOWN_MAX], meant[GUESS_MAX];

	if (block->is_open)
		return;
	if (errors_full(reader->errors)) {
		errors_add(reader->errors, "unknown key");
		return;
	}
	if (!block->subject.section && find_block_kind(reader, name)) {
		config_report(reader->errors, &block->subject, line_of(reader, setting), NULL,
			BLOCK_OF_A_GROUP, name, name);
		return;
	}
	for (size_t i = 0; i < block->part_count; i++) {
		const struct schema *schema = block->parts[i].schema;

		for (size_t j = 0; j < schema->count; j++) {
			guess_offer(&guess, schema->keys[j].name);
			text_printf(&known, "%s%s",
				known.length ? ", " : ", known: ", schema->keys[j].name);
		}
	}
	for (size_t i = 0; !block->subject.section && i < ARRAY_SIZE(sections); i++) {
		guess_offer(&guess, sections[i].name);
		text_printf(&known, ", %s", sections[i].name);
	}
	for (size_t i = 0; block->is_group && reader->kinds[i]; i++) {
		if (!reader->kinds[i]->block.count)
			continue;
		guess_offer(&guess, reader->kinds[i]->name);
		text_printf(&known, ", %s", reader->kinds[i]->name);
	}
	config_report(reader->errors, &block->subject, line_of(reader, setting), NULL,
		"unknown key \"%s\"%s", shown(name, buffer),
		guess_or(&guess, text_string(&known), meant));
}

/* Whether rows begin with the name and a dot: it is a block within the block. */
static bool is_inner_block(const struct block *block, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < block->part_count; i++) {
		const struct schema *schema = block->parts[i].schema;

		for (size_t j = 0; j < schema->count; j++)
			if (!strncmp(schema->keys[j].name, name, length) &&
				schema->keys[j].name[length] == '.')
				return true;
	}
	return false;
}

/* Reads one setting by this name, which has a dot where it stands in an inner block. */
static int read_named(struct reader *reader, const struct block *block, const char *name,
	const config_setting_t *setting)
{
	for (size_t i = 0; i < block->part_count; i++) {
		const struct config_part *part = &block->parts[i];
		const struct key *key = schema_find(part->schema, name);

		if (key)
			return read_key(reader, block, key, part, setting);
	}
	refuse_key(reader, block, name, setting);
	return 0;
}

/* Reads the block of this name, which has a dot where it stands in another one. */
static int read_inner_block(struct reader *reader, const struct block *block, const char *outer,
	const config_setting_t *setting)
{
	int r = 0;

	if (!config_setting_is_group(setting)) {
		config_report(reader->errors, &block->subject, line_of(reader, setting), outer,
			"%s, write %s: { ... };", value_type_name(get_value(setting).type),
			config_setting_name(setting));
		return 0;
	}
	for (int i = 0; i < config_setting_length(setting) && r >= 0; i++) {
		const config_setting_t *inner = config_setting_get_elem(setting, (unsigned)i);
		AUTO_TEXT struct text name = {0};

		text_printf(&name, "%s.%s", outer, config_setting_name(inner));
		r = is_inner_block(block, text_string(&name))
			    ? read_inner_block(reader, block, text_string(&name), inner)
			    : read_named(reader, block, text_string(&name), inner);
	}
	return r;
}

/* At the top, every key is one value, and every { } is a section: a { } by the name of a key means
 * a section whose name is nearly the same. Returns whether it is one, and has been reported. */
static bool refuse_near_section(
	struct reader *reader, const struct block *block, const config_setting_t *setting)
{
	struct guess guess = {.word = config_setting_name(setting)};

	if (block->subject.section || !config_setting_is_group(setting) ||
		!schema_find(block->parts[0].schema, guess.word))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++)
		guess_offer(&guess, sections[i].name);
	if (guess.nearest)
		config_report(reader->errors, &block->subject, line_of(reader, setting), guess.word,
			"is one value and no { }, did you mean \"%s\"?", guess.nearest);
	return guess.nearest;
}

static int read_setting(
	struct reader *reader, const struct block *block, const config_setting_t *setting)
{
	const char *name = config_setting_name(setting);
	const struct config_kind *kind = block->is_group ? find_block_kind(reader, name) : NULL;
	bool is_top = !block->subject.section;

	for (size_t i = 0; is_top && i < ARRAY_SIZE(sections); i++)
		if (!strcmp(sections[i].name, name))
			return read_section(reader, &sections[i], setting);
	if (refuse_near_section(reader, block, setting))
		return 0;
	if (kind)
		return read_kind_block(reader, block, kind, setting);
	if (is_inner_block(block, name))
		return read_inner_block(reader, block, name, setting);
	return read_named(reader, block, name, setting);
}

static void check_required(
	struct reader *reader, const struct block *block, const struct config_part *part)
{
	for (size_t i = 0; i < part->schema->count; i++) {
		const struct key *key = &part->schema->keys[i];
		const struct key *other = key->unless ? schema_find(part->schema, key->unless)
						      : NULL;
		char buffer[SHOWN_MAX];

		if (!key->required || part->marks[i].line)
			continue;
		if (other && part->marks[other - part->schema->keys].line)
			continue;
		config_report(reader->errors, &block->subject, 0, NULL,
			"has no %s, add one: %s = %s;", key->name, key->name,
			key_example(key, buffer));
		part->marks[i].failed = true;
	}
}

/* Reads all settings of a block, and checks that no required one is missing. Errors go to
 * reader->errors. Returns 0 or -ENOMEM. */
static int read_block(
	struct reader *reader, const struct block *block, const config_setting_t *setting)
{
	int count = config_setting_length(setting), r = 0;

	for (int i = 0; i < count && r >= 0; i++)
		r = read_setting(reader, block, config_setting_get_elem(setting, (unsigned)i));
	for (size_t i = 0; i < block->part_count && !block->is_open; i++)
		check_required(reader, block, &block->parts[i]);
	return r;
}

/* ---- Sections ---- */

/* The subject is a section, or a member of one. */
static struct subject subject_of(const struct reader *reader, const char *section, bool is_member,
	const config_setting_t *setting)
{
	return (struct subject){
		.place = {reader->file, line_of(reader, setting)},
		.section = section,
		.name = is_member ? config_setting_name(setting) : NULL,
	};
}

/* Whether the setting is a { }, as it must be; reports it otherwise. */
static bool expect_group(struct reader *reader, const struct subject *subject, const char *members,
	const config_setting_t *setting)
{
	struct guess guess = {.word = config_setting_name(setting)};
	struct value value = get_value(setting);

	for (size_t i = 0; !subject->name && i < config_schema.count; i++)
		guess_offer(&guess, config_schema.keys[i].name);
	if (value.type < VALUE_ARRAY && guess.nearest)
		config_report(reader->errors, subject, 0, NULL,
			"%s, write %s: { %s }; or did you mean \"%s\"?",
			value_type_name(value.type), config_setting_name(setting), members,
			guess.nearest);
	else if (value.type != VALUE_GROUP)
		config_report(reader->errors, subject, 0, NULL, "%s, write %s: { %s };",
			value_type_name(value.type), config_setting_name(setting), members);
	return value.type == VALUE_GROUP;
}

/* A handler with the marks of its keys, whose parts are written to ret_parts; or NULL. */
static struct config_handler *add_handler(struct reader *reader, const char *name,
	const struct config_kind *kind, struct place place,
	struct config_part ret_parts[static HANDLER_PARTS], size_t *ret_count)
{
	struct config_handler *handler = config_append_handler(reader->config, name, kind);
	size_t rows = 0;

	if (!handler)
		return NULL;
	handler->place = place;
	*ret_count = config_handler_parts(handler, ret_parts);
	for (size_t i = 0; i < *ret_count; i++)
		rows += ret_parts[i].schema->count;
	handler->marks = calloc(rows, sizeof(*handler->marks));
	config_handler_parts(handler, ret_parts);
	return handler->marks ? handler : NULL;
}

/* Reads a block of a group that makes a handler of its own. */
static int read_kind_block(struct reader *reader, const struct block *group,
	const struct config_kind *kind, const config_setting_t *setting)
{
	struct block block = {.subject = group->subject, .part_count = 2};
	struct config_part parts[HANDLER_PARTS];
	AUTO_FREE char *name = NULL;
	size_t count;

	if (asprintf(&name, "%s.%s", group->subject.name, kind->name) < 0)
		return -ENOMEM;
	block.subject.name = name;
	block.subject.place.line = line_of(reader, setting);
	if (!expect_group(reader, &block.subject, "...", setting))
		return 0;
	if (!add_handler(reader, name, kind, block.subject.place, parts, &count))
		return -ENOMEM;
	block.parts[0] = (struct config_part){
		&kind->block, parts[count - 1].settings, parts[count - 1].marks};
	block.parts[1] = parts[1]; /* the filter */
	return read_block(reader, &block, setting);
}

/* Gives the handler of a block the values of its group, and the group the handler. */
static int complete_block(
	struct reader *reader, struct config_group *group, struct config_handler *handler)
{
	const struct schema *schema = &handler->kind->schema;
	struct subject subject = group_subject(group);
	struct config_part parts[HANDLER_PARTS];
	struct key_mark *marks = parts[config_handler_parts(handler, parts) - 1].marks;

	for (size_t i = handler->kind->block.count; i < schema->count; i++) {
		const struct key *from = schema_find(&group_schema, schema->keys[i].name);

		marks[i].failed = group->marks[from - group_schema.keys].failed;
		if (key_take_value(&schema->keys[i], handler->settings, from, group) < 0)
			return -ENOMEM;
	}
	for (size_t i = 0; i < group->handlers.count; i++)
		if (!strcmp(group->handlers.items[i], handler->name))
			config_report(reader->errors, &subject, 0, "handlers",
				"\"%s\" is there by itself, remove it", handler->name);
	return string_list_add(&group->handlers, handler->name);
}

static int read_group(struct reader *reader, const config_setting_t *setting)
{
	struct block block = {.subject = subject_of(reader, "groups", true, setting),
		.part_count = 1,
		.is_group = true};
	CLEANUP(config_group_clear) struct config_group group = {0};
	size_t blocks = reader->config->handler_count;
	int r;

	if (!expect_group(reader, &block.subject, "...", setting))
		return 0;
	r = config_group_init(&group, config_setting_name(setting));
	if (r < 0)
		return r;
	group.place = block.subject.place;
	group.marks = calloc(group_schema.count, sizeof(*group.marks));
	if (!group.marks)
		return -ENOMEM;
	block.parts[0] = (struct config_part){&group_schema, &group, group.marks};
	r = read_block(reader, &block, setting);
	for (; blocks < reader->config->handler_count && r >= 0; blocks++)
		r = complete_block(reader, &group, &reader->config->handlers[blocks]);
	return r < 0 ? r : config_add_group(reader->config, &group);
}

/* The kind that a handler's type names, or NULL after an error. A value that is no string is
 * refused by the row of "type". */
static const struct config_kind *find_kind(
	struct reader *reader, const struct subject *subject, const config_setting_t *setting)
{
	const config_setting_t *type = config_setting_get_member(setting, "type");
	const char *name = type ? config_setting_get_string(type) : "";
	AUTO_TEXT struct text known = {0};
	struct guess guess = {.word = name};
	char buffer[SHOWN_MAX], meant[GUESS_MAX];

	if (!name || (type && !*name))
		return NULL;
	for (size_t i = 0; reader->kinds[i]; i++) {
		const char *kind = reader->kinds[i]->name;

		if (reader->kinds[i]->block.count)
			continue;
		if (!strcmp(kind, name))
			return reader->kinds[i];
		guess_offer(&guess, kind);
		text_printf(&known, "%s%s", known.length ? ", " : "", kind);
	}
	if (type && find_block_kind(reader, name))
		config_report(reader->errors, subject, line_of(reader, type), "type",
			BLOCK_OF_A_GROUP, name, name);
	else if (type)
		config_report(reader->errors, subject, line_of(reader, type), "type",
			"unknown type \"%s\"%s (there are %s)", shown(name, buffer),
			guess_or(&guess, ", use another", meant), text_string(&known));
	else
		config_report(reader->errors, subject, 0, NULL,
			"has no type, add type = \"...\"; with one of %s", text_string(&known));
	return NULL;
}

static int read_handler(struct reader *reader, const config_setting_t *setting)
{
	struct block block = {.subject = subject_of(reader, "handlers", true, setting)};
	const struct config_kind *kind;

	if (!expect_group(reader, &block.subject, "...", setting))
		return 0;
	kind = find_kind(reader, &block.subject, setting);
	if (!add_handler(reader, config_setting_name(setting), kind, block.subject.place,
		    block.parts, &block.part_count))
		return -ENOMEM;
	block.is_open = !kind;
	return read_block(reader, &block, setting);
}

/* The keys of the configuration itself whose places are kept, for errors at the start. */
static const struct {
	const struct schema *schema;
	const char *key;
	size_t place; /* in struct config */
} kept[] = {{&config_schema, "user", offsetof(struct config, user_place)},
	{&config_schema, "group", offsetof(struct config, group_place)},
	{&config_schema, "run_directory", offsetof(struct config, run_directory_place)},
	{&control_schema, "socket", offsetof(struct config, control_place)}};

static void keep_places(
	struct reader *reader, const struct schema *schema, const struct key_mark *marks)
{
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		unsigned line;

		if (kept[i].schema != schema)
			continue;
		line = marks[schema_find(schema, kept[i].key) - schema->keys].line;
		if (line)
			*(struct place *)((char *)reader->config + kept[i].place) = (struct place){
				reader->file, line};
	}
}

/* Reads a block that goes into the configuration itself. */
static int read_own_block(struct reader *reader, const struct subject *subject,
	const struct schema *schema, void *settings, const config_setting_t *setting)
{
	AUTO_FREE struct key_mark *marks = calloc(schema->count, sizeof(*marks));
	struct block block = {
		.subject = *subject, .parts = {{schema, settings, marks}}, .part_count = 1};

	int r = marks ? read_block(reader, &block, setting) : -ENOMEM;

	if (r >= 0)
		keep_places(reader, schema, marks);
	return r;
}

static int read_control(
	struct reader *reader, const struct subject *subject, const config_setting_t *setting)
{
	return read_own_block(reader, subject, &control_schema, reader->config, setting);
}

static int read_http(
	struct reader *reader, const struct subject *subject, const config_setting_t *setting)
{
	struct config_http *http = &reader->config->http;

	http->place = subject->place;
	return read_own_block(reader, subject, &http_schema, http, setting);
}

/* The block may be in several files, as any single value. */
static int read_events(
	struct reader *reader, const struct subject *subject, const config_setting_t *setting)
{
	struct config_group *events = &reader->config->events;
	struct block block = {.subject = *subject, .part_count = 1};

	events->place = subject->place;
	if (!events->marks)
		events->marks = calloc(events_schema.count, sizeof(*events->marks));
	if (!events->marks)
		return -ENOMEM;
	block.parts[0] = (struct config_part){&events_schema, events, events->marks};
	return read_block(reader, &block, setting);
}

static int read_section(
	struct reader *reader, const struct section *section, const config_setting_t *setting)
{
	struct subject subject = subject_of(reader, section->name, false, setting);
	int r = 0;

	if (!expect_group(
		    reader, &subject, section->read_member ? "NAME: { ... };" : "...", setting))
		return 0;
	if (!section->read_member)
		return section->read(reader, &subject, setting);
	for (int i = 0; i < config_setting_length(setting) && r >= 0; i++)
		r = section->read_member(reader, config_setting_get_elem(setting, (unsigned)i));
	return r;
}

/* ---- Files ---- */

/* A chunk, after libconfig. Its settings point to the config_t, which must not move. */
struct chunk {
	config_t parsed;
	unsigned line; /* of the file, in which it begins */
};

struct chunks {
	struct chunk **items;
	size_t count;
};

static void clear_chunks(struct chunks *chunks)
{
	for (size_t i = 0; i < chunks->count; i++) {
		config_destroy(&chunks->items[i]->parsed);
		free(chunks->items[i]);
	}
	free(chunks->items);
}

/* What the pre-scan does not find is reported in libconfig's few words. */
static void report_parse_error(struct reader *reader, const struct chunk *chunk)
{
	const char *text = config_error_text(&chunk->parsed), *hint = "";

	if (!strcmp(text, "syntax error"))
		hint = ", a setting is NAME = VALUE; look here and on the line above";
	else if (!strcmp(text, "mismatched element type in array"))
		hint = ", write all items as strings";
	errors_add(reader->errors, "%s:%u: %s%s", reader->file,
		chunk->line - 1 + (unsigned)config_error_line(&chunk->parsed), text, hint);
}

static int parse_chunk(
	struct reader *reader, struct chunks *chunks, unsigned line, const char *text)
{
	struct chunk *chunk = calloc(1, sizeof(*chunk));

	if (!chunk || array_add(chunks, chunk) < 0) {
		free(chunk);
		return -ENOMEM;
	}
	config_init(&chunk->parsed);
	chunk->line = line;
	if (config_read_string(&chunk->parsed, text))
		return 0;
	report_parse_error(reader, chunk);
	return -EINVAL;
}

/* Nothing is read of a file that libconfig refuses in a later chunk. */
static int parse_text(struct reader *reader, const char *text, size_t size, struct chunks *chunks)
{
	AUTO_TEXT struct text part = {0};
	struct chunker chunker;
	unsigned line;
	int r = 0;

	chunker_init(&chunker, text, size);
	while (r >= 0 && chunk_next(&chunker, &part, &line)) {
		/* To libconfig a comment ends with a line feed, but not with the file. */
		text_append_string(&part, "\n");
		r = text_failed(&part) ? -ENOMEM
				       : parse_chunk(reader, chunks, line, text_string(&part));
	}
	return r;
}

static int read_chunks(struct reader *reader, const char *text, size_t size)
{
	struct subject top = {.place = {reader->file, 1}};
	CLEANUP(clear_chunks) struct chunks chunks = {0};
	int r = parse_text(reader, text, size, &chunks);

	for (size_t i = 0; i < chunks.count && r >= 0; i++) {
		reader->first_line = chunks.items[i]->line;
		r = read_own_block(reader, &top, &config_schema, reader->config,
			config_root_setting(&chunks.items[i]->parsed));
	}
	return r;
}

int read_text(struct config *config, const char *file, const char *text, size_t size,
	const struct config_kind *const *kinds, struct errors *errors)
{
	struct reader reader = {.config = config, .kinds = kinds, .errors = errors, .file = file};
	int r = prescan(file, text, size, errors, &reader.refused);

	if (r >= 0)
		r = read_chunks(&reader, text, size);
	refused_lines_clear(&reader.refused);
	return r;
}
