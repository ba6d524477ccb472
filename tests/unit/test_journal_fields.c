/* The fields that a JSON payload has in the journal. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "base/json_scan.h"
#include "formats/journal_fields.h"

/* All fields, each with a line feed, and the number of those that are left out; or "not JSON". */
static void assert_payload(const void *payload, size_t size, const char *expected)
{
	struct journal_fields fields;
	AUTO_TEXT struct text text = {0}, shown = {0};
	int r;

	text_append_string(&text, "before");
	r = journal_fields_read(&fields, &text, payload, size);
	if (r < 0) {
		assert_int_equal(r, -EINVAL);
		assert_string_equal(text_string(&text), "before");
		assert_int_equal(fields.count + fields.left_out, 0);
		text_append_string(&shown, "not JSON");
	}
	for (unsigned i = 0; i < fields.count; i++) {
		text_append(&shown, text.data + fields.items[i].start, fields.items[i].size);
		text_append_string(&shown, "\n");
	}
	if (fields.left_out)
		text_printf(&shown, "%u left out", fields.left_out);
	assert_string_equal(text_string(&shown), expected);
}

static void assert_fields(const char *payload, const char *expected)
{
	assert_payload(payload, strlen(payload), expected);
}

static void each_member_is_a_field(void **state)
{
	(void)state;
	assert_fields("{\"sensor\":\"hall\",\"temperature\":21.5,\"ok\":true,\"alarm\":false,"
		      "\"note\":null}",
		"JSON_SENSOR=hall\nJSON_TEMPERATURE=21.5\nJSON_OK=true\nJSON_ALARM=false\n"
		"JSON_NOTE=null\n");
	assert_fields("{}", "");
	assert_fields(" \t\r\n{ \"a\" : 1 , \"b\" : \"\" } \n", "JSON_A=1\nJSON_B=\n");
}

static void numbers_and_arrays_are_as_they_stand_in_the_payload(void **state)
{
	(void)state;
	assert_fields("{\"a\":21.30,\"b\":-0,\"c\":1E+400,\"d\":123456789012345678901234567890}",
		"JSON_A=21.30\nJSON_B=-0\nJSON_C=1E+400\n"
		"JSON_D=123456789012345678901234567890\n");
	assert_fields("{\"a\":[ 1, {\"b\":\"\\n\"}],\"c\":[]}",
		"JSON_A=[ 1, {\"b\":\"\\n\"}]\nJSON_C=[]\n");
}

static void a_string_is_without_its_escapes(void **state)
{
	static const char nul[] = "{\"a\":\"x\\u0000y\"}";
	struct journal_fields fields;
	AUTO_TEXT struct text text = {0};

	(void)state;
	assert_fields("{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", "JSON_A=\"\\/\b\f\n\r\t\n");
	assert_fields("{\"a\":\"\\u0041\\u00e9\\u20AC\\uD83D\\uDE00\"}",
		"JSON_A=A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\n");
	assert_int_equal(journal_fields_read(&fields, &text, nul, sizeof(nul) - 1), 0);
	assert_int_equal(fields.items[0].size, sizeof("JSON_A=x?y") - 1);
	assert_memory_equal(text.data, "JSON_A=x\0y", sizeof("JSON_A=x?y") - 1);
}

static void members_of_members_have_both_names(void **state)
{
	(void)state;
	assert_fields("{\"gps\":{\"lat\":1,\"at\":{\"s\":2}},\"x\":{},\"y\":3}",
		"JSON_GPS_LAT=1\nJSON_GPS_AT_S=2\nJSON_Y=3\n");
}

static void a_name_has_capitals_digits_and_underscores(void **state)
{
	(void)state;
	assert_fields("{\"inside-temp.1\":1,\"_x\":2,\"9\":3,\"\":4,\"a=b\\nc\":5,"
		      "\"\\u00e4\xe2\x82\xac\":6}",
		"JSON_INSIDE_TEMP_1=1\nJSON__X=2\nJSON_9=3\nJSON_=4\nJSON_A_B_C=5\nJSON___=6\n");
}

static void no_name_is_one_of_the_journal_or_of_the_daemon(void **state)
{
	(void)state;
	assert_fields("{\"MESSAGE\":1,\"PRIORITY\":0,\"_UID\":\"0\",\"MCASTD_GROUP\":\"x\","
		      "\"a\":\"\\nMESSAGE=forged\"}",
		"JSON_MESSAGE=1\nJSON_PRIORITY=0\nJSON__UID=0\nJSON_MCASTD_GROUP=x\n"
		"JSON_A=\nMESSAGE=forged\n");
}

static void of_two_members_of_one_name_the_later_one_counts(void **state)
{
	(void)state;
	assert_fields("{\"a\":1,\"b\":2,\"A\":3}", "JSON_A=3\nJSON_B=2\n");
	assert_fields(
		"{\"a\":{\"b\":1},\"a-b\":2,\"a_b\":{\"c\":3}}", "JSON_A_B=2\nJSON_A_B_C=3\n");
}

