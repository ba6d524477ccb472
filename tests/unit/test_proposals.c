/* What an error proposes to write instead is accepted: for each key of all tables, numbers where
 * strings are wanted and other values of a wrong type. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "config/config.h"
#include "config/value.h"
#include "handlers/handler.h"

static char path[] = "/tmp/test_proposals.XXXXXX";

static int setup(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
	(void)state;
	return unlink(path);
}

/* ---- Configurations that have one key ---- */

/* Where the keys of a table stand. */
struct location {
	const struct schema *schema;
	const char *before, *after;
};

static void append_required(struct text *text, const struct schema *schema, const char *but)
{
	char example[SHOWN_MAX];

	for (size_t i = 0; i < schema->count; i++)
		if (schema->keys[i].required && strcmp(schema->keys[i].name, but))
			text_printf(text, "%s = %s; ", schema->keys[i].name,
				key_example(&schema->keys[i], example));
}

/* A name with dots stands in inner blocks. */
static void append_key(struct text *text, const char *name, const char *value)
{
	const char *dot = strchr(name, '.');

	if (!dot) {
		text_printf(text, "%s = %s; ", name, value);
		return;
	}
	text_printf(text, "%.*s: { ", (int)(dot - name), name);
	append_key(text, dot + 1, value);
	text_append_string(text, "}; ");
}

static unsigned refused; /* proposals */

static void write_config(const struct location *place, const struct key *key, const char *value)
{
	AUTO_TEXT struct text text = {0};
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	text_append_string(&text, place->before);
	append_required(&text, place->schema, key->name);
	append_key(&text, key->name, value);
	text_append_string(&text, place->after);
	assert_true(fputs(text_string(&text), file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* Such errors are not about the value itself, but about what stands beside it, or is on this host.
 */
static bool is_of_the_rest(const char *line)
{
	static const char *const words[] = {"has no effect", "cannot be used", "there is no ",
		"is missing, it belongs", "needs ", "No such file"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strstr(line, words[i]))
			return true;
	return false;
}

/* value is as it stands in the file. */
static void assert_accepted(
	const struct location *place, const struct key *key, const char *value, const char *message)
{
	struct errors errors = {0};
	struct config *config = NULL;
	AUTO_TEXT struct text subject = {0};

	write_config(place, key, value);
	text_printf(&subject, "%s: ", key->name);
	config_load(path, handler_config_kinds(), &errors, &config);
	for (size_t i = 0; i < errors.count; i++) {
		const char *line = errors.lines[i];

		if (!strstr(line, text_string(&subject)) || is_of_the_rest(line))
			continue;
		print_error("%s: %s\nis refused: %s\n", key->name, message, line);
		refused++;
	}
	errors_clear(&errors);
	config_free(config);
}

/* ---- What an error proposes ---- */

/* Each string in quotes; or a whole example, which ends the message. */
static unsigned check_message(
	const struct location *place, const struct key *key, const char *message)
{
	const char *whole = strstr(message, " = "), *at = message, *end;
	unsigned count = 0;
	char value[WHY_MAX];

	if (!whole && (whole = strstr(message, "such as ")))
		whole += strlen("such as ");
	else if (whole)
		whole += strlen(" = ");
	if (whole) {
		snprintf(value, sizeof(value), "%.*s", (int)strcspn(whole, ";"), whole);
		assert_accepted(place, key, value, message);
		return 1;
	}
	for (; (at = strchr(at, '"')) && (end = strchr(at + 1, '"')); at = end + 1, count++) {
		snprintf(value, sizeof(value), "%.*s", (int)(end - at + 1), at);
		assert_accepted(place, key, value, message);
	}
	return count;
}

static unsigned check_value(const struct location *place, const struct key *key, struct value value)
{
	void *settings = calloc(1, place->schema->size);
	char why[WHY_MAX] = "";
	unsigned count = 0;

	if (key_set_value(key, settings, &value, why) < 0)
		count = check_message(place, key, why);
	key_clear(key, settings);
	free(settings);
	return count;
}

static unsigned check_place(const struct location *place)
{
	static const int64_t numbers[] = {
		-1, 0, 1, 5, 60, 100, 660, 999, 1234, 5004, 65536, 8388608, 999999999};
	static const enum value_type types[] = {
		VALUE_FRACTION, VALUE_BOOL, VALUE_ARRAY, VALUE_LIST, VALUE_GROUP};
	unsigned count = 0;

	for (size_t i = 0; i < place->schema->count; i++) {
		const struct key *key = &place->schema->keys[i];

		for (size_t j = 0; j < ARRAY_SIZE(numbers); j++)
			count += check_value(place, key,
				(struct value){.type = VALUE_NUMBER, .number = numbers[j]});
		for (size_t j = 0; j < ARRAY_SIZE(types); j++)
			count += check_value(place, key, (struct value){.type = types[j]});
	}
	return count;
}

static void of_groups_and_all_that_is_no_handler(void **state)
{
	static const struct location places[] = {
		{&group_schema, "groups: { a: { ", "}; };"},
		{&events_schema, "events: { ", "};"},
		{&handler_schema, "handlers: { h: { path = \"/tmp/x\"; ", "}; };"},
		{&filter_schema, "handlers: { h: { type = \"file\"; path = \"/tmp/x\"; ", "}; };"},
		{&control_schema, "control: { ", "};"},
		{&http_schema, "http: { ", "};"},
		{&config_schema, "", ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		assert_int_not_equal(check_place(&places[i]), 0);
	assert_int_equal(refused, 0);
}

static void of_each_kind_of_handler(void **state)
{
	(void)state;
	for (const struct config_kind *const *kind = handler_config_kinds(); *kind; kind++) {
		AUTO_TEXT struct text before = {0};
		struct location place = {.schema = &(*kind)->schema, .after = "}; };"};

		text_printf(&before, "handlers: { h: { type = \"%s\"; ", (*kind)->name);
		if ((*kind)->block.count) {
			text_clear(&before);
			text_printf(&before,
				"groups: { a: { address = \"233.252.0.1\"; port = 5004; %s: { ",
				(*kind)->name);
			place = (struct location){.schema = &(*kind)->block, .after = "}; }; };"};
		}
		place.before = text_string(&before);
		if (place.schema->count)
			assert_int_not_equal(check_place(&place), 0);
	}
	assert_int_equal(refused, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_groups_and_all_that_is_no_handler),
		cmocka_unit_test(of_each_kind_of_handler),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
