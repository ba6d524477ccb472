/* One datagram as text, in each format. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/escape.h"
#include "data/account.h"
#include "formats/format.h"

/* 2025-11-24T19:33:19.123456789Z */
#define SOME_TIME 1764012799123456789ull
#define SOME_PREFIX "2025-11-24T19:33:19.123456789Z news 192.0.2.7:4000 eth0 "

static struct origin *some_origin(void)
{
	struct address group;
	struct origin *origin;

	assert_int_equal(address_parse("233.252.0.1", &group), 0);
	origin = origin_new("news", &group, 5004, "eth0", 2);
	assert_non_null(origin);
	return origin;
}

static struct datagram some_datagram(const char *source, const void *payload, size_t size)
{
	struct datagram datagram = {
		.payload = payload, .size = (uint32_t)size, .ttl = 3, .timestamp_ns = SOME_TIME};
	struct address address;

	assert_int_equal(address_parse(source, &address), 0);
	address_to_endpoint(&address, 4000, 0, &datagram.source);
	return datagram;
}

static void assert_format(
	enum format format, const void *payload, size_t size, const char *expected)
{
	struct datagram datagram = some_datagram("192.0.2.7", payload, size);
	struct origin *origin = some_origin();
	struct text text = {0};

	format_datagram(&text, format, NULL, origin, &datagram);
	assert_string_equal(text_string(&text), expected);
	text_free(&text);
	origin_unref(origin);
}

static void line_has_the_fields_in_their_order(void **state)
{
	(void)state;
	assert_format(FORMAT_LINE, "hello", 5, SOME_PREFIX "5 hello\n");
}

static void line_of_an_empty_payload_ends_after_the_size(void **state)
{
	(void)state;
	assert_format(FORMAT_LINE, "", 0, SOME_PREFIX "0 \n");
}

static void line_stays_one_line(void **state)
{
	(void)state;
	assert_format(
		FORMAT_LINE, "a\nMESSAGE=x\033[2J", 15, SOME_PREFIX "15 a\\nMESSAGE=x\\x1b[2J\n");
}

static void hex_has_the_same_prefix(void **state)
{
	(void)state;
	assert_format(FORMAT_HEX, "\0\xff", 2, SOME_PREFIX "2 00ff\n");
}

static void raw_is_the_payload_alone(void **state)
{
	(void)state;
	assert_format(FORMAT_RAW, "a\n\xff", 3, "a\n\xff");
	assert_format(FORMAT_RAW, "", 0, "");
}

#define SOME_FIELDS                                                                      \
	"{\"group\":\"news\",\"address\":\"233.252.0.1\",\"port\":5004,"                 \
	"\"source\":\"192.0.2.7\",\"sourcePort\":4000,\"interface\":\"eth0\",\"ttl\":3," \
	"\"timestamp\":\"2025-11-24T19:33:19.123456789Z\","

static void json_has_text_where_the_payload_is_utf8(void **state)
{
	(void)state;
	assert_format(FORMAT_JSON, "hi \"you\"\n", 9,
		SOME_FIELDS "\"size\":9,\"text\":\"hi \\\"you\\\"\\n\"}\n");
	assert_format(FORMAT_JSON, "", 0, SOME_FIELDS "\"size\":0,\"text\":\"\"}\n");
}

static void json_has_base64_where_it_is_not(void **state)
{
	(void)state;
	assert_format(FORMAT_JSON, "a\xff", 2, SOME_FIELDS "\"size\":2,\"base64\":\"Yf8=\"}\n");
}

static void json_object_alone_has_no_line_feed(void **state)
{
	struct datagram datagram = some_datagram("192.0.2.7", "x", 1);
	struct origin *origin = some_origin();
	struct text text = {0};

	(void)state;
	format_json(&text, NULL, origin, &datagram);
	assert_string_equal(text_string(&text), SOME_FIELDS "\"size\":1,\"text\":\"x\"}");
	text_free(&text);
	origin_unref(origin);
}

