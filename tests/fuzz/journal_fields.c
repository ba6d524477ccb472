/* A payload that anybody may have sent, as fields of the journal: what is taken for JSON is what
 * jansson takes for it, the fields are those of its tree, and each is one that the journal takes
 * and that is none of its own. */
#include <jansson.h>

#include "base/json_scan.h"
#include "control/request.h"
#include "formats/journal_fields.h"
#include "fuzz.h"

static struct journal_fields fields;
static struct text text;

static void check_name(const struct journal_field *field)
{
	const char *name = text.data + field->start;

	CHECK(field->name_size <= JOURNAL_NAME_MAX && field->name_size < field->size);
	CHECK(field->size - field->name_size - 1 <= JOURNAL_VALUE_MAX);
	CHECK(field->start + field->size <= text.length && name[field->name_size] == '=');
	CHECK(!memcmp(name, "JSON_", 5));
	for (size_t i = 0; i < field->name_size; i++)
		CHECK((name[i] >= 'A' && name[i] <= 'Z') || (name[i] >= '0' && name[i] <= '9') ||
			name[i] == '_');
}

static void check_fields(void)
{
	CHECK(fields.count <= JOURNAL_FIELDS_MAX);
	for (unsigned i = 0; i < fields.count; i++) {
		check_name(&fields.items[i]);
		for (unsigned k = 0; k < i; k++)
			CHECK(fields.items[i].name_size != fields.items[k].name_size ||
				memcmp(text.data + fields.items[i].start,
					text.data + fields.items[k].start,
					fields.items[i].name_size));
	}
}

/* The name of a member below prefix. */
static void name_of(struct text *ret, const char *prefix, const char *key)
{
	text_append_string(ret, prefix);
	text_append_string(ret, *prefix ? "_" : "JSON_");
	for (; *key; key++) {
		char c = *key >= 'a' && *key <= 'z' ? (char)(*key - 'a' + 'A') : *key;

		if (((unsigned char)c & 0xc0) != 0x80)
			text_append(ret,
				strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", c) ? &c : "_", 1);
	}
}

/* Two of these can have one name. */
static bool is_value(const struct journal_field *field, const json_t *value)
{
	const char *bytes = text.data + field->start + field->name_size + 1;
	size_t size = field->size - field->name_size - 1;
	json_t *other;
	bool is_equal;

	if (json_is_string(value))
		return size == json_string_length(value) &&
		       !memcmp(bytes, json_string_value(value), size);
	other = json_loadb(bytes, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	is_equal = json_equal(other, value);
	json_decref(other);
	return is_equal;
}

/* Looks for each member of an object, and marks the fields that are one. */
static void find_members(json_t *object, const char *prefix, bool found[static JOURNAL_FIELDS_MAX])
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		AUTO_TEXT struct text name = {0};
		bool is_there = false;

		name_of(&name, prefix, key);
		if (json_is_object(value)) {
			find_members(value, text_string(&name), found);
			continue;
		}
		for (unsigned i = 0; i < fields.count; i++) {
			if (fields.items[i].name_size != name.length ||
				memcmp(text.data + fields.items[i].start, name.data, name.length))
				continue;
			is_there = true;
			found[i] |= is_value(&fields.items[i], value);
		}
		CHECK(is_there);
	}
}

static void compare(const char *data, size_t size)
{
	json_t *tree = json_loadb(data, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	bool found[JOURNAL_FIELDS_MAX] = {0};

	if (tree && !fields.left_out) {
		find_members(tree, "", found);
		for (unsigned i = 0; i < fields.count; i++)
			CHECK(found[i]);
	}
	json_decref(tree);
}

/* jansson computes numbers, and has no names with a NUL. */
static bool is_beyond_jansson(const json_error_t *error)
{
	return json_error_code(error) == json_error_numeric_overflow ||
	       json_error_code(error) == json_error_null_byte_in_key;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const char *data = (const char *)bytes;
	json_error_t error = {0};
	json_t *tree = json_loadb(data, size, JSON_ALLOW_NUL, &error);
	int r;

	text_clear(&text);
	r = journal_fields_read(&fields, &text, data, size);
	if (r < 0) {
		CHECK(r == -EINVAL && !text.length && !fields.count && !fields.left_out);
		CHECK(!json_is_object(tree) || request_estimate(data, size).depth > SCAN_DEPTH ||
			memchr(data, 0, size)); /* which jansson takes after a number */
	} else {
		CHECK(!memchr(data, 0, size));
		CHECK(json_is_object(tree) || is_beyond_jansson(&error));
		check_fields();
		compare(data, size);
	}
	json_decref(tree);
	return 0;
}
