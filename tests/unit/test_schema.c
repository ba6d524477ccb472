/* Rows of a schema: text to value, defaults, comparing, freeing; and how errors are worded. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "config/schema.h"
#include "config/value.h"
#include "base/words.h"

struct all {
	char *string, *limited, *path;
	bool flag;
	int64_t number, any_number;
	uint64_t size, any_size, duration, any_duration;
	int choice, any_choice;
	int64_t mode;
	struct address address;
	struct string_list strings, few;
	struct address_list addresses;
	uint64_t rate;
	struct string_list rates;
	char *shaped;
	int64_t few_numbers;
	uint64_t small_size;
};

static const char *const colours[] = {"red", "green", "blue", NULL};

#define ROW(row, row_type) .name = #row, .type = row_type, .offset = offsetof(struct all, row)

static const struct key all_keys[] = {
	{ROW(string, KEY_STRING), .fallback = "text"},
	{ROW(limited, KEY_STRING), .max = 5},
	{ROW(path, KEY_PATH)},
	{ROW(flag, KEY_BOOL), .fallback = "true"},
	{ROW(number, KEY_NUMBER), .min = -5, .max = 10, .fallback = "-5"},
	{ROW(any_number, KEY_NUMBER)},
	{ROW(size, KEY_SIZE), .min = 4096, .max = 1 << 30, .fallback = "4M"},
	{ROW(any_size, KEY_SIZE)},
	{ROW(duration, KEY_DURATION), .min = 1000000, .max = 90000000000, .fallback = "250ms"},
	{ROW(any_duration, KEY_DURATION)},
	{ROW(choice, KEY_CHOICE), .choices = colours, .fallback = "green"},
	{ROW(any_choice, KEY_CHOICE), .choices = colours},
	{ROW(mode, KEY_MODE), .fallback = "0660"},
	{ROW(address, KEY_ADDRESS)},
	{ROW(strings, KEY_STRINGS)},
	{ROW(few, KEY_STRINGS), .max = 2},
	{ROW(addresses, KEY_ADDRESSES)},
	{ROW(rate, KEY_RATE)},
	{ROW(rates, KEY_RATES)},
	{ROW(shaped, KEY_STRING), .example = "\"u8@5\""},
	{ROW(few_numbers, KEY_NUMBER), .min = 7, .max = 9},
	{ROW(small_size, KEY_SIZE), .least = 2048, .max = 4096},
};

static const struct schema schema = {all_keys, ARRAY_SIZE(all_keys), sizeof(struct all)};

static int setup(void **state)
{
	struct all *all = calloc(1, sizeof(*all));

	*state = all;
	return all ? schema_defaults(&schema, all) : -1;
}

static int teardown(void **state)
{
	schema_clear(&schema, *state);
	free(*state);
	return 0;
}

static void set(struct all *all, const char *key, const char *text)
{
	char why[WHY_MAX] = "";

	if (schema_set(&schema, all, key, text, why))
		fail_msg("%s = %s: %s", key, text, why);
}

static void refuse(
	struct all *all, const char *key, const char *text, int error, const char *expected)
{
	char why[WHY_MAX] = "";

	assert_int_equal(schema_set(&schema, all, key, text, why), error);
	assert_string_equal(why, expected);
}

static void defaults_are_filled_in(void **state)
{
	const struct all *all = *state;

	assert_string_equal(all->string, "text");
	assert_true(all->flag);
	assert_int_equal(all->number, -5);
	assert_int_equal(all->size, 4 << 20);
	assert_int_equal(all->duration, 250000000);
	assert_int_equal(all->choice, 1);
	assert_int_equal(all->mode, 0660);
}

static void what_has_no_default_is_absent(void **state)
{
	const struct all *all = *state;

	assert_null(all->limited);
	assert_null(all->path);
	assert_int_equal(all->address.family, AF_UNSPEC);
	assert_int_equal(all->strings.count, 0);
	assert_int_equal(all->addresses.count, 0);
}

static void a_string_is_replaced(void **state)
{
	struct all *all = *state;

	set(all, "string", "one");
	set(all, "string", "two");
	assert_string_equal(all->string, "two");
}

static void a_string_cannot_be_empty(void **state)
{
	struct all *all = *state;

	refuse(all, "string", "", -EINVAL, "is empty, write a value or leave the key out");
	assert_string_equal(all->string, "text");
}

static void a_string_has_a_greatest_length(void **state)
{
	set(*state, "limited", "12345");
	refuse(*state, "limited", "123456", -ERANGE,
		"\"123456\" is longer than 5 bytes, use a shorter one");
}

static void a_path_must_be_absolute(void **state)
{
	struct all *all = *state;

	set(all, "path", "/run/x");
	refuse(all, "path", "run/x", -EINVAL, "\"run/x\" is not an absolute path, begin it with /");
	refuse(all, "path", "", -EINVAL, "is empty, write a value or leave the key out");
	assert_string_equal(all->path, "/run/x");
}

static void a_bool_is_true_or_false(void **state)
{
	struct all *all = *state;

	set(all, "flag", "false");
	assert_false(all->flag);
	set(all, "flag", "true");
	assert_true(all->flag);
	refuse(all, "flag", "yes", -EINVAL, "\"yes\" is neither true nor false");
}

static void a_number_is_taken_up_to_its_limits(void **state)
{
	struct all *all = *state;

	set(all, "number", "10");
	assert_int_equal(all->number, 10);
	set(all, "number", "-5");
	assert_int_equal(all->number, -5);
}

static void a_number_out_of_range_is_refused_with_the_range(void **state)
{
	refuse(*state, "number", "11", -ERANGE, "11 is out of range, use -5 to 10");
	refuse(*state, "number", "-6", -ERANGE, "-6 is out of range, use -5 to 10");
	refuse(*state, "number", "99999999999999999999", -ERANGE,
		"99999999999999999999 is out of range, use -5 to 10");
}

static void a_number_without_range_takes_all_of_int64(void **state)
{
	struct all *all = *state;

	set(all, "any_number", "9223372036854775807");
	assert_true(all->any_number == INT64_MAX);
	refuse(all, "any_number", "9223372036854775808", -ERANGE,
		"9223372036854775808 is out of range");
}

static void what_is_no_number_is_refused(void **state)
{
	static const char *const wrong[] = {"", "-", "1x", "x", "1.5", "--1", " 1", "0x1"};
	char why[WHY_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(schema_set(&schema, *state, "number", wrong[i], why), -EINVAL);
}

static void a_size_has_units(void **state)
{
	struct all *all = *state;

	set(all, "size", "8M");
	assert_int_equal(all->size, 8 << 20);
	refuse(all, "size", "8MB", -EINVAL,
		"\"8MB\" is not a size, write one such as \"64K\", \"4M\" or \"1G\"");
}

static void a_size_out_of_range_is_refused_with_the_range(void **state)
{
	refuse(*state, "size", "2G", -ERANGE, "\"2G\" is out of range, use 4K to 1G");
	refuse(*state, "size", "4095", -ERANGE, "\"4095\" is out of range, use 4K to 1G");
	refuse(*state, "any_size", "2T", -ERANGE, "\"2T\" is out of range, use 0 to 1T");
}

static void a_duration_has_units(void **state)
{
	struct all *all = *state;

	set(all, "duration", "5s");
	assert_int_equal(all->duration, 5000000000);
	refuse(all, "duration", "5", -EINVAL,
		"\"5\" is not a duration, write one such as \"250ms\", \"5s\" or \"2h\"");
}

static void a_duration_out_of_range_is_refused_with_the_range(void **state)
{
	refuse(*state, "duration", "2m", -ERANGE, "\"2m\" is out of range, use 1ms to 90s");
	refuse(*state, "duration", "0", -ERANGE, "\"0\" is out of range, use 1ms to 90s");
	refuse(*state, "any_duration", "99999d", -ERANGE, "\"99999d\" is out of range, use less");
}

static void a_choice_is_the_index_of_its_word(void **state)
{
	struct all *all = *state;

	set(all, "choice", "blue");
	assert_int_equal(all->choice, 2);
}

static void an_unknown_choice_is_refused_with_those_that_there_are(void **state)
{
	refuse(*state, "choice", "black", -EINVAL,
		"\"black\" is not known here, use \"red\", \"green\" or \"blue\"");
	refuse(*state, "choice", "bleu", -EINVAL,
		"\"bleu\" is not known here, did you mean \"blue\"?");
}

static void a_mode_is_octal(void **state)
{
	struct all *all = *state;

	set(all, "mode", "0640");
	assert_int_equal(all->mode, 0640);
	set(all, "mode", "777");
	assert_int_equal(all->mode, 0777);
}

static void a_mode_has_no_other_bits_than_permissions(void **state)
{
	static const char *const wrong[] = {
		"", "66", "0888", "1777", "06600", "-660", "rw-", "0x1"};
	char why[WHY_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(schema_set(&schema, *state, "mode", wrong[i], why), -EINVAL);
}

static void an_address_is_of_either_family(void **state)
{
	struct all *all = *state;

	set(all, "address", "233.252.0.1");
	assert_int_equal(all->address.family, AF_INET);
	set(all, "address", "ff15::1");
	assert_int_equal(all->address.family, AF_INET6);
	refuse(all, "address", "example.org", -EINVAL,
		"\"example.org\" is not an IP address, write one such as \"233.252.0.1\" or "
		"\"ff15::1\"");
}

static void what_stands_behind_an_address_is_named(void **state)
{
	static const char *const with_port[] = {"233.252.0.1:5004", "[ff15::1]:5004"};
	static const char *const with_interface[] = {"ff02::1%eth0", "233.252.0.1%eth0"};
	char expected[WHY_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(with_port); i++) {
		snprintf(expected, sizeof(expected),
			"\"%s\" is an address and a port: leave out the port", with_port[i]);
		refuse(*state, "address", with_port[i], -EINVAL, expected);
	}
	for (size_t i = 0; i < ARRAY_SIZE(with_interface); i++) {
		snprintf(expected, sizeof(expected),
			"\"%s\" is an address and an interface: leave out the interface",
			with_interface[i]);
		refuse(*state, "address", with_interface[i], -EINVAL, expected);
	}
}

static void setting_a_list_adds_an_item(void **state)
{
	struct all *all = *state;

	set(all, "strings", "a");
	set(all, "strings", "b");
	set(all, "strings", "c");
	assert_int_equal(all->strings.count, 3);
	assert_string_equal(all->strings.items[2], "c");
	set(all, "addresses", "192.0.2.1");
	set(all, "addresses", "2001:db8::1");
	assert_int_equal(all->addresses.count, 2);
}

static void a_list_has_nothing_twice(void **state)
{
	set(*state, "strings", "a");
	refuse(*state, "strings", "a", -EINVAL, "\"a\" is in the list twice, remove one");
	set(*state, "addresses", "2001:db8::1");
	refuse(*state, "addresses", "2001:db8:0::1", -EINVAL,
		"\"2001:db8:0::1\" is in the list twice, remove one");
}

static void a_list_has_no_empty_item(void **state)
{
	refuse(*state, "strings", "", -EINVAL, "has an empty item, remove it");
}

static void a_list_is_limited(void **state)
{
	char text[16];

	set(*state, "few", "a");
	set(*state, "few", "b");
	refuse(*state, "few", "c", -ERANGE, "has more than 2 items, the most that are allowed");
	for (int i = 0; i < LIST_ITEMS_MAX; i++) {
		snprintf(text, sizeof(text), "%d", i);
		set(*state, "strings", text);
	}
	refuse(*state, "strings", "x", -ERANGE,
		"has more than 1024 items, the most that are allowed");
}

static void an_unknown_key_is_refused_with_a_guess(void **state)
{
	refuse(*state, "adress", "x", -ENOENT, "unknown key \"adress\", did you mean \"address\"?");
	refuse(*state, "frobnicate", "x", -ENOENT,
		"unknown key \"frobnicate\", see mcastd.conf(5) for those that there are");
}

static void what_is_refused_changes_nothing(void **state)
{
	struct all *all = *state, fresh = {0};
	char why[WHY_MAX];

	assert_int_equal(schema_defaults(&schema, &fresh), 0);
	for (size_t i = 0; i < schema.count; i++)
		if (all_keys[i].type != KEY_STRINGS && all_keys[i].type != KEY_STRING)
			assert_true(schema_set(&schema, all, all_keys[i].name, "\x01", why) < 0);
	assert_true(schema_equal(&schema, all, &fresh));
	schema_clear(&schema, &fresh);
}

/* A value other than the default for each row. */
static const char *const others[ARRAY_SIZE(all_keys)] = {"other", "x", "/x", "false", "1", "1",
	"8M", "8M", "1s", "1s", "red", "red", "0600", "233.252.0.1", "x", "x", "192.0.2.1", "7/s",
	"7/s", "x", "7", "2K"};

