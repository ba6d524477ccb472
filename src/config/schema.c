#include "config/schema.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"

/* One value of any type, or one item of a list. */
union field {
	struct prefix prefix; /* the largest first, for = {0} to zero all of it */
	struct address address;
	char *string;
	bool boolean;
	int choice;
	int64_t number;
	uint64_t amount; /* bytes or nanoseconds */
};

/* What a type of key does with its values. A list is made of such values, its items. */
struct behaviour {
	size_t size; /* of one value */
	/* Reads text into a zeroed value, or refuses it as key_set() does. */
	int (*parse)(const struct key *key, const char *text, union field *ret,
		char why[static WHY_MAX]);
	int (*compare)(const void *a, const void *b); /* NULL: by the bytes */
	bool owns_string; /* a value is a char * that is to be copied and freed */
	bool is_list, may_repeat;
	const char *example; /* a value as one would write it, with its quotes */
};

/* ---- Values from text ---- */

static int copy_string(const char *string, union field *ret)
{
	ret->string = strdup(string);
	return ret->string ? 0 : -ENOMEM;
}

static int parse_string(
	const struct key *key, const char *text, union field *ret, char why[static WHY_MAX])
{
	char buffer[SHOWN_MAX];

	if (!*text)
		return because(why, -EINVAL, "is empty, write a value%s",
			key->required ? "" : " or leave the key out");
	if (key->max && strlen(text) > (size_t)key->max)
		return because(why, -ERANGE,
			"\"%s\" is longer than %" PRId64 " bytes, use a shorter one",
			shown(text, buffer), key->max);
	return copy_string(text, ret);
}

static int parse_path(
	const struct key *key, const char *text, union field *ret, char why[static WHY_MAX])
{
	char buffer[SHOWN_MAX];

	if (*text && *text != '/')
		return because(why, -EINVAL, "\"%s\" is not an absolute path, begin it with /",
			shown(text, buffer));
	return parse_string(key, text, ret, why);
}

static int parse_item(
	const struct key *key, const char *text, union field *ret, char why[static WHY_MAX])
{
	(void)key;
	if (!*text)
		return because(why, -EINVAL, "has an empty item, remove it");
	return copy_string(text, ret);
}

static int parse_argument(
	const struct key *key, const char *text, union field *ret, char why[static WHY_MAX])
{
	(void)key, (void)why;
	return copy_string(text, ret);
}

static int parse_bool(
	const struct key *key, const char *text, union field *ret, char why[static WHY_MAX])
{
	char buffer[SHOWN_MAX];

	(void)key;
	if (strcmp(text, "true") && strcmp(text, "false"))
		return because(
			why, -EINVAL, "\"%s\" is neither true nor false", shown(text, buffer));
	ret->boolean = !strcmp(text, "true");
	return 0;
}

static bool has_range(const struct key *key)
{
	return key->min || key->max;
}

static int parse_integer(
	const struct key *key, const char *text, union field *ret, char why[static WHY_MAX])
{
	bool negative = *text == '-';
	char buffer[SHOWN_MAX];
	uint64_t magnitude = 0;
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
	ret->number = number;
	return 0;
}

static bool in_range(const struct key *key, uint64_t amount)
{
	return !has_range(key) || (amount >= (uint64_t)key->min && amount <= (uint64_t)key->max);
}

static int parse_bytes(
	const struct key *key, const char *text, union field *ret, char why[static WHY_MAX])
{
	char buffer[SHOWN_MAX], min[UNIT_STRING_MAX], max[UNIT_STRING_MAX];
	int r = parse_size(text, &ret->amount);

	if (r == -EINVAL)
		return because(why, r,
			"\"%s\" is not a size, write one such as \"64K\", \"4M\" or \"1G\"",
			shown(text, buffer));
	if (r < 0 || !in_range(key, ret->amount))
		return because(why, -ERANGE, "\"%s\" is out of range, use %s to %s",
			shown(text, buffer), format_size((uint64_t)key->min, min),
			format_size(has_range(key) ? (uint64_t)key->max : 1ull << 40, max));
	return 0;
}

