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

/* As "mcastctl tail --format FORMAT" does. */
static int show(struct text *text, const char *format, const json_t *value)
{
	AUTO_RECORD struct record record = {0};
	struct printer printer = {.program = "mcastctl"};
	int r;

	assert_int_equal(printer_set_format(&printer, format), 0);
	r = record_read(value, &record);
	if (r == 0)
		r = record_append(text, &printer, &record);
	printer_clear(&printer);
	return r;
}

/* The JSON of a datagram, through record_append(), is what printer_append() makes of the datagram.
 */
static void assert_same_records(const char *source, const void *payload, size_t size)
{
	struct datagram datagram = {.payload = payload,
		.size = (uint32_t)size,
		.ttl = 3,
		.timestamp_ns = 1764012799123456789ull};
	struct origin *origin = some_origin("233.252.0.1");
	static const char *const formats[] = {"line", "json", "hex", "raw", "pcapng"};
	struct text json = {0};
	struct address address;
	json_t *value;

	if (source) {
		assert_int_equal(address_parse(source, &address), 0);
		address_to_endpoint(&address, 4000, 0, &datagram.source);
	}
	format_json(&json, NULL, origin, &datagram);
	value = json_loadb(json.data, json.length, JSON_ALLOW_NUL, NULL);
	assert_non_null(value);
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct text expected = {0}, shown = {0};
		struct printer printer = {.program = "mcastctl"};

		assert_int_equal(printer_set_format(&printer, formats[i]), 0);
		printer_append(&printer, &expected, origin, &datagram);
		assert_int_equal(show(&shown, formats[i], value), 0);
		printer_clear(&printer);
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
	assert_int_equal(show(&text, "line", value), 0);
	assert_string_equal(
		text_string(&text), "T a\\nb\\x1b 192.0.2.7:4000 eth0 2 x\\xc2\\x9by\n");
	json_decref(value);
	text_free(&text);
}

static void assert_no_datagram(const char *json, const char *format)
{
	json_t *value = parse(json);
	struct text text = {0};

	text_append_string(&text, "before");
	assert_int_equal(show(&text, format, value), -EBADMSG);
	assert_string_equal(text_string(&text), "before");
	json_decref(value);
	text_free(&text);
}

static void what_is_no_datagram_appends_nothing(void **state)
{
	(void)state;
	assert_no_datagram("[]", "json");
	assert_no_datagram("{" SOME_FIELDS "}", "raw");
	assert_no_datagram("{" SOME_FIELDS ",'base64':'abc'}", "raw");
	assert_no_datagram("{" SOME_FIELDS ",'base64':7}", "hex");
	assert_no_datagram("{'text':'x'}", "line");
	assert_no_datagram("{'group':'a','text':'x'}", "hex");
	assert_no_datagram("{" SOME_FIELDS ",'text':'x'}", "pcapng"); /* no time */
}

static void fields_that_only_one_side_knows_do_no_harm(void **state)
{
	json_t *newer = parse("{" SOME_FIELDS ",'sequence':7,'text':'x'}"), *older;
	struct text text = {0};

	(void)state;
	assert_int_equal(show(&text, "json", newer), 0);
	assert_non_null(strstr(text_string(&text), ",\"sequence\":7,\"text\":\"x\"}\n"));
	older = parse("{'timestamp':'T','group':'g','source':'-','interface':'i','text':'x'}");
	text_clear(&text);
	assert_int_equal(show(&text, "line", older), 0);
	assert_string_equal(text_string(&text), "T g - i 0 x\n");
	json_decref(newer);
	json_decref(older);
	text_free(&text);
}

static void unknown_formats_are_refused(void **state)
{
	struct printer printer = {0};

	(void)state;
	assert_int_equal(printer_set_format(&printer, "pcap"), -EINVAL);
	assert_int_equal(printer_set_format(&printer, ""), -EINVAL);
}

static void a_datagram_that_is_larger_than_any_is_refused(void **state)
{
	AUTO_RECORD struct record record = {0};
	char *payload = malloc(DATAGRAM_MAX + 2);
	json_t *value = parse("{" SOME_FIELDS "}");

	(void)state;
	memset(payload, 'x', DATAGRAM_MAX + 1);
	payload[DATAGRAM_MAX + 1] = '\0';
	json_object_set_new(value, "text", json_string(payload));
	assert_int_equal(record_read(value, &record), -EBADMSG);
	json_decref(value);
	free(payload);
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
		cmocka_unit_test(a_datagram_that_is_larger_than_any_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