static void every_key_counts_for_being_equal(void **state)
{
	for (size_t i = 0; i < schema.count; i++) {
		struct all other = {0};

		assert_int_equal(schema_defaults(&schema, &other), 0);
		assert_true(schema_equal(&schema, *state, &other));
		set(&other, all_keys[i].name, others[i]);
		assert_false(schema_equal(&schema, *state, &other));
		assert_false(schema_equal(&schema, &other, *state));
		schema_clear(&schema, &other);
	}
}

static void lists_of_which_one_is_longer_differ(void **state)
{
	struct all *all = *state, other = {0};

	assert_int_equal(schema_defaults(&schema, &other), 0);
	set(all, "strings", "a");
	set(&other, "strings", "a");
	assert_true(schema_equal(&schema, all, &other));
	set(&other, "strings", "b");
	assert_false(schema_equal(&schema, all, &other));
	schema_clear(&schema, &other);
}

static void clearing_leaves_every_key_absent(void **state)
{
	static const struct all absent = {.choice = CHOICE_ABSENT, .any_choice = CHOICE_ABSENT};
	struct all *all = *state;

	for (size_t i = 0; i < schema.count; i++)
		set(all, all_keys[i].name, others[i]);
	schema_clear(&schema, all);
	assert_true(schema_equal(&schema, all, &absent));
	assert_null(all->string);
	assert_null(all->strings.items);
}