static void every_field_is_in_the_interface_description(void **state)
{
	static const char description[] =
#include "control/io.mcastd.varlink.h"
		;
	static const char *const types[] = {"string", "int", "?bool"};
	const char *type = strstr(description, "\ntype Datagram (");
	char expected[100];

	(void)state;
	assert_non_null(type);
	for (size_t i = 0; i < FIELDS; i++) {
		snprintf(expected, sizeof(expected), "\n  %s: %s,", field_infos[i].name,
			types[field_infos[i].type]);
		type = strstr(type, expected);
		if (!type)
			fail_msg("type Datagram has no \"%s: ...\" in its place",
				field_infos[i].name);
	}
	assert_non_null(strstr(type, "\n  text: ?string,\n  base64: ?string\n)"));
}

static void interfaces_are_escaped_in_every_format(void **state)
{
	struct datagram datagram = some_datagram("192.0.2.7", "x", 1);
	struct text text = {0};
	struct address group;
	struct origin *origin;

	(void)state;
	assert_int_equal(address_parse("233.252.0.1", &group), 0);
	origin = origin_new("news", &group, 5004, "e\x1b\xff", 2);
	format_datagram(&text, FORMAT_LINE, NULL, origin, &datagram);
	assert_non_null(strstr(text_string(&text), " 192.0.2.7:4000 e\\x1b\\xff 1 x\n"));
	format_datagram(&text, FORMAT_JSON, NULL, origin, &datagram);
	assert_non_null(strstr(text_string(&text), "\"interface\":\"e\\u001b\\ufffd\","));
	text_free(&text);
	origin_unref(origin);
}

static void v6_sources_stand_in_brackets(void **state)
{
	struct datagram datagram = some_datagram("2001:db8::7", "x", 1);
	struct origin *origin = some_origin();
	struct text text = {0};

	(void)state;
	format_datagram(&text, FORMAT_LINE, NULL, origin, &datagram);
	assert_non_null(strstr(text_string(&text), " news [2001:db8::7]:4000 eth0 1 x\n"));
	text_free(&text);
	origin_unref(origin);
}

static void unknown_sources_are_a_dash(void **state)
{
	struct datagram datagram = {.payload = (const uint8_t *)"x", .size = 1};
	struct origin *origin = some_origin();
	struct text text = {0};

	(void)state;
	format_datagram(&text, FORMAT_LINE, NULL, origin, &datagram);
	assert_string_equal(text_string(&text), "1970-01-01T00:00:00.000000000Z news - eth0 1 x\n");
	text_free(&text);
	origin_unref(origin);
}

static void assert_event(enum format format, const char *expected)
{
	struct datagram datagram = {.payload = (const uint8_t *)"{}", .size = 2, .ttl = 64};
	struct origin *origin = origin_new("events", &(struct address){0}, 0, "", 0);
	struct text text = {0};

	format_datagram(&text, format, NULL, origin, &datagram);
	assert_string_equal(text_string(&text), expected);
	text_free(&text);
	origin_unref(origin);
}

static void events_have_no_address_and_no_interface(void **state)
{
	(void)state;
	assert_event(FORMAT_LINE, "1970-01-01T00:00:00.000000000Z events - - 2 {}\n");
	assert_event(FORMAT_JSON,
		"{\"group\":\"events\",\"address\":\"\",\"port\":0,\"source\":\"\","
		"\"sourcePort\":0,\"interface\":\"\",\"ttl\":64,"
		"\"timestamp\":\"1970-01-01T00:00:00.000000000Z\",\"size\":2,\"text\":\"{}\"}\n");
}

static void the_message_of_an_event_is_its_payload(void **state)
{
	struct datagram datagram = {.payload = (const uint8_t *)"{}", .size = 2};
	struct origin *origin = origin_new("events", &(struct address){0}, 0, "", 0);
	struct text text = {0};

	(void)state;
	format_message(&text, origin, &datagram, 512);
	assert_string_equal(text_string(&text), "events: {}");
	text_free(&text);
	origin_unref(origin);
}

