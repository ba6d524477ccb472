/* Messages of clients as trees of JSON: bounded, and with memory that suffices for jansson. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "control/request.h"

static size_t taken;

static void *count_memory(size_t size)
{
	taken += (size + 15) & ~(size_t)15;
	return malloc(size);
}

/* What jansson takes in all to read a message, which need not be right. */
static size_t memory_of(const struct text *message)
{
	taken = 0;
	json_set_alloc_funcs(count_memory, free);
	json_decref(json_loadb(
		message->data, message->length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL));
	return taken;
}

static void assert_memory_suffices(struct text *message)
{
	struct request_cost cost = request_estimate(message->data, message->length);

	assert_false(text_failed(message));
	assert_true(cost.values <= VALUES_MAX && cost.depth <= DEPTH_MAX);
	assert_in_range(memory_of(message), 1, cost.memory);
	text_free(message);
}

/* An array of so many. */
static void repeat(struct text *text, const char *element, unsigned count)
{
	text_append_string(text, "[");
	for (unsigned i = 0; i < count; i++) {
		text_append_string(text, i ? "," : "");
		text_append_string(text, element);
	}
	text_append_string(text, "]");
}

static void test_the_memory_suffices_for_many_values(void **state)
{
	static const char *const elements[] = {"{}", "[]", "{\"\":{\"\":1}}", "\"\"", "\"a\"", "1",
		"-1.5e3", "null", "\"\\u0000\"", "{\"a\":{},\"b\":[],\"c\":\"\"}", "[[[[{}]]]]"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(elements); i++)
		for (unsigned count = 0; count < 500; count = count * 2 + 1) {
			struct text message = {0};

			repeat(&message, elements[i], count);
			assert_memory_suffices(&message);
		}
}

static void test_the_memory_suffices_for_objects_of_any_size(void **state)
{
	(void)state;
	for (unsigned count = 0; count < VALUES_MAX / 3; count = count * 2 + 1) {
		struct text message = {0};

		text_append_string(&message, "{");
		for (unsigned i = 0; i < count; i++)
			text_printf(&message, "%s\"%u\":{}", i ? "," : "", i);
		text_append_string(&message, "}");
		assert_memory_suffices(&message);
	}
}

static void test_the_memory_suffices_for_strings_of_any_length(void **state)
{
	static const char *const forms[] = {"\"%s\"", "{\"%s\":1}", "%s", "\"%s", "\"\\u%s\""};
	char digits[70000];

	(void)state;
	memset(digits, '1', sizeof(digits));
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
		for (unsigned length = 1; length < sizeof(digits);
			length = length * 2 - length / 3) {
			struct text message = {0};

			digits[length] = '\0';
			text_printf(&message, forms[i], digits);
			digits[length] = '1';
			assert_memory_suffices(&message);
		}
}

static void test_strings_do_not_count_as_values(void **state)
{
	static const char example[] = "{\"a,:[{\\\"[\":[\"{{\"]}";
	struct request_cost cost;

	(void)state;
	cost = request_estimate(example, strlen(example));
	assert_int_equal(cost.values, 3);
	assert_int_equal(cost.depth, 2);
}

static void assert_refused(struct text *message, const char *expected)
{
	char why[WHY_MAX];

	assert_false(text_failed(message));
	assert_null(request_read(message->data, message->length, why));
	assert_non_null(strstr(why, expected));
	text_free(message);
}

static void test_more_values_than_the_bound_are_refused(void **state)
{
	struct text values = {0}, depth = {0};

	(void)state;
	repeat(&values, "1", VALUES_MAX + 1);
	assert_refused(&values, "at most 4096 values and names");
	for (int i = 0; i <= DEPTH_MAX; i++)
		text_append_string(&depth, "[");
	assert_refused(&depth, "at a depth of at most 32");
}

static void test_what_is_no_object_is_refused(void **state)
{
	struct text array = {0}, wrong = {0};

	(void)state;
	text_append_string(&array, "[1]");
	assert_refused(&array, "a message must be a JSON object");
	text_append_string(&wrong, "{\"a\":1,\"a\":2}");
	assert_refused(&wrong, "duplicate object key");
}

static void test_a_tree_of_another_allocator_may_be_freed_meanwhile(void **state)
{
	static const char message[] = "{\"method\":\"io.mcastd.GetStatus\"}";
	char why[WHY_MAX];
	json_t *other, *request;

	(void)state;
	other = json_string("made before");
	request = request_read(message, strlen(message), why);
	assert_string_equal(
		json_string_value(json_object_get(request, "method")), "io.mcastd.GetStatus");
	json_decref(other);
	request_free(request);
	request_free(NULL);
}

static void *dump_json(void *argument)
{
	json_t *json = json_pack("{ss}", "of", "an engine");
	char *text = json_dumps(json, 0);

	(void)argument;
	json_decref(json);
	return text;
}

static void test_another_thread_has_the_memory_of_the_heap(void **state)
{
	static const char message[] = "{\"method\":\"io.mcastd.GetStatus\"}";
	char why[WHY_MAX];
	json_t *request = request_read(message, strlen(message), why);
	pthread_t thread;
	void *text;

	(void)state;
	assert_non_null(request);
	assert_int_equal(pthread_create(&thread, NULL, dump_json, NULL), 0);
	assert_int_equal(pthread_join(thread, &text), 0);
	request_free(request);
	assert_string_equal(text, "{\"of\": \"an engine\"}");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_memory_suffices_for_many_values),
		cmocka_unit_test(test_the_memory_suffices_for_objects_of_any_size),
		cmocka_unit_test(test_the_memory_suffices_for_strings_of_any_length),
		cmocka_unit_test(test_strings_do_not_count_as_values),
		cmocka_unit_test(test_more_values_than_the_bound_are_refused),
		cmocka_unit_test(test_what_is_no_object_is_refused),
		cmocka_unit_test(test_another_thread_has_the_memory_of_the_heap),
		cmocka_unit_test(test_a_tree_of_another_allocator_may_be_freed_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