static void wrong_type(const char *key, struct value value, const char *expected)
{
	char why[WHY_MAX] = "";

	assert_int_equal(
		key_set_value(schema_find(&schema, key), &(struct all){0}, &value, why), -EINVAL);
	assert_string_equal(why, expected);
}

static struct value string_value(const char *string)
{
	return (struct value){.type = VALUE_STRING, .string = string};
}

static struct value number_value(int64_t number)
{
	return (struct value){.type = VALUE_NUMBER, .number = number};
}

static void a_string_for_a_number_loses_its_quotes(void **state)
{
	(void)state;
	wrong_type("number", string_value("5"), "is a string, write a number without quotes");
}

static void a_number_for_a_size_gets_its_unit(void **state)
{
	(void)state;
	wrong_type("size", number_value(8388608),
		"is a number, write it with its unit in quotes: \"8M\"");
	wrong_type("size", number_value(-1), "is a number, write a string such as \"4M\"");
}

static void a_number_for_a_duration_gets_a_unit(void **state)
{
	(void)state;
	wrong_type(
		"duration", number_value(5), "is a number without a unit, write \"5s\" or \"5ms\"");
}

static void a_number_for_a_string_gets_quotes(void **state)
{
	(void)state;
	wrong_type("string", number_value(5), "is a number, write it in quotes: \"5\"");
	wrong_type("mode", number_value(660),
		"is a number, write it in octal and in quotes: \"0660\"");
	wrong_type("choice", number_value(1), "is a number, write a string such as \"red\"");
}