static void records_are_appended(void **state)
{
	struct datagram datagram = some_datagram("192.0.2.7", "x", 1);
	struct origin *origin = some_origin();
	struct text text = {0};

	(void)state;
	format_datagram(&text, FORMAT_LINE, NULL, origin, &datagram);
	format_datagram(&text, FORMAT_RAW, NULL, origin, &datagram);
	assert_string_equal(text_string(&text), SOME_PREFIX "1 x\nx");
	text_free(&text);
	origin_unref(origin);
}

/* In whatever order they come, what is kept from one to the next is what would be written anew. */
static void what_is_returned_of_other_datagrams_changes_no_record(void **state)
{
	static const char *const sources[] = {"192.0.2.7", "192.0.2.8", "2001:db8::7"};
	static const uint64_t times[] = {0, 1, 999999999, 1000000000, SOME_TIME, SOME_TIME + 1};
	struct origin *origin = some_origin();

	(void)state;
	for (enum format format = FORMAT_LINE; format <= FORMAT_RAW; format++) {
		struct format_head head = {0};
		unsigned seed = 1;

		for (unsigned i = 0; i < 2000; i++) {
			unsigned chance = (seed = seed * 1103515245 + 12345) >> 16;
			struct datagram datagram = some_datagram(
				sources[chance % 3], "hello", chance / 3 % 6);
			struct text kept = {0}, fresh = {0};

			datagram.ttl = (uint8_t)(chance / 18 % 2);
			datagram.timestamp_ns = times[chance / 36 % 6];
			format_datagram(&kept, format, &head, origin, &datagram);
			format_datagram(&fresh, format, NULL, origin, &datagram);
			assert_string_equal(text_string(&kept), text_string(&fresh));
			text_free(&kept);
			text_free(&fresh);
		}
	}
	origin_unref(origin);
}

static void largest_datagram_is_formatted_whole(void **state)
{
	static uint8_t payload[DATAGRAM_MAX];
	struct datagram datagram = some_datagram("192.0.2.7", payload, sizeof(payload));
	struct origin *origin = some_origin();
	struct text text = {0};

	(void)state;
	payload[sizeof(payload) - 1] = 0xab;
	format_datagram(&text, FORMAT_HEX, NULL, origin, &datagram);
	assert_int_equal(text.length, strlen(SOME_PREFIX "65507 \n") + 2 * DATAGRAM_MAX);
	assert_string_equal(text_string(&text) + text.length - 5, "00ab\n");
	text_free(&text);
	origin_unref(origin);
}

static void message_shows_no_more_than_asked_for(void **state)
{
	struct datagram datagram = some_datagram("192.0.2.7", "hello\nworld", 11);
	struct origin *origin = some_origin();
	struct text text = {0};

	(void)state;
	format_message(&text, origin, &datagram, 6);
	assert_string_equal(
		text_string(&text), "news: 11 bytes from 192.0.2.7:4000 on eth0: hello\\n...");
	text_clear(&text);
	format_message(&text, origin, &datagram, 11);
	assert_string_equal(
		text_string(&text), "news: 11 bytes from 192.0.2.7:4000 on eth0: hello\\nworld");
	text_free(&text);
	origin_unref(origin);
}

static void formats_ask_only_for_what_they_show(void **state)
{
	(void)state;
	assert_int_equal(format_needs(FORMAT_RAW), 0);
	assert_int_equal(format_needs(FORMAT_LINE), NEED_SOURCE | NEED_TIMESTAMP);
	assert_int_equal(format_needs(FORMAT_HEX), NEED_SOURCE | NEED_TIMESTAMP);
	assert_int_equal(format_needs(FORMAT_JSON), NEED_ALL);
}

