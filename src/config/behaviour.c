#include "config/behaviour.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "config/list_keys.h"
#include "config/words.h"

static int set_string(
	const struct key *key, void *field, const char *text, char why[static WHY_MAX])
{
	char **string = field, *copy, buffer[SHOWN_MAX];

	if (!*text)
		return because(why, -EINVAL, "is empty, write a value%s",
			key->required ? "" : " or leave the key out");
	if (key->max && strlen(text) > (size_t)key->max)
		return because(why, -ERANGE,
			"\"%s\" is longer than %" PRId64 " bytes, use a shorter one",
			shown(text, buffer), key->max);
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	free(*string);
	*string = copy;
	return 0;
}

static int set_path(const struct key *key, void *field, const char *text, char why[static WHY_MAX])
{
	char buffer[SHOWN_MAX];

	if (*text && *text != '/')
		return because(why, -EINVAL, "\"%s\" is not an absolute path, begin it with /",
			shown(text, buffer));
	return set_string(key, field, text, why);
}

static bool equal_strings(const void *a, const void *b)
{
	const char *left = *(char *const *)a, *right = *(char *const *)b;

	return left && right ? !strcmp(left, right) : left == right;
}

static int copy_string(void *ret, const void *field)
{
	const char *string = *(char *const *)field;
	char **copy = ret;

	*copy = string ? strdup(string) : NULL;
	return string && !*copy ? -ENOMEM : 0;
}

static void clear_string(void *field)
{
	char **string = field;

	free(*string);
	*string = NULL;
}

static int set_bool(const struct key *key, void *field, const char *text, char why[static WHY_MAX])
{
	char buffer[SHOWN_MAX];

	(void)key;
	if (strcmp(text, "true") && strcmp(text, "false"))
		return because(
			why, -EINVAL, "\"%s\" is neither true nor false", shown(text, buffer));
	*(bool *)field = !strcmp(text, "true");
	return 0;
}

static bool equal_bools(const void *a, const void *b)
{
	return *(const bool *)a == *(const bool *)b;
}

static int copy_bool(void *ret, const void *field)
{
	*(bool *)ret = *(const bool *)field;
	return 0;
}

static void clear_bool(void *field)
{
	*(bool *)field = false;
}

static bool has_range(const struct key *key)
{
	return key->min || key->max;
}

static int set_number(
	const struct key *key, void *field, const char *text, char why[static WHY_MAX])
{
	bool negative = *text == '-';
	char buffer[SHOWN_MAX];
	uint64_t magnitude;
	int64_t number;
	int r = parse_number(text + negative, INT64_MAX, &magnitude);

	if (r == -EINVAL)
		return because(why, r, "\"%s\" is not a whole number", shown(text, buffer));
	number = negative ? -(int64_t)magnitude : (int64_t)magnitude;
	if (has_range(key) && (r < 0 || number < key->min || number > key->max))
		return because(why, -ERANGE, "%s is out of range, use %" PRId64 " to %" PRId64,
			shown(text, buffer), key->min, key->max);
	if (r < 0)
		return because(why, r, "%s is out of range", shown(text, buffer));
	*(int64_t *)field = number;
	return 0;
}

static bool equal_numbers(const void *a, const void *b)
{
	return *(const int64_t *)a == *(const int64_t *)b;
}

static int copy_number(void *ret, const void *field)
{
	*(int64_t *)ret = *(const int64_t *)field;
	return 0;
}

static void clear_number(void *field)
{
	*(int64_t *)field = 0;
}

static bool in_range(const struct key *key, uint64_t value)
{
	return !has_range(key) || (value >= (uint64_t)key->min && value <= (uint64_t)key->max);
}

static int set_size(const struct key *key, void *field, const char *text, char why[static WHY_MAX])
{
	char buffer[SHOWN_MAX], min[UNIT_STRING_MAX], max[UNIT_STRING_MAX];
	uint64_t bytes;
	int r = parse_size(text, &bytes);

	if (r == -EINVAL)
		return because(why, r,
			"\"%s\" is not a size, write one such as \"64K\", \"4M\" or \"1G\"",
			shown(text, buffer));
	if (r < 0 || !in_range(key, bytes))
		return because(why, -ERANGE, "\"%s\" is out of range, use %s to %s",
			shown(text, buffer), format_size((uint64_t)key->min, min),
			format_size(has_range(key) ? (uint64_t)key->max : 1ull << 40, max));
	*(uint64_t *)field = bytes;
	return 0;
}

static bool equal_unsigned(const void *a, const void *b)
{
	return *(const uint64_t *)a == *(const uint64_t *)b;
}

static int copy_unsigned(void *ret, const void *field)
{
	*(uint64_t *)ret = *(const uint64_t *)field;
	return 0;
}

static void clear_unsigned(void *field)
{
	*(uint64_t *)field = 0;
}