static void a_number_for_a_rate_becomes_one_a_second(void **state)
{
	(void)state;
	wrong_type("rate", number_value(100), "is a number, write a rate, in quotes: \"100/s\"");
	wrong_type("rates", number_value(0), "is a number, write a rate, in quotes: \"0/s\"");
}

static void no_number_is_proposed_that_would_be_refused(void **state)
{
	(void)state;
	wrong_type("size", number_value(5), "is a number, write a string such as \"4M\"");
	wrong_type("duration", number_value(100), "is a number without a unit, write \"100ms\"");
	wrong_type("mode", number_value(999), "is a number, write a string such as \"0660\"");
	wrong_type("rate", number_value(0), "is a number, write a string such as \"1000/s\"");
	wrong_type(
		"address", number_value(5), "is a number, write a string such as \"233.252.0.1\"");
	wrong_type("shaped", number_value(5), "is a number, write a string such as \"u8@5\"");
}

static void an_example_is_in_range(void **state)
{
	(void)state;
	wrong_type("few_numbers", (struct value){.type = VALUE_ARRAY},
		"is an array [ ], write one value: few_numbers = 7;");
	wrong_type("small_size", (struct value){.type = VALUE_BOOL},
		"is true or false, write a string such as \"2K\"");
}

static void nothing_at_all_may_stand_beside_a_range(void **state)
{
	struct all *all = *state;

	set(all, "small_size", "0");
	set(all, "small_size", "2K");
	refuse(all, "small_size", "1K", -ERANGE, "\"1K\" is out of range, use 2K to 4K, or 0");
}