static int parse_time(
	const struct key *key, const char *text, union field *ret, char why[static WHY_MAX])
{
	char buffer[SHOWN_MAX], min[UNIT_STRING_MAX], max[UNIT_STRING_MAX];
	int r = parse_duration(text, &ret->amount);

	if (r == -EINVAL)
		return because(why, r,
			"\"%s\" is not a duration, write one such as \"250ms\", \"5s\" or \"2h\"",
			shown(text, buffer));
	if (r < 0 && !has_range(key))
		return because(why, r, "\"%s\" is out of range, use less", shown(text, buffer));
	if (r < 0 || !in_range(key, ret->amount))
		return because(why, -ERANGE, "\"%s\" is out of range, use %s to %s",
			shown(text, buffer), format_duration((uint64_t)key->min, min),
			format_duration((uint64_t)key->max, max));
	return 0;
}

static int parse_interval(
	const struct key *key, const char *text, union field *ret, char why[static WHY_MAX])
{
	char buffer[SHOWN_MAX];
	int r = parse_rate(text, &ret->amount);

	(void)key;
	if (r < 0)
		return because(why, r, "\"%s\" is %s, write one such as \"1000/s\" or \"30/m\"",
			shown(text, buffer), r == -ERANGE ? "out of range" : "not a rate");
	return 0;
}

static int parse_choice(
	const struct key *key, const char *text, union field *ret, char why[static WHY_MAX])
{
	const char *const *choices = key->choices;
	AUTO_TEXT struct text known = {0};
	struct guess guess = {.word = text};
	char buffer[SHOWN_MAX], meant[GUESS_MAX];

	for (int i = 0; choices[i]; i++) {
		if (!strcmp(choices[i], text)) {
			ret->choice = i;
			return 0;
		}
		guess_offer(&guess, choices[i]);
		/* , use "a", "b" or "c" */
		text_printf(&known, "%s\"%s\"",
			!i               ? ", use "
			: choices[i + 1] ? ", "
					 : " or ",
			choices[i]);
	}
	return because(why, -EINVAL, "\"%s\" is not known here%s", shown(text, buffer),
		guess_or(&guess, text_string(&known), meant));
}

static int parse_mode(
	const struct key *key, const char *text, union field *ret, char why[static WHY_MAX])
{
	size_t length = strlen(text);
	char buffer[SHOWN_MAX];

	(void)key;
	if (length < 3 || length > 4 || strspn(text, "01234567") != length ||
		(length == 4 && *text != '0'))
		return because(why, -EINVAL,
			"\"%s\" is not a file mode, write three octal digits such as \"0660\"",
			shown(text, buffer));
	ret->number = strtol(text, NULL, 8);
	return 0;
}

static int parse_address(
	const struct key *key, const char *text, union field *ret, char why[static WHY_MAX])
{
	char buffer[SHOWN_MAX];

	(void)key;
	if (address_parse(text, &ret->address) < 0)
		return because(why, -EINVAL,
			"\"%s\" is not an IP address, write one such as \"233.252.0.1\" or "
			"\"ff15::1\"",
			shown(text, buffer));
	return 0;
}

static int parse_prefix(
	const struct key *key, const char *text, union field *ret, char why[static WHY_MAX])
{
	char buffer[SHOWN_MAX];
	int r = prefix_parse(text, &ret->prefix);

	(void)key;
	if (r < 0)
		return because(why, -EINVAL,
			"\"%s\" %s, write one such as \"10.0.0.0/8\" or \"2001:db8::/32\"",
			shown(text, buffer),
			r == -ERANGE ? "has bits set behind its length"
				     : "is not an address or prefix");
	return 0;
}

/* ---- What the types do ---- */

static int compare_strings(const void *a, const void *b)
{
	const char *left = *(char *const *)a, *right = *(char *const *)b;

	return left && right ? strcmp(left, right) : (left != NULL) - (right != NULL);
}

static int compare_addresses(const void *a, const void *b)
{
	return address_compare(a, b);
}

static int compare_prefixes(const void *a, const void *b)
{
	const struct prefix *left = a, *right = b;
	int order = address_compare(&left->address, &right->address);

	return order ? order : (int)left->length - (int)right->length;
}

#define STRING .size = sizeof(char *), .compare = compare_strings, .owns_string = true
#define BOOL .size = sizeof(bool)
#define CHOICE .size = sizeof(int)
#define NUMBER .size = sizeof(int64_t)
#define AMOUNT .size = sizeof(uint64_t)
#define ADDRESS .size = sizeof(struct address), .compare = compare_addresses
#define PREFIX .size = sizeof(struct prefix), .compare = compare_prefixes
#define LIST .is_list = true