static int set_duration(
	const struct key *key, void *field, const char *text, char why[static WHY_MAX])
{
	char buffer[SHOWN_MAX], min[UNIT_STRING_MAX], max[UNIT_STRING_MAX];
	uint64_t ns;
	int r = parse_duration(text, &ns);

	if (r == -EINVAL)
		return because(why, r,
			"\"%s\" is not a duration, write one such as \"250ms\", \"5s\" or \"2h\"",
			shown(text, buffer));
	if (r < 0 && !has_range(key))
		return because(why, r, "\"%s\" is out of range, use less", shown(text, buffer));
	if (r < 0 || !in_range(key, ns))
		return because(why, -ERANGE, "\"%s\" is out of range, use %s to %s",
			shown(text, buffer), format_duration((uint64_t)key->min, min),
			format_duration((uint64_t)key->max, max));
	*(uint64_t *)field = ns;
	return 0;
}

/* "a", "b" or "c" */
static void append_choices(struct text *text, const char *const *choices)
{
	for (size_t i = 0; choices[i]; i++)
		text_printf(text, "%s\"%s\"", !i ? "" : choices[i + 1] ? ", " : " or ", choices[i]);
}

static int set_choice(
	const struct key *key, void *field, const char *text, char why[static WHY_MAX])
{
	AUTO_TEXT struct text known = {0};
	struct guess guess = {.word = text};
	char buffer[SHOWN_MAX], meant[GUESS_MAX];

	for (int i = 0; key->choices[i]; i++) {
		if (!strcmp(key->choices[i], text)) {
			*(int *)field = i;
			return 0;
		}
		guess_offer(&guess, key->choices[i]);
	}
	text_append_string(&known, ", use ");
	append_choices(&known, key->choices);
	return because(why, -EINVAL, "\"%s\" is not known here%s", shown(text, buffer),
		guess_or(&guess, text_string(&known), meant));
}

static bool equal_choices(const void *a, const void *b)
{
	return *(const int *)a == *(const int *)b;
}

static int copy_choice(void *ret, const void *field)
{
	*(int *)ret = *(const int *)field;
	return 0;
}

static void clear_choice(void *field)
{
	*(int *)field = 0;
}

static int set_mode(const struct key *key, void *field, const char *text, char why[static WHY_MAX])
{
	size_t length = strlen(text);
	char buffer[SHOWN_MAX];

	(void)key;
	if (length < 3 || length > 4 || strspn(text, "01234567") != length ||
		(length == 4 && *text != '0'))
		return because(why, -EINVAL,
			"\"%s\" is not a file mode, write three octal digits such as \"0660\"",
			shown(text, buffer));
	*(int64_t *)field = strtol(text, NULL, 8);
	return 0;
}

static int set_address(
	const struct key *key, void *field, const char *text, char why[static WHY_MAX])
{
	(void)key;
	return parse_address_key(text, field, why);
}

static bool equal_addresses(const void *a, const void *b)
{
	return address_equal(a, b);
}

static int copy_address(void *ret, const void *field)
{
	*(struct address *)ret = *(const struct address *)field;
	return 0;
}

static void clear_address(void *field)
{
	*(struct address *)field = (struct address){0};
}

static int set_rate(const struct key *key, void *field, const char *text, char why[static WHY_MAX])
{
	char buffer[SHOWN_MAX];
	uint64_t interval;
	int r = parse_rate(text, &interval);

	(void)key;
	if (r < 0)
		return because(why, r, "\"%s\" is %s, write one such as \"1000/s\" or \"30/m\"",
			shown(text, buffer), r == -ERANGE ? "out of range" : "not a rate");
	*(uint64_t *)field = interval;
	return 0;
}

const struct key_behaviour key_types[KEY_TYPES] = {
	[KEY_STRING] = {set_string, equal_strings, copy_string, clear_string, false, "\"text\""},
	[KEY_PATH] = {set_path, equal_strings, copy_string, clear_string, false, "\"/a/path\""},
	[KEY_BOOL] = {set_bool, equal_bools, copy_bool, clear_bool, false, "true"},
	[KEY_NUMBER] = {set_number, equal_numbers, copy_number, clear_number, false, "5004"},
	[KEY_SIZE] = {set_size, equal_unsigned, copy_unsigned, clear_unsigned, false, "\"4M\""},
	[KEY_DURATION] = {set_duration, equal_unsigned, copy_unsigned, clear_unsigned, false,
		"\"5s\""},
	[KEY_CHOICE] = {set_choice, equal_choices, copy_choice, clear_choice, false, "\"text\""},
	[KEY_MODE] = {set_mode, equal_numbers, copy_number, clear_number, false, "\"0660\""},
	[KEY_ADDRESS] = {set_address, equal_addresses, copy_address, clear_address, false,
		"\"233.252.0.1\""},
	[KEY_STRINGS] = {add_string, equal_string_lists, copy_string_list, clear_string_list, true,
		"[\"text\"]"},
	[KEY_ARGUMENTS] = {add_argument, equal_string_lists, copy_string_list, clear_string_list,
		true, "[\"/a/program\", \"argument\"]"},
	[KEY_ADDRESSES] = {add_address, equal_address_lists, copy_address_list, clear_address_list,
		true, "[\"192.0.2.1\"]"},
	[KEY_PREFIXES] = {add_prefix, equal_prefix_lists, copy_prefix_list, clear_prefix_list, true,
		"[\"10.0.0.0/8\"]"},
	[KEY_RATE] = {set_rate, equal_unsigned, copy_unsigned, clear_unsigned, false, "\"1000/s\""},
};
