/* "mcastctl tail" shows a datagram as the daemon's own recorders do. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "ctl/record.h"

static struct origin *some_origin(const char *group_address)
{
	struct address address;
	struct origin *origin;

	assert_int_equal(address_parse(group_address, &address), 0);
	origin = origin_new("news", &address, 5004, "eth0", 2);
	assert_non_null(origin);
	return origin;
}

/* The JSON of a datagram, through record_append(), is what format_datagram() makes of the datagram.
 */
static void assert_same_records(const char *source, const void *payload, size_t size)
{
	struct datagram datagram = {.payload = payload,
		.size = (uint32_t)size,
		.ttl = 3,
		.timestamp_ns = 1764012799123456789ull};
	struct origin *origin = some_origin("233.252.0.1");
	struct text json = {0};
	struct address address;
	json_t *value;

	if (source) {
		assert_int_equal(address_parse(source, &address), 0);
		address_to_endpoint(&address, 4000, 0, &datagram.source);
	}
	format_json(&json, origin, &datagram);
	value = json_loadb(json.data, json.length, JSON_ALLOW_NUL, NULL);
	assert_non_null(value);
	for (size_t i = 0; format_names[i]; i++) {
		struct text expected = {0}, shown = {0};
		enum format format;

		assert_int_equal(format_parse(format_names[i], &format), 0);
		format_datagram(&expected, (enum format)i, origin, &datagram);
		assert_int_equal(record_append(&shown, format, value), 0);
		assert_int_equal(shown.length, expected.length);
		if (shown.length)
			assert_memory_equal(shown.data, expected.data, shown.length);
		text_free(&expected);
		text_free(&shown);
	}
	json_decref(value);
	text_free(&json);
	origin_unref(origin);
}

static void all_formats_are_those_of_the_daemon(void **state)
{
	(void)state;
	assert_same_records("192.0.2.7", "hello", 5);
	assert_same_records("2001:db8::7", "hello", 5);
	assert_same_records("192.0.2.7", "", 0);
	assert_same_records(NULL, "hello", 5);
}

static void payloads_stay_exact(void **state)
{
	uint8_t bytes[256];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	assert_same_records("192.0.2.7", bytes, 128);
	assert_same_records("192.0.2.7", bytes, sizeof(bytes));
	assert_same_records("192.0.2.7", "a\0b\n\x1b[31m\\\"", 11);
	assert_same_records("192.0.2.7", "h\xc3\xa9llo \xe2\x80\xae \xf0\x9f\x98\x80", 15);
	assert_same_records("192.0.2.7", "\xff", 1);
}

#define SOME_FIELDS                                                                        \
	"'group':'a\\nb\\u001b','address':'233.252.0.1','port':5004,'source':'192.0.2.7'," \
	"'sourcePort':4000,'interface':'eth0','ttl':1,'timestamp':'T','size':2"

/* Apostrophes stand for quotes. */
static json_t *parse(const char *json)
{
	char copy[512];
	json_t *value;
	size_t i;

	for (i = 0; json[i]; i++)
		copy[i] = json[i] == '\'' ? '"' : json[i];
	value = json_loadb(copy, i, JSON_DECODE_ANY, NULL);
	assert_non_null(value);
	return value;
}

static void no_field_gets_through_unescaped(void **state)
{
	json_t *value = parse("{" SOME_FIELDS ",'text':'x\\u009by'}");
	struct text text = {0};

	(void)state;
	assert_int_equal(record_append(&text, FORMAT_LINE, value), 0);
	assert_string_equal(
		text_string(&text), "T a\\nb\\x1b 192.0.2.7:4000 eth0 2 x\\xc2\\x9by\n");
	json_decref(value);
	text_free(&text);
}

static void assert_no_datagram(const char *json, enum format format)
{
	json_t *value = parse(json);
	struct text text = {0};

	text_append_string(&text, "before");
	assert_int_equal(record_append(&text, format, value), -EBADMSG);
	assert_string_equal(text_string(&text), "before");
	json_decref(value);
	text_free(&text);
}

static void what_is_no_datagram_appends_nothing(void **state)
{
	(void)state;
	assert_no_datagram("[]", FORMAT_JSON);
	assert_no_datagram("{" SOME_FIELDS "}", FORMAT_RAW);
	assert_no_datagram("{" SOME_FIELDS ",'base64':'abc'}", FORMAT_RAW);
	assert_no_datagram("{" SOME_FIELDS ",'base64':7}", FORMAT_HEX);
	assert_no_datagram("{'text':'x'}", FORMAT_LINE);
	assert_no_datagram("{'group':'a','text':'x'}", FORMAT_HEX);
}

static void fields_that_only_one_side_knows_do_no_harm(void **state)
{
	json_t *newer = parse("{" SOME_FIELDS ",'sequence':7,'text':'x'}"), *older;
	struct text text = {0};

	(void)state;
	assert_int_equal(record_append(&text, FORMAT_JSON, newer), 0);
	assert_non_null(strstr(text_string(&text), ",\"sequence\":7,\"text\":\"x\"}\n"));
	older = parse("{'timestamp':'T','group':'g','source':'-','interface':'i','text':'x'}");
	text_clear(&text);
	assert_int_equal(record_append(&text, FORMAT_LINE, older), 0);
	assert_string_equal(text_string(&text), "T g - i 0 x\n");
	json_decref(newer);
	json_decref(older);
	text_free(&text);
}

static void unknown_formats_are_refused(void **state)
{
	enum format format;

	(void)state;
	assert_int_equal(format_parse("pcap", &format), -EINVAL);
	assert_int_equal(format_parse("", &format), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_formats_are_those_of_the_daemon),
		cmocka_unit_test(payloads_stay_exact),
		cmocka_unit_test(no_field_gets_through_unescaped),
		cmocka_unit_test(what_is_no_datagram_appends_nothing),
		cmocka_unit_test(fields_that_only_one_side_knows_do_no_harm),
		cmocka_unit_test(unknown_formats_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