static void format_names_are_in_the_order_of_the_enum(void **state)
{
	(void)state;
	assert_string_equal(format_names[FORMAT_LINE], "line");
	assert_string_equal(format_names[FORMAT_JSON], "json");
	assert_string_equal(format_names[FORMAT_HEX], "hex");
	assert_string_equal(format_names[FORMAT_RAW], "raw");
	assert_null(format_names[FORMAT_RAW + 1]);
}

static void origins_live_as_long_as_their_last_reference(void **state)
{
	struct origin *origin = some_origin();

	(void)state;
	assert_ptr_equal(origin_ref(origin), origin);
	origin_unref(origin);
	assert_string_equal(origin->group, "news");
	assert_string_equal(origin->address, "233.252.0.1");
	origin_unref(origin);
	origin_unref(NULL);
}

static void accounts_balance_only_when_every_datagram_is_somewhere(void **state)
{
	struct account account = {.received = 10, .filtered = 1, .queued = 2};

	(void)state;
	account.outcome.delivered = 4;
	account.outcome.dropped[DROP_QUEUE] = 2;
	assert_false(account_balances(&account));
	account.outcome.dropped[DROP_SHUTDOWN] = 1;
	assert_true(account_balances(&account));
	account.queued++;
	assert_false(account_balances(&account));
}

static void outcomes_add_up_reason_by_reason(void **state)
{
	struct outcome total = {.delivered = 1, .dropped = {[DROP_IO] = 2}};
	struct outcome more = {.delivered = 10, .dropped = {[DROP_IO] = 20, [DROP_SIZE] = 30}};

	(void)state;
	outcome_add(&total, &more);
	assert_int_equal(total.delivered, 11);
	assert_int_equal(total.dropped[DROP_IO], 22);
	assert_int_equal(total.dropped[DROP_SIZE], 30);
	assert_int_equal(outcome_total(&total), 63);
}

static void every_drop_reason_has_a_name(void **state)
{
	(void)state;
	for (int i = 0; i < DROP_REASONS; i++) {
		assert_non_null(drop_reason_name((enum drop_reason)i));
		for (int j = 0; j < i; j++)
			assert_string_not_equal(drop_reason_name((enum drop_reason)i),
				drop_reason_name((enum drop_reason)j));
	}
	assert_string_equal(drop_reason_name(DROP_QUEUE), "queue");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_has_the_fields_in_their_order),
		cmocka_unit_test(line_of_an_empty_payload_ends_after_the_size),
		cmocka_unit_test(line_stays_one_line),
		cmocka_unit_test(hex_has_the_same_prefix),
		cmocka_unit_test(raw_is_the_payload_alone),
		cmocka_unit_test(json_has_text_where_the_payload_is_utf8),
		cmocka_unit_test(json_has_base64_where_it_is_not),
		cmocka_unit_test(json_object_alone_has_no_line_feed),
		cmocka_unit_test(every_field_is_in_the_interface_description),
		cmocka_unit_test(interfaces_are_escaped_in_every_format),
		cmocka_unit_test(v6_sources_stand_in_brackets),
		cmocka_unit_test(unknown_sources_are_a_dash),
		cmocka_unit_test(events_have_no_address_and_no_interface),
		cmocka_unit_test(the_message_of_an_event_is_its_payload),
		cmocka_unit_test(records_are_appended),
		cmocka_unit_test(what_is_returned_of_other_datagrams_changes_no_record),
		cmocka_unit_test(largest_datagram_is_formatted_whole),
		cmocka_unit_test(message_shows_no_more_than_asked_for),
		cmocka_unit_test(formats_ask_only_for_what_they_show),
		cmocka_unit_test(format_names_are_in_the_order_of_the_enum),
		cmocka_unit_test(origins_live_as_long_as_their_last_reference),
		cmocka_unit_test(accounts_balance_only_when_every_datagram_is_somewhere),
		cmocka_unit_test(outcomes_add_up_reason_by_reason),
		cmocka_unit_test(every_drop_reason_has_a_name),
	};

	return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