static const struct behaviour behaviours[KEY_TYPES] = {
	[KEY_STRING] = {STRING, .parse = parse_string, .example = "\"text\""},
	[KEY_PATH] = {STRING, .parse = parse_path, .example = "\"/a/path\""},
	[KEY_BOOL] = {BOOL, .parse = parse_bool, .example = "true"},
	[KEY_NUMBER] = {NUMBER, .parse = parse_integer, .example = "5004"},
	[KEY_SIZE] = {AMOUNT, .parse = parse_bytes, .example = "\"4M\""},
	[KEY_DURATION] = {AMOUNT, .parse = parse_time, .example = "\"5s\""},
	[KEY_CHOICE] = {CHOICE, .parse = parse_choice},
	[KEY_MODE] = {NUMBER, .parse = parse_mode, .example = "\"0660\""},
	[KEY_ADDRESS] = {ADDRESS, .parse = parse_address, .example = "\"233.252.0.1\""},
	[KEY_STRINGS] = {LIST, STRING, .parse = parse_item, .example = "[\"text\"]"},
	[KEY_ADDRESSES] = {LIST, ADDRESS, .parse = parse_address, .example = "[\"192.0.2.1\"]"},
	[KEY_ARGUMENTS] = {LIST, STRING, .parse = parse_argument, .may_repeat = true,
		.example = "[\"/a/program\", \"argument\"]"},
	[KEY_PREFIXES] = {LIST, PREFIX, .parse = parse_prefix, .example = "[\"10.0.0.0/8\"]"},
	[KEY_RATE] = {AMOUNT, .parse = parse_interval, .example = "\"1000/s\""},
};

static int compare_values(const struct behaviour *type, const void *a, const void *b)
{
	return type->compare ? type->compare(a, b) : memcmp(a, b, type->size);
}

static int copy_value(const struct behaviour *type, void *ret, const void *value)
{
	const char *string;
	union field copy;

	if (!type->owns_string) {
		memcpy(ret, value, type->size);
		return 0;
	}
	string = *(char *const *)value;
	if (!string)
		return 0;
	if (copy_string(string, &copy) < 0)
		return -ENOMEM;
	*(char **)ret = copy.string;
	return 0;
}

static void clear_value(const struct behaviour *type, void *value)
{
	if (type->owns_string)
		free(*(char **)value);
	memset(value, 0, type->size);
}

/* ---- Lists ---- */

/* All lists are laid out like this, whatever their items are. */
struct list {
	char *items;
	size_t count;
};
_Static_assert(sizeof(struct list) == sizeof(struct string_list) &&
		       sizeof(struct list) == sizeof(struct address_list) &&
		       sizeof(struct list) == sizeof(struct prefix_list),
	"see struct list");

/* By their bytes: the compiler may take for granted that pointers of different types do not alias.
 */
static struct list get_list(const void *field)
{
	struct list list;

	memcpy(&list, field, sizeof(list));
	return list;
}

static int add_item(const struct behaviour *type, void *field, const void *item)
{
	struct list list = get_list(field);
	char *items = array_grow(list.items, list.count, type->size);

	if (!items)
		return -ENOMEM;
	list.items = items;
	memcpy(items + list.count++ * type->size, item, type->size);
	memcpy(field, &list, sizeof(list));
	return 0;
}

/* Whether the list may take an item. */
static int check_item(const struct key *key, const void *field, const void *item, const char *text,
	char why[static WHY_MAX])
{
	const struct behaviour *type = &behaviours[key->type];
	size_t max = key->max ? (size_t)key->max : LIST_ITEMS_MAX;
	struct list list = get_list(field);
	char buffer[SHOWN_MAX];

	for (size_t i = 0; i < list.count && !type->may_repeat; i++)
		if (!compare_values(type, list.items + i * type->size, item))
			return because(why, -EINVAL, "\"%s\" is in the list twice, remove one",
				shown(text, buffer));
	if (list.count >= max)
		return because(
			why, -ERANGE, "has more than %zu items, the most that are allowed", max);
	return 0;
}

/* By the items in their order, then by length. */
static int compare_lists(const struct behaviour *type, const void *a, const void *b)
{
	struct list left = get_list(a), right = get_list(b);
	int order = 0;

	for (size_t i = 0; i < left.count && i < right.count && !order; i++)
		order = compare_values(
			type, left.items + i * type->size, right.items + i * type->size);
	return order ? order : (left.count > right.count) - (left.count < right.count);
}

static int copy_list(const struct behaviour *type, void *ret, const void *field)
{
	struct list list = get_list(field);
	int r = 0;

	for (size_t i = 0; i < list.count && r >= 0; i++) {
		union field item = {0};

		r = copy_value(type, &item, list.items + i * type->size);
		if (r >= 0)
			r = add_item(type, ret, &item);
		if (r < 0)
			clear_value(type, &item);
	}
	return r;
}

