/* The plain form of a Send: what it takes, it takes as jansson does, and everything else it leaves
 * to that. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "control/quick_send.h"

static bool read_string(const char *message, struct quick_send *ret)
{
	return quick_send_read(message, strlen(message), ret);
}

static void assert_text(const struct scanned *text, const char *expected)
{
	assert_non_null(text->data);
	assert_int_equal(text->size, strlen(expected));
	assert_memory_equal(text->data, expected, text->size);
}

static void test_the_plain_forms_are_read(void **state)
{
	static const char *const messages[] = {
		"{\"method\":\"io.mcastd.Send\",\"parameters\":{\"group\":\"news\",\"text\":\"hi\"}"
		"}",
		" { \"parameters\" :\t{ \"text\" : \"hi\" ,\n \"group\" : \"news\" } , \"method\" "
		": \"io.mcastd.Send\" }\r\n",
	};
	struct quick_send send;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(messages); i++) {
		assert_true(read_string(messages[i], &send));
		assert_text(&send.group, "news");
		assert_text(&send.text, "hi");
		assert_null(send.base64.data);
	}
	assert_true(read_string(
		"{\"method\":\"io.mcastd.Send\",\"parameters\":{\"group\":\"g\",\"base64\":\"\"}}",
		&send));
	assert_text(&send.base64, "");
	assert_true(read_string("{\"method\":\"io.mcastd.Send\",\"parameters\":{\"group\":\"g\","
				"\"text\":\"Gr\u00fc\u00dfe\"}}",
		&send));
	assert_text(&send.text, "Gr\u00fc\u00dfe");
}

static void test_whatever_else_there_is_is_left_alone(void **state)
{
	static const char *const messages[] = {
		"",
		"{",
		"{}",
		"[]",
		"x",
		"\"",
		"{\"",
		"{\"method\"",
		"{\"method\":",
		"{\"method\":\"",
		"{\"method\":\"io.mcastd.Send\"}",
		"{\"method\":\"io.mcastd.Send2\",\"parameters\":{\"group\":\"g\",\"text\":\"x\"}}",
		"{\"method\":\"io.mcastd.Send\",\"parameters\":{\"group\":\"g\"}}",
		"{\"method\":\"io.mcastd.Send\",\"parameters\":{\"text\":\"x\"}}",
		"{\"method\":\"io.mcastd.Send\",\"parameters\":{\"group\":\"g\",\"text\":\"x\","
		"\"base64\":\"\"}}",
		"{\"method\":\"io.mcastd.Send\",\"parameters\":{\"group\":\"g\",\"text\":\"x\","
		"\"ttl\":1}}",
		"{\"method\":\"io.mcastd.Send\",\"parameters\":{\"group\":\"g\",\"text\":\"x\","
		"\"text\":\"x\"}}",
		"{\"method\":\"io.mcastd.Send\",\"parameters\":{\"group\":\"g\",\"text\":\"\","
		"\"text\":\"\"}}",
		"{\"method\":\"io.mcastd.Send\",\"parameters\":{\"group\":\"g\",\"text\":null}}",
		"{\"method\":\"io.mcastd.Send\",\"parameters\":{\"group\":\"g\",\"text\":\"\\n\"}}",
		"{\"method\":\"io.mcastd.Send\",\"parameters\":{\"group\":\"g\",\"text\":\"\n\"}}",
		"{\"method\":\"io.mcastd.Send\",\"parameters\":{\"group\":\"g\",\"text\":\"\xff\"}"
		"}",
		"{\"method\":\"io.mcastd.Send\",\"parameters\":{\"group\":\"g\",\"text\":\"x\"},}",
		"{\"method\":\"io.mcastd.Send\",\"parameters\":{\"group\":\"g\",\"text\":\"x\",}}",
		"{\"method\":\"io.mcastd.Send\",\"parameters\":{\"group\":\"g\",\"text\":\"x\"}} x",
		"{\"method\":\"io.mcastd.Send\",\"parameters\":{\"group\":\"g\",\"text\":\"x\"}",
		"{\"method\":\"io.mcastd.Send\",\"oneway\":true,\"parameters\":{\"group\":\"g\","
		"\"text\":\"x\"}}",
		"{\"method\":\"io.mcastd.Send\",\"parameters\":{},\"parameters\":{\"group\":\"g\","
		"\"text\":\"x\"}}",
	};
	struct quick_send send;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(messages); i++)
		assert_false(read_string(messages[i], &send));
}

/* Changes a good message at random: what is still taken must be what jansson reads. */
static void test_what_is_taken_is_what_jansson_reads(void **state)
{
	static const char good[] = "{\"method\":\"io.mcastd.Send\", "
				   "\"parameters\":{\"group\":\"news\",\"text\":\"a\xc3\xbc\"} }";
	static const char bytes[] = "\"\\{}[]:, \t\n\x01\x7f\x80\xc3\xbcxt0";
	unsigned seed = 1, taken = 0;

	(void)state;
	for (unsigned round = 0; round < 200000; round++) {
		char message[sizeof(good)];
		struct quick_send send;
		json_t *request, *parameters, *group, *text;

		memcpy(message, good, sizeof(good));
		seed = seed * 1103515245 + 12345;
		for (unsigned changes = seed >> 16 & 3; changes; changes--) {
			seed = seed * 1103515245 + 12345;
			message[(seed >> 8) % (sizeof(good) - 1)] =
				bytes[(seed >> 20) % (sizeof(bytes) - 1)];
		}
		if (!quick_send_read(message, sizeof(good) - 1, &send))
			continue;
		taken++;
		request = json_loadb(
			message, sizeof(good) - 1, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
		assert_non_null(request);
		parameters = json_object_get(request, "parameters");
		text = json_object_get(parameters, "text");
		assert_int_equal(json_object_size(request), 2);
		assert_int_equal(json_object_size(parameters), 2);
		assert_int_equal(json_string_length(text), send.text.size);
		assert_memory_equal(json_string_value(text), send.text.data, send.text.size);
		group = json_object_get(parameters, "group");
		assert_int_equal(json_string_length(group), send.group.size);
		assert_memory_equal(json_string_value(group), send.group.data, send.group.size);
		json_decref(request);
	}
	assert_true(taken > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_plain_forms_are_read),
		cmocka_unit_test(test_whatever_else_there_is_is_left_alone),
		cmocka_unit_test(test_what_is_taken_is_what_jansson_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