static void what_is_no_object_in_json_has_no_fields(void **state)
{
	static const char *const wrong[] = {"", " ", "hello", "1", "\"a\"", "null", "[{\"a\":1}]",
		"{", "{\"a\"}", "{\"a\":}", "{\"a\":1", "{\"a\":1,}", "{,}", "{\"a\":1}}",
		"{\"a\":1}{\"b\":2}", "{\"a\":1} x", "{a:1}", "{'a':1}", "{\"a\":01}", "{\"a\":1.}",
		"{\"a\":.5}", "{\"a\":+1}", "{\"a\":-}", "{\"a\":1e}", "{\"a\":0x10}",
		"{\"a\":NaN}", "{\"a\":True}", "{\"a\":tru", "{\"a\":\"", "{\"a\":\"\\\"}",
		"{\"a\":\"\\x41\"}", "{\"a\":\"\\u12\"}", "{\"a\":\"\\ud800\"}",
		"{\"a\":\"\\ud800\\u0041\"}", "{\"a\":\"\\udc00\"}", "{\"a\":\"\n\"}",
		"{\"a\":\"\xff\"}", "{\"a\":\"\xed\xa0\x80\"}", "\xef\xbb\xbf{\"a\":1}",
		"{\"a\":[1,]}", "{\"a\":[1}", "{\"a\":{]}", "{\"a\" 1}", "{\"a\":1 \"b\":2}"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_fields(wrong[i], "not JSON");
	assert_payload("{}\0", 3, "not JSON");
	assert_payload("{\"a\":\"\0\"}", 9, "not JSON");
}

/* open[0] open[1] open[1] ... close: depth of them. */
static void assert_depth(
	const char *first, char open, unsigned depth, char close, const char *expected)
{
	AUTO_TEXT struct text text = {0};

	text_append_string(&text, first);
	for (unsigned i = 1; i < depth; i++)
		text_append(&text, &open, 1);
	for (unsigned i = 1; i < depth; i++)
		text_append(&text, &close, 1);
	text_append_string(&text, "}");
	assert_payload(text.data, text.length, expected);
}

static void nesting_has_a_bound(void **state)
{
	(void)state;
	assert_depth("{\"a\":", '[', 4, ']', "JSON_A=[[[]]]\n");
	assert_depth("{\"a\":", '[', SCAN_DEPTH + 1, ']', "not JSON");
	assert_depth("{\"a\":", '[', 60000, ']', "not JSON");
}

/* {"a":{"a":...{}}} */
static void objects_within_objects_have_the_same_bound(void **state)
{
	(void)state;
	for (unsigned depth = SCAN_DEPTH - 1; depth < SCAN_DEPTH + 2; depth++) {
		AUTO_TEXT struct text text = {0};

		for (unsigned i = 1; i < depth; i++)
			text_append_string(&text, "{\"\":");
		text_append_string(&text, "{}");
		for (unsigned i = 1; i < depth; i++)
			text_append_string(&text, "}");
		assert_payload(text.data, text.length, depth > SCAN_DEPTH ? "not JSON" : "");
	}
}

static void a_name_that_is_too_long_is_left_out(void **state)
{
	char payload[256], expected[256];

	(void)state;
	snprintf(payload, sizeof(payload),
		"{\"%059d\":1,\"%060d\":2,\"%058d\":{\"\":3,\"a\":4},\"b\":5}", 0, 0, 0);
	snprintf(expected, sizeof(expected), "JSON_%059d=1\nJSON_%058d_=3\nJSON_B=5\n2 left out", 0,
		0);
	assert_fields(payload, expected);
	snprintf(payload, sizeof(payload), "{\"%060d\":{\"a\":{\"b\":2}},\"b\":5}", 0);
	assert_fields(payload, "JSON_B=5\n1 left out");
}

static void a_value_that_is_too_long_is_left_out(void **state)
{
	char payload[JOURNAL_VALUE_MAX + 100], expected[JOURNAL_VALUE_MAX + 100];

	(void)state;
	snprintf(payload, sizeof(payload), "{\"a\":\"%0*d\",\"b\":1}", JOURNAL_VALUE_MAX, 0);
	snprintf(expected, sizeof(expected), "JSON_A=%0*d\nJSON_B=1\n", JOURNAL_VALUE_MAX, 0);
	assert_fields(payload, expected);
	snprintf(payload, sizeof(payload), "{\"a\":\"%0*d\",\"b\":1}", JOURNAL_VALUE_MAX + 1, 0);
	assert_fields(payload, "JSON_B=1\n1 left out");
}

static void more_members_than_fields_are_left_out(void **state)
{
	AUTO_TEXT struct text payload = {0};
	struct journal_fields fields;
	AUTO_TEXT struct text text = {0};

	(void)state;
	for (unsigned i = 0; i < JOURNAL_FIELDS_MAX + 3; i++)
		text_printf(&payload, "%s\"n%u\":%u", i ? "," : "{", i, i);
	text_append_string(&payload, ",\"n0\":\"again\"}");
	assert_int_equal(journal_fields_read(&fields, &text, payload.data, payload.length), 0);
	assert_int_equal(fields.count, JOURNAL_FIELDS_MAX);
	assert_int_equal(fields.left_out, 3);
	assert_memory_equal(
		text.data + fields.items[0].start, "JSON_N0=again", fields.items[0].size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_member_is_a_field),
		cmocka_unit_test(numbers_and_arrays_are_as_they_stand_in_the_payload),
		cmocka_unit_test(a_string_is_without_its_escapes),
		cmocka_unit_test(members_of_members_have_both_names),
		cmocka_unit_test(a_name_has_capitals_digits_and_underscores),
		cmocka_unit_test(no_name_is_one_of_the_journal_or_of_the_daemon),
		cmocka_unit_test(of_two_members_of_one_name_the_later_one_counts),
		cmocka_unit_test(what_is_no_object_in_json_has_no_fields),
		cmocka_unit_test(nesting_has_a_bound),
		cmocka_unit_test(objects_within_objects_have_the_same_bound),
		cmocka_unit_test(a_name_that_is_too_long_is_left_out),
		cmocka_unit_test(a_value_that_is_too_long_is_left_out),
		cmocka_unit_test(more_members_than_fields_are_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