static void clear_list(const struct behaviour *type, void *field)
{
	struct list list = get_list(field);

	for (size_t i = 0; i < list.count; i++)
		clear_value(type, list.items + i * type->size);
	free(list.items);
	memset(field, 0, sizeof(list));
}

int string_list_add(struct string_list *list, const char *string)
{
	AUTO_FREE char *copy = strdup(string);
	int r = copy ? array_add(list, copy) : -ENOMEM;

	if (r >= 0)
		copy = NULL;
	return r;
}

void string_list_clear(struct string_list *list)
{
	clear_list(&behaviours[KEY_STRINGS], list);
}

/* ---- Keys ---- */

int key_set(const struct key *key, void *settings, const char *text, char why[static WHY_MAX])
{
	const struct behaviour *type = &behaviours[key->type];
	void *field = (char *)settings + key->offset;
	union field value = {0};
	int r = type->parse(key, text, &value, why);

	if (r >= 0 && type->is_list) {
		r = check_item(key, field, &value, text, why);
		if (r >= 0)
			r = add_item(type, field, &value);
		if (r < 0)
			clear_value(type, &value);
	} else if (r >= 0) {
		clear_value(type, field);
		memcpy(field, &value, type->size);
	}
	return r == -ENOMEM ? because(why, r, "out of memory") : r;
}

int key_compare(const struct key *key, const void *a, const void *b)
{
	const struct behaviour *type = &behaviours[key->type];
	const void *left = (const char *)a + key->offset, *right = (const char *)b + key->offset;

	return type->is_list ? compare_lists(type, left, right) : compare_values(type, left, right);
}

static int key_copy(const struct key *key, void *ret, const void *settings)
{
	const struct behaviour *type = &behaviours[key->type];
	void *to = (char *)ret + key->offset;
	const void *from = (const char *)settings + key->offset;

	return type->is_list ? copy_list(type, to, from) : copy_value(type, to, from);
}

void key_clear(const struct key *key, void *settings)
{
	const struct behaviour *type = &behaviours[key->type];
	void *field = (char *)settings + key->offset;

	if (type->is_list)
		clear_list(type, field);
	else
		clear_value(type, field);
}

bool key_is_list(const struct key *key)
{
	return behaviours[key->type].is_list;
}

const char *key_example(const struct key *key, char buffer[static SHOWN_MAX])
{
	if (key->type != KEY_CHOICE)
		return behaviours[key->type].example;
	snprintf(buffer, SHOWN_MAX, "\"%s\"", key->choices[0]);
	return buffer;
}

/* ---- Tables of keys ---- */

int schema_defaults(const struct schema *schema, void *settings)
{
	char why[WHY_MAX];
	int r = 0;

	for (size_t i = 0; i < schema->count && r >= 0; i++) {
		const struct key *key = &schema->keys[i];

		r = key->fallback ? key_set(key, settings, key->fallback, why) : 0;
	}
	return r;
}

int schema_copy(const struct schema *schema, void *ret, const void *settings)
{
	int r = 0;

	for (size_t i = 0; i < schema->count && r >= 0; i++)
		r = key_copy(&schema->keys[i], ret, settings);
	return r;
}

bool schema_equal(const struct schema *schema, const void *a, const void *b)
{
	for (size_t i = 0; i < schema->count; i++)
		if (key_compare(&schema->keys[i], a, b))
			return false;
	return true;
}

void schema_clear(const struct schema *schema, void *settings)
{
	for (size_t i = 0; i < schema->count; i++)
		key_clear(&schema->keys[i], settings);
}

const struct key *schema_find(const struct schema *schema, const char *name)
{
	for (size_t i = 0; i < schema->count; i++)
		if (!strcmp(schema->keys[i].name, name))
			return &schema->keys[i];
	return NULL;
}

int schema_set(const struct schema *schema, void *settings, const char *key, const char *text,
	char why[static WHY_MAX])
{
	const struct key *row = schema_find(schema, key);
	struct guess guess = {.word = key};
	char name[SHOWN_MAX], meant[GUESS_MAX];

	if (row)
		return key_set(row, settings, text, why);
	for (size_t i = 0; i < schema->count; i++)
		guess_offer(&guess, schema->keys[i].name);
	return because(why, -ENOENT, "unknown key \"%s\"%s", shown(key, name),
		guess_or(&guess, ", see mcastd.conf(5) for those that there are", meant));
}
