/* Conditions on a payload. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/match.h"

#define PAYLOAD "\x47\x01\x00\x07\xff\xfe!ALARM 3\r\n"

static bool holds(const char *text)
{
	char why[WHY_MAX] = "";
	struct match match;

	if (match_parse(text, &match, why) < 0)
		fail_msg("%s", why);
	return match_holds(&match, PAYLOAD, sizeof(PAYLOAD) - 1);
}

static void an_integer_at_an_offset_is_compared(void **state)
{
	static const char *const true_ones[] = {"u8@0 == 71", "u8@0==0x47", "u16@2 == 7",
		"u16le@2 == 0x0700", "u32@0 == 0x47010007", "u32le@0 == 0x07000147",
		"u16@4 > 65533", "u16@4 >= 0xfffe", "u8@1 < 2", "u8@1 <= 1", "u8@1 != 2",
		"u64@0 == 0x47010007fffe2141", "  u8@0  ==  71  ", "u8@00 == 071"};
	static const char *const false_ones[] = {"u8@0 == 70", "u8@0 != 71", "u8@1 < 1", "u8@1 > 1",
		"u8@1 <= 0", "u8@1 >= 2", "u16@2 == 0x0700"};

	(void)state;
	for (size_t i = 0; i < sizeof(true_ones) / sizeof(*true_ones); i++)
		assert_true(holds(true_ones[i]));
	for (size_t i = 0; i < sizeof(false_ones) / sizeof(*false_ones); i++)
		assert_false(holds(false_ones[i]));
}

static void a_mask_leaves_some_bits(void **state)
{
	(void)state;
	assert_true(holds("u8@0 & 0xf0 == 0x40"));
	assert_false(holds("u8@0 & 0x0f == 0x06"));
	assert_true(holds("bytes@2 & 0x00ff00 == 0x000700"));
	assert_false(holds("bytes@2 & 0x00ff00 == 0x000600"));
}

static void bytes_are_compared_where_they_are(void **state)
{
	(void)state;
	assert_true(holds("bytes@4 == 0xfffe"));
	assert_false(holds("bytes@3 == 0xfffe"));
	assert_true(holds("bytes@3 != 0xfffe"));
}

static void text_and_bytes_are_found_anywhere(void **state)
{
	(void)state;
	assert_true(holds("contains ALARM"));
	assert_true(holds("contains ALARM 3"));
	assert_true(holds("contains 0x0d0a"));
	assert_false(holds("contains alarm"));
	assert_false(holds("contains  ALARM"));
}

static void beyond_the_end_nothing_holds(void **state)
{
	(void)state;
	assert_true(holds("u8@15 == 10"));
	assert_false(holds("u8@16 == 10"));
	assert_false(holds("u8@16 != 10"));
	assert_false(holds("u16@15 != 10"));
	assert_false(holds("bytes@15 != 0x0000"));
}

static void what_is_no_condition_is_refused_with_examples(void **state)
{
	static const char *const wrong[] = {"", "u8", "u8@", "u8@-1 == 1", "u8@x == 1", "u8@0",
		"u8@0 = 1", "u8@0 == ", "u8@0 == 1 2", "u8@0 == -1", "u24@0 == 1", "u8le@0 == 1",
		"u8@0 & == 1", "bytes@0 == ", "bytes@0 == 0x", "bytes@0 == 0x1", "bytes@0 == 0xgg",
		"bytes@0 < 0x11", "bytes@0 & 0xff == 0x1122", "contains ", "contains",
		"contains 0x1", "bytes == 0x11", "text"};
	char why[WHY_MAX];
	struct match match;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		if (match_parse(wrong[i], &match, why) >= 0)
			fail_msg("'%s' was taken", wrong[i]);
		assert_non_null(strstr(why, "u16@2 == 7"));
	}
	assert_true(match_parse("u8@0 == 256", &match, why) < 0);
	assert_string_equal(why, "'u8@0 == 256': 8 bits hold 255 at most");
}

static void assert_refused(const char *text, const char *words)
{
	char why[WHY_MAX] = "";
	struct match match;

	if (match_parse(text, &match, why) >= 0)
		fail_msg("'%s' was taken", text);
	if (!strstr(why, words))
		fail_msg("%s", why);
}

static void what_never_holds_is_refused(void **state)
{
	static const char *const wrong[] = {"u8@0 & 0xf0 == 0x45", "bytes@0 & 0xf000 == 0x65ff",
		"u8@0 & 0xf0 == 1", "u16le@0 < 0", "u8@0 > 255", "u64@0 > 0xffffffffffffffff",
		"u8@0 & 0x0f > 15", "u8@0 & 0x0f >= 16", "u8@0 & 0 == 1"};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_refused(wrong[i], "no datagram is like that");
}

static void what_always_holds_is_refused_with_the_size_that_it_asks(void **state)
{
	static const char *const wrong[] = {"u8@3 & 0xf0 != 0x45", "bytes@2 & 0xf000 != 0x65ff",
		"u16@2 >= 0", "u16@2 <= 65535", "u8@3 & 0x0f < 16", "u32@0 <= 4294967295"};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_refused(wrong[i], "every datagram of at least 4 bytes is like that");
}

static void what_some_payloads_fulfil_is_taken(void **state)
{
	static const char *const good[] = {"u8@0 & 0xf0 == 0xf0", "u8@0 <= 254", "u8@0 > 254",
		"u8@0 >= 255", "u8@0 < 1", "u8@0 <= 0", "u8@0 > 0", "u8@0 & 0x0f >= 15",
		"u8@0 & 0xf0 < 16", "u64@0 == 18446744073709551615",
		"u64@0 <= 18446744073709551614", "bytes@0 & 0xf0ff == 0x60ff", "u8@65526 == 1"};
	char why[WHY_MAX];
	struct match match;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		if (match_parse(good[i], &match, why) < 0)
			fail_msg("%s", why);
}

static void numbers_beyond_their_width_are_refused_with_it(void **state)
{
	(void)state;
	assert_refused("u8@0 & 0x100 == 0", "8 bits hold 255 at most");
	assert_refused(
		"u64@0 == 18446744073709551616", "64 bits hold 18446744073709551615 at most");
	assert_refused(
		"u64@0 & 99999999999999999999 == 1", "64 bits hold 18446744073709551615 at most");
}

static void offsets_beyond_every_datagram_are_refused(void **state)
{
	static const char *const wrong[] = {"u8@65527 == 1", "u16@65526 == 1", "u8@65528 == 1",
		"bytes@65526 == 0x0102", "u8@99999999999999999999 == 1"};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_refused(wrong[i], "no datagram has more than 65527 bytes");
}

static bool contradict(const char *a, const char *b)
{
	struct match left, right;
	char why[WHY_MAX];

	assert_int_equal(match_parse(a, &left, why), 0);
	assert_int_equal(match_parse(b, &right, why), 0);
	assert_int_equal(match_contradicts(&left, &right), match_contradicts(&right, &left));
	return match_contradicts(&left, &right);
}

static void different_bytes_at_one_place_contradict_each_other(void **state)
{
	(void)state;
	assert_true(contradict("u8@0 == 1", "u8@0 == 2"));
	assert_true(contradict("u16@0 == 0x0102", "u16le@0 == 0x0102"));
	assert_true(contradict("bytes@2 == 0x01020304", "u8@4 == 4"));
	assert_true(contradict("u8@0 & 0xf0 == 0x40", "bytes@0 == 0x55"));
	assert_false(contradict("u16@0 == 0x0102", "u16le@0 == 0x0201"));
	assert_false(contradict("u8@0 & 0xf0 == 0x40", "u8@0 & 0x0f == 5"));
	assert_false(contradict("u8@0 == 1", "u8@1 == 2"));
	assert_false(contradict("u8@0 == 1", "u8@0 != 2"));
	assert_false(contradict("contains a", "contains b"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_integer_at_an_offset_is_compared),
		cmocka_unit_test(a_mask_leaves_some_bits),
		cmocka_unit_test(bytes_are_compared_where_they_are),
		cmocka_unit_test(text_and_bytes_are_found_anywhere),
		cmocka_unit_test(beyond_the_end_nothing_holds),
		cmocka_unit_test(what_is_no_condition_is_refused_with_examples),
		cmocka_unit_test(what_never_holds_is_refused),
		cmocka_unit_test(what_always_holds_is_refused_with_the_size_that_it_asks),
		cmocka_unit_test(what_some_payloads_fulfil_is_taken),
		cmocka_unit_test(numbers_beyond_their_width_are_refused_with_it),
		cmocka_unit_test(offsets_beyond_every_datagram_are_refused),
		cmocka_unit_test(different_bytes_at_one_place_contradict_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