static void truth_in_other_words_is_understood_but_refused(void **state)
{
	(void)state;
	wrong_type("flag", number_value(1), "is a number, write true");
	wrong_type("flag", number_value(0), "is a number, write false");
	wrong_type("flag", number_value(2), "is a number, write true or false");
	wrong_type("flag", string_value("yes"), "is a string, write true without quotes");
	wrong_type("flag", string_value("OFF"), "is a string, write false without quotes");
	wrong_type("flag", string_value("x"), "is a string, write true or false without quotes");
}

static void a_fraction_is_no_number(void **state)
{
	(void)state;
	wrong_type("number", (struct value){.type = VALUE_FRACTION},
		"is a number with a fraction, write a whole number");
}

static void brackets_that_do_not_fit_are_refused(void **state)
{
	(void)state;
	wrong_type("strings", (struct value){.type = VALUE_LIST},
		"is a list ( ), write an array: strings = [\"text\"];");
	wrong_type("number", (struct value){.type = VALUE_ARRAY},
		"is an array [ ], write one value: number = -5;");
	wrong_type("path", (struct value){.type = VALUE_GROUP},
		"is a group { }, write one value: path = \"/a/path\";");
}

static void assert_guess(const char *word, const char *candidate, bool is_near)
{
	struct guess guess = {.word = word};

	guess_offer(&guess, candidate);
	if (is_near)
		assert_ptr_equal(guess.nearest, candidate);
	else
		assert_null(guess.nearest);
}

static void slips_of_the_keyboard_are_guessed(void **state)
{
	(void)state;
	assert_guess("prot", "port", true); /* swapped */
	assert_guess("prt", "port", true); /* left out */
	assert_guess("poort", "port", true); /* doubled */
	assert_guess("pert", "port", true); /* replaced */
	assert_guess("receive-buffer", "receive_buffer", true);
	assert_guess("interface", "interfaces", true);
}

static void words_far_apart_are_not_guessed(void **state)
{
	(void)state;
	assert_guess("ttl", "loop", false);
	assert_guess("x", "socket", false);
	assert_guess("colour", "address", false);
	assert_guess("", "ttl", false);
}

static void the_nearest_candidate_is_guessed(void **state)
{
	struct guess guess = {.word = "socket_mod"};

	(void)state;
	guess_offer(&guess, "socket_mole");
	guess_offer(&guess, "socket_mode");
	guess_offer(&guess, "socket_mine");
	assert_string_equal(guess.nearest, "socket_mode");
}

