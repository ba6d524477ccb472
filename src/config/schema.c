#include "config/schema.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "base/units.h"

/* Memory for a string of a list beside its bytes: allocating it, and the pointer to it. */
#define STRING_OVERHEAD 32

/* One value of any type, or one item of a list. */
union field {
	struct prefix prefix; /* the largest first, for = {0} to zero all of it */
	struct address address;
	struct principal principal;
	char *string;
	bool boolean;
	int choice;
	int64_t number;
	uint64_t amount; /* bytes or nanoseconds */
};

/* Text that a key is to be set to. */
struct input {
	const struct key *key;
	const char *text;
	char *why; /* WHY_MAX bytes */
};

/* What a type of key does with its values. A list is made of such values, its items. */
struct behaviour {
	const char *name; /* of the type */
	size_t size; /* of one value */
	int (*parse)(const struct input *input, union field *ret); /* into a zeroed value */
	int (*compare)(const void *a, const void *b); /* NULL: by the bytes */
	const void *absent; /* the value of a key that is absent; NULL: all bytes are zero */
	bool owns_string; /* a value is a char * that is to be copied and freed */
	bool is_list, may_repeat;
	const char *example; /* a value as one would write it, with its quotes */
};

/* ---- Values from text ---- */

/* Writes the reason: the text, and what is wrong with it. Returns error. */
static int PRINTF_LIKE(3, 4) refuse(const struct input *input, int error, const char *format, ...)
{
	char wrong[WHY_MAX], buffer[SHOWN_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(wrong, sizeof(wrong), format, arguments);
	va_end(arguments);
	because(input->why, error, "\"%s\" %s", shown(input->text, buffer), wrong);
	return error;
}

static int copy_string(const char *string, union field *ret)
{
	ret->string = strdup(string);
	return ret->string ? 0 : -ENOMEM;
}

static int parse_string(const struct input *input, union field *ret)
{
	const struct key *key = input->key;

	if (!*input->text)
		return because(input->why, -EINVAL, "is empty, write a value%s",
			key->required ? "" : " or leave the key out");
	if (key->max && strlen(input->text) > (size_t)key->max)
		return refuse(input, -ERANGE, "is longer than %" PRId64 " bytes, use a shorter one",
			key->max);
	return copy_string(input->text, ret);
}

static int parse_path(const struct input *input, union field *ret)
{
	if (*input->text && *input->text != '/')
		return refuse(input, -EINVAL, "is not an absolute path, begin it with /");
	return parse_string(input, ret);
}

static int parse_item(const struct input *input, union field *ret)
{
	if (!*input->text)
		return because(input->why, -EINVAL, "has an empty item, remove it");
	return copy_string(input->text, ret);
}

static int parse_argument(const struct input *input, union field *ret)
{
	return copy_string(input->text, ret);
}

static int parse_bool(const struct input *input, union field *ret)
{
	ret->boolean = !strcmp(input->text, "true");
	if (!ret->boolean && strcmp(input->text, "false"))
		return refuse(input, -EINVAL, "is neither true nor false");
	return 0;
}

static bool has_range(const struct key *key)
{
	return key->min || key->max;
}

static int parse_integer(const struct input *input, union field *ret)
{
	const struct key *key = input->key;
	bool negative = *input->text == '-';
	char buffer[SHOWN_MAX];
	uint64_t magnitude = 0;
	int r = parse_number(input->text + negative, INT64_MAX, &magnitude);

	if (r == -EINVAL)
		return refuse(input, r, "is not a whole number");
	ret->number = negative ? -(int64_t)magnitude : (int64_t)magnitude;
	if (r >= 0 && (!has_range(key) || (ret->number >= key->min && ret->number <= key->max)))
		return 0;
	shown(input->text, buffer);
	if (!has_range(key))
		return because(input->why, -ERANGE, "%s is out of range", buffer);
	return because(input->why, -ERANGE, "%s is out of range, use %" PRId64 " to %" PRId64,
		buffer, key->min, key->max);
}

/* But for a 0 that stands for none. */
static uint64_t smallest(const struct key *key)
{
	return (uint64_t)(key->least ? key->least : key->min);
}

static bool in_range(const struct key *key, uint64_t amount)
{
	if (key->least && !amount)
		return true;
	return !has_range(key) || (amount >= smallest(key) && amount <= (uint64_t)key->max);
}

static int parse_bytes(const struct input *input, union field *ret)
{
	const struct key *key = input->key;
	uint64_t max = has_range(key) ? (uint64_t)key->max : 1ull << 40;
	char from[UNIT_STRING_MAX], to[UNIT_STRING_MAX];
	int r = parse_size(input->text, &ret->amount);

	if (r == -EINVAL)
		return refuse(
			input, r, "is not a size, write one such as \"64K\", \"4M\" or \"1G\"");
	if (r < 0 || !in_range(key, ret->amount))
		return refuse(input, -ERANGE, "is out of range, use %s to %s%s",
			format_size(smallest(key), from), format_size(max, to),
			key->least ? ", or 0" : "");
	return 0;
}

static int parse_time(const struct input *input, union field *ret)
{
	const struct key *key = input->key;
	char from[UNIT_STRING_MAX], to[UNIT_STRING_MAX];
	int r = parse_duration(input->text, &ret->amount);

	if (r == -EINVAL)
		return refuse(input, r,
			"is not a duration, write one such as \"250ms\", \"5s\" or \"2h\"");
	if (r < 0 && !has_range(key))
		return refuse(input, r, "is out of range, use less");
	if (r < 0 || !in_range(key, ret->amount))
		return refuse(input, -ERANGE, "is out of range, use %s to %s%s",
			format_duration(smallest(key), from),
			format_duration((uint64_t)key->max, to), key->least ? ", or 0" : "");
	return 0;
}

static int parse_interval(const struct input *input, union field *ret)
{
	int r = parse_rate(input->text, &ret->amount);

	if (r < 0)
		return refuse(input, r, "is %s, write one such as \"1000/s\" or \"30/m\"",
			r == -ERANGE ? "out of range" : "not a rate");
	return 0;
}

/* As text, since it is shown as it was written. */
static int parse_expected_rate(const struct input *input, union field *ret)
{
	uint64_t interval_ns;

	if (strcmp(input->text, "0/s") && parse_rate(input->text, &interval_ns) < 0)
		return refuse(
			input, -EINVAL, "is no rate: write datagrams in a time, like \"900/s\"");
	return copy_string(input->text, ret);
}

static int parse_choice(const struct input *input, union field *ret)
{
	const char *const *choices = input->key->choices;
	AUTO_TEXT struct text known = {0};
	struct guess guess = {.word = input->text};
	char meant[GUESS_MAX];

	for (int i = 0; choices[i]; i++) {
		if (!strcmp(choices[i], input->text)) {
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
	return refuse(input, -EINVAL, "is not known here%s",
		guess_or(&guess, text_string(&known), meant));
}

static int parse_mode(const struct input *input, union field *ret)
{
	const char *text = input->text;
	size_t length = strlen(text);

	if (length < 3 || length > 4 || strspn(text, "01234567") != length ||
		(length == 4 && *text != '0'))
		return refuse(input, -EINVAL,
			"is not a file mode, write three octal digits such as \"0660\"");
	ret->number = strtol(text, NULL, 8);
	return 0;
}

/* Whether what stands before the separator, without brackets, is an address. */
static bool begins_with_address(const char *text, char separator)
{
	const char *end = strrchr(text, separator);
	bool bracketed = end && *text == '[' && end > text && end[-1] == ']';
	const char *begin = bracketed ? text + 1 : text;
	AUTO_FREE char *address = end ? strndup(begin, (size_t)(end - begin - (bracketed ? 1 : 0)))
				      : NULL;
	struct address ignored;

	return address && address_parse(address, &ignored) == 0;
}

static int parse_address(const struct input *input, union field *ret)
{
	if (address_parse(input->text, &ret->address) == 0)
		return 0;
	if (begins_with_address(input->text, '%'))
		return refuse(
			input, -EINVAL, "is an address and an interface: leave out the interface");
	if (begins_with_address(input->text, ':'))
		return refuse(input, -EINVAL, "is an address and a port: leave out the port");
	return refuse(input, -EINVAL,
		"is not an IP address, write one such as \"233.252.0.1\" or \"ff15::1\"");
}

static int parse_prefix(const struct input *input, union field *ret)
{
	int r = prefix_parse(input->text, &ret->prefix);

	if (r < 0)
		return refuse(input, -EINVAL,
			"%s, write one such as \"10.0.0.0/8\" or \"2001:db8::/32\"",
			r == -ERANGE ? "has bits set behind its length"
				     : "is not an address or prefix");
	return 0;
}

/* Finds a user or group. It may wait for the database that the system asks. */
static int find_principal(
	const struct input *input, enum principal_kind kind, const char *name, union field *ret)
{
	const char *what = kind == PRINCIPAL_USER ? "user" : "group";
	char buffer[SHOWN_MAX];
	int r;

	ret->principal.kind = kind;
	r = kind == PRINCIPAL_USER ? find_uid(name, &ret->principal.id)
				   : find_gid(name, &ret->principal.id);
	if (r == -ENOENT)
		return because(input->why, -EINVAL,
			"there is no %s \"%s\" on this system, use another or create it", what,
			shown(name, buffer));
	if (r < 0)
		return because(input->why, r, "looking up the %s \"%s\": %s", what,
			shown(name, buffer), strerror(-r));
	return 0;
}

static int parse_system_group(const struct input *input, union field *ret)
{
	if (!*input->text)
		return because(input->why, -EINVAL, "is empty, write a value or leave the key out");
	return find_principal(input, PRINCIPAL_GROUP, input->text, ret);
}

static int parse_principal(const struct input *input, union field *ret)
{
	const char *text = input->text;

	if (!strncmp(text, "user:", 5))
		return find_principal(input, PRINCIPAL_USER, text + 5, ret);
	if (!strncmp(text, "group:", 6))
		return find_principal(input, PRINCIPAL_GROUP, text + 6, ret);
	ret->principal.kind = PRINCIPAL_SOCKET;
	if (strcmp(text, "socket"))
		return refuse(input, -EINVAL,
			"is neither a user nor a group, write \"user:NAME\", \"group:NAME\", or "
			"\"socket\" for those of socket_mode and socket_group");
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

static const int no_choice = CHOICE_ABSENT;

#define STRING .size = sizeof(char *), .compare = compare_strings, .owns_string = true
#define BOOL .size = sizeof(bool)
#define CHOICE .size = sizeof(int), .absent = &no_choice
#define NUMBER .size = sizeof(int64_t)
#define AMOUNT .size = sizeof(uint64_t)
#define ADDRESS .size = sizeof(struct address), .compare = compare_addresses
#define PREFIX .size = sizeof(struct prefix), .compare = compare_prefixes
#define PRINCIPAL .size = sizeof(struct principal)
#define LIST .is_list = true

static const struct behaviour behaviours[KEY_TYPES] = {
	[KEY_STRING] = {"string", STRING, .parse = parse_string, .example = "\"text\""},
	[KEY_PATH] = {"path", STRING, .parse = parse_path, .example = "\"/a/path\""},
	[KEY_BOOL] = {"boolean", BOOL, .parse = parse_bool, .example = "true"},
	[KEY_NUMBER] = {"number", NUMBER, .parse = parse_integer, .example = "5004"},
	[KEY_SIZE] = {"size", AMOUNT, .parse = parse_bytes, .example = "\"4M\""},
	[KEY_DURATION] = {"duration", AMOUNT, .parse = parse_time, .example = "\"5s\""},
	[KEY_CHOICE] = {"choice", CHOICE, .parse = parse_choice},
	[KEY_MODE] = {"mode", NUMBER, .parse = parse_mode, .example = "\"0660\""},
	[KEY_ADDRESS] = {"address", ADDRESS, .parse = parse_address, .example = "\"233.252.0.1\""},
	[KEY_STRINGS] = {"strings", LIST, STRING, .parse = parse_item, .example = "[\"text\"]"},
	[KEY_ADDRESSES] = {"addresses", LIST, ADDRESS, .parse = parse_address,
		.example = "[\"192.0.2.1\"]"},
	[KEY_ARGUMENTS] = {"arguments", LIST, STRING, .parse = parse_argument, .may_repeat = true,
		.example = "[\"/a/program\", \"argument\"]"},
	[KEY_PREFIXES] = {"prefixes", LIST, PREFIX, .parse = parse_prefix,
		.example = "[\"10.0.0.0/8\"]"},
	[KEY_RATE] = {"rate", AMOUNT, .parse = parse_interval, .example = "\"1000/s\""},
	[KEY_RATES] = {"rates", LIST, STRING, .parse = parse_expected_rate,
		.example = "[\"900/s\", \"1100/s\"]"},
	[KEY_SYSTEM_GROUP] = {"group", PRINCIPAL, .parse = parse_system_group,
		.example = "\"telemetry\""},
	[KEY_PRINCIPALS] = {"users", LIST, PRINCIPAL, .parse = parse_principal,
		.example = "[\"user:alice\", \"group:telemetry\"]"},
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
	if (type->absent)
		memcpy(value, type->absent, type->size);
	else
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
		       sizeof(struct list) == sizeof(struct prefix_list) &&
		       sizeof(struct list) == sizeof(struct principal_list),
	"see struct list");

/* Copied as bytes, since pointers of different types must not alias. */
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
static int check_item(const struct input *input, const void *field, const void *item)
{
	const struct behaviour *type = &behaviours[input->key->type];
	size_t max = input->key->max ? (size_t)input->key->max : LIST_ITEMS_MAX;
	struct list list = get_list(field);

	for (size_t i = 0; i < list.count && !type->may_repeat; i++)
		if (!compare_values(type, list.items + i * type->size, item))
			return refuse(input, -EINVAL, "is in the list twice, remove one");
	if (list.count >= max)
		return because(input->why, -ERANGE,
			"has more than %zu items, the most that are allowed", max);
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

bool string_list_has(const struct string_list *list, const char *string)
{
	for (size_t i = 0; i < list->count; i++)
		if (!strcmp(list->items[i], string))
			return true;
	return false;
}

size_t string_list_memory(const struct string_list *list)
{
	size_t size = 0;

	for (size_t i = 0; i < list->count; i++)
		size += strlen(list->items[i]) + STRING_OVERHEAD;
	return size;
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
	const struct input input = {key, text, why};
	union field value = {0};
	int r = type->parse(&input, &value);

	if (r >= 0 && type->is_list) {
		r = check_item(&input, field, &value);
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

static int copy_field(const struct behaviour *type, void *ret, const void *field)
{
	return type->is_list ? copy_list(type, ret, field) : copy_value(type, ret, field);
}

int key_take_value(
	const struct key *key, void *settings, const struct key *from, const void *values)
{
	const struct behaviour *type = &behaviours[key->type];
	const void *value = (const char *)values + from->offset;

	key_clear(key, settings);
	return copy_field(type, (char *)settings + key->offset, value);
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

const char *key_type_name(const struct key *key)
{
	return behaviours[key->type].name;
}

bool key_is_list(const struct key *key)
{
	return behaviours[key->type].is_list;
}

bool key_accepts(const struct key *key, const char *text)
{
	const struct behaviour *type = &behaviours[key->type];
	char why[WHY_MAX];
	const struct input input = {key, text, why};
	union field value = {0};
	int r = type->parse(&input, &value);

	if (r >= 0)
		clear_value(type, &value);
	return r >= 0;
}

/* The smallest number, size or duration that the key takes, as one would write it. */
static const char *smallest_example(const struct key *key, char buffer[static SHOWN_MAX])
{
	char amount[UNIT_STRING_MAX];

	if (key->type == KEY_NUMBER)
		snprintf(buffer, SHOWN_MAX, "%" PRId64, key->min);
	else if (key->type == KEY_SIZE)
		snprintf(buffer, SHOWN_MAX, "\"%s\"", format_size(smallest(key), amount));
	else
		snprintf(buffer, SHOWN_MAX, "\"%s\"", format_duration(smallest(key), amount));
	return buffer;
}

const char *key_example(const struct key *key, char buffer[static SHOWN_MAX])
{
	static const struct {
		enum key_type type;
		const char *text; /* the example of the type, without quotes */
	} ranged[] = {{KEY_NUMBER, "5004"}, {KEY_SIZE, "4M"}, {KEY_DURATION, "5s"}};

	if (key->example)
		return key->example;
	for (size_t i = 0; i < ARRAY_SIZE(ranged); i++)
		if (key->type == ranged[i].type && !key_accepts(key, ranged[i].text))
			return smallest_example(key, buffer);
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

		if (key->fallback)
			r = key_set(key, settings, key->fallback, why);
		else if (behaviours[key->type].absent)
			key_clear(key, settings);
	}
	return r;
}

int schema_copy(const struct schema *schema, void *ret, const void *settings)
{
	int r = 0;

	for (size_t i = 0; i < schema->count && r >= 0; i++) {
		const struct key *key = &schema->keys[i];

		r = copy_field(&behaviours[key->type], (char *)ret + key->offset,
			(const char *)settings + key->offset);
	}
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