static void long_words_are_not_guessed_at(void **state)
{
	char word[1000];

	(void)state;
	memset(word, 'a', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	assert_guess(word, word, false);
	word[64] = '\0';
	assert_guess(word, word, true);
}

static void shown_strings_are_escaped(void **state)
{
	char buffer[SHOWN_MAX];

	(void)state;
	assert_string_equal(shown("a\x1b[31m\nb", buffer), "a\\x1b[31m\\nb");
}

static void shown_strings_are_cut(void **state)
{
	char long_string[500], buffer[SHOWN_MAX];

	(void)state;
	memset(long_string, '\x01', sizeof(long_string) - 1);
	long_string[sizeof(long_string) - 1] = '\0';
	shown(long_string, buffer);
	assert_int_equal(strlen(buffer), 40 * 4 + 3);
	assert_string_equal(buffer + 40 * 4, "...");
}

static void shown_strings_are_not_cut_within_a_character(void **state)
{
	char buffer[SHOWN_MAX];

	(void)state;
	assert_string_equal(
		shown("123456789012345678901234567890123456789\xc3\xa4 and more", buffer),
		"123456789012345678901234567890123456789...");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(defaults_are_filled_in),
		TEST(what_has_no_default_is_absent),
		TEST(a_string_is_replaced),
		TEST(a_string_cannot_be_empty),
		TEST(a_string_has_a_greatest_length),
		TEST(a_path_must_be_absolute),
		TEST(a_bool_is_true_or_false),
		TEST(a_number_is_taken_up_to_its_limits),
		TEST(a_number_out_of_range_is_refused_with_the_range),
		TEST(a_number_without_range_takes_all_of_int64),
		TEST(what_is_no_number_is_refused),
		TEST(a_size_has_units),
		TEST(a_size_out_of_range_is_refused_with_the_range),
		TEST(a_duration_has_units),
		TEST(a_duration_out_of_range_is_refused_with_the_range),
		TEST(a_choice_is_the_index_of_its_word),
		TEST(an_unknown_choice_is_refused_with_those_that_there_are),
		TEST(a_mode_is_octal),
		TEST(a_mode_has_no_other_bits_than_permissions),
		TEST(an_address_is_of_either_family),
		TEST(what_stands_behind_an_address_is_named),
		TEST(setting_a_list_adds_an_item),
		TEST(a_list_has_nothing_twice),
		TEST(a_list_has_no_empty_item),
		TEST(a_list_is_limited),
		TEST(an_unknown_key_is_refused_with_a_guess),
		TEST(what_is_refused_changes_nothing),
		TEST(every_key_counts_for_being_equal),
		TEST(lists_of_which_one_is_longer_differ),
		TEST(clearing_leaves_every_key_absent),
		cmocka_unit_test(a_string_for_a_number_loses_its_quotes),
		cmocka_unit_test(a_number_for_a_size_gets_its_unit),
		cmocka_unit_test(a_number_for_a_duration_gets_a_unit),
		cmocka_unit_test(a_number_for_a_string_gets_quotes),
		cmocka_unit_test(a_number_for_a_rate_becomes_one_a_second),
		cmocka_unit_test(no_number_is_proposed_that_would_be_refused),
		cmocka_unit_test(an_example_is_in_range),
		TEST(nothing_at_all_may_stand_beside_a_range),
		cmocka_unit_test(truth_in_other_words_is_understood_but_refused),
		cmocka_unit_test(a_fraction_is_no_number),
		cmocka_unit_test(brackets_that_do_not_fit_are_refused),
		cmocka_unit_test(slips_of_the_keyboard_are_guessed),
		cmocka_unit_test(words_far_apart_are_not_guessed),
		cmocka_unit_test(the_nearest_candidate_is_guessed),
		cmocka_unit_test(long_words_are_not_guessed_at),
		cmocka_unit_test(shown_strings_are_escaped),
		cmocka_unit_test(shown_strings_are_cut),
		cmocka_unit_test(shown_strings_are_not_cut_within_a_character),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
