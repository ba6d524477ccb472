/* Notices: the JSON of each kind, what their limits hold for, and copies. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "data/notice.h"

#define TIMESTAMP_NS 1000000000ull
#define TIMESTAMP "\"timestamp\":\"1970-01-01T00:00:01.000000000Z\""

static void assert_json(const struct notice *notice, const char *json)
{
	AUTO_TEXT struct text text = {0};

	notice_append_json(&text, notice, TIMESTAMP_NS);
	assert_string_equal(text_string(&text), json);
}

static void a_membership_has_its_state_and_the_reason(void **state)
{
	(void)state;
	assert_json(&(struct notice){.kind = NOTICE_MEMBERSHIP,
			    .group = "news",
			    .interface = "eth0",
			    .detail = "waiting",
			    .why = "the interface is down"},
		"{\"event\":\"membership\",\"group\":\"news\",\"interface\":\"eth0\",\"count\":"
		"1," TIMESTAMP ",\"membership\":\"waiting\",\"why\":\"the interface is down\"}");
}

static void a_ring_has_the_address_the_handler_and_the_datagrams(void **state)
{
	struct address source;

	(void)state;
	assert_int_equal(address_parse("192.0.2.7", &source), 0);
	assert_json(&(struct notice){.kind = NOTICE_RELAY_LOOP,
			    .group = "news",
			    .interface = "eth0",
			    .handler = "news.relay",
			    .source = &source,
			    .count = 64},
		"{\"event\":\"relayLoop\",\"group\":\"news\",\"source\":\"192.0.2.7\","
		"\"interface\":\"eth0\",\"count\":64," TIMESTAMP ",\"handler\":\"news.relay\"}");
}

static void a_network_that_is_there_twice_has_both_interfaces(void **state)
{
	(void)state;
	assert_json(&(struct notice){.kind = NOTICE_SAME_NETWORK_TWICE,
			    .state = NOTICE_BEGIN,
			    .group = "news",
			    .interface = "eth0",
			    .other_interface = "wlan0"},
		"{\"event\":\"sameNetworkTwice\",\"state\":\"begin\",\"group\":\"news\","
		"\"interface\":\"eth0\",\"count\":1," TIMESTAMP ",\"otherInterface\":\"wlan0\"}");
}

static void silence_has_its_duration(void **state)
{
	(void)state;
	assert_json(&(struct notice){.kind = NOTICE_SILENCE,
			    .state = NOTICE_END,
			    .group = "news",
			    .nanoseconds = 5010999999},
		"{\"event\":\"silence\",\"state\":\"end\",\"group\":\"news\",\"count\":1," TIMESTAMP
		",\"milliseconds\":5010}");
}

static void a_rate_has_what_was_measured_and_over_what_time(void **state)
{
	(void)state;
	assert_json(&(struct notice){.kind = NOTICE_RATE,
			    .state = NOTICE_BEGIN,
			    .group = "news",
			    .count = 3,
			    .nanoseconds = 20000000000},
		"{\"event\":\"rate\",\"state\":\"begin\",\"group\":\"news\",\"count\":3," TIMESTAMP
		",\"milliseconds\":20000}");
}

static void a_rate_of_nothing_counts_none(void **state)
{
	(void)state;
	assert_json(&(struct notice){.kind = NOTICE_RATE,
			    .state = NOTICE_BEGIN,
			    .group = "news",
			    .nanoseconds = 1000000000},
		"{\"event\":\"rate\",\"state\":\"begin\",\"group\":\"news\",\"count\":0," TIMESTAMP
		",\"milliseconds\":1000}");
}

/* All kinds but those that measure it. */
static void a_count_is_the_sum_of_what_a_notice_stands_for(void **state)
{
	(void)state;
	for (int kind = 0; kind < NOTICE_KINDS; kind++) {
		struct notice notice = {.kind = (enum notice_kind)kind};

		if (kind == NOTICE_RATE)
			continue;
		assert_int_equal(notice_count(&notice), 1);
		assert_int_equal(notice_add_count(&notice, 5), 6);
		notice.count = 3;
		assert_int_equal(notice_add_count(&notice, 5), 8);
	}
}

static void the_count_of_a_rate_is_the_last_one(void **state)
{
	struct notice notice = {.kind = NOTICE_RATE, .count = 3};

	(void)state;
	assert_int_equal(notice_add_count(&notice, 5), 3);
	notice.count = 0;
	assert_int_equal(notice_add_count(&notice, 5), 0);
}

static void what_is_not_text_is_escaped(void **state)
{
	(void)state;
	assert_json(&(struct notice){.kind = NOTICE_SUPPRESSED, .group = "a\"b\n", .count = 7},
		"{\"event\":\"suppressed\",\"group\":\"a\\\"b\\n\",\"count\":7," TIMESTAMP "}");
}

static void each_kind_has_an_explanation(void **state)
{
	(void)state;
	for (int kind = 0; kind < NOTICE_KINDS; kind++) {
		const struct notice notice = {.kind = (enum notice_kind)kind, .detail = "joined"};

		assert_int_equal(strlen(notice_message_id(&notice)), 32);
		assert_non_null(notice_name((enum notice_kind)kind));
	}
}

static void each_state_of_a_membership_has_its_own_explanation(void **state)
{
	static const char *const ids[][2] = {{"joined", MESSAGE_JOINED},
		{"waiting", MESSAGE_WAITING}, {"failed", MESSAGE_NOT_JOINED}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		assert_string_equal(notice_message_id(&(struct notice){
					    .kind = NOTICE_MEMBERSHIP, .detail = ids[i][0]}),
			ids[i][1]);
}

static void assert_same_topic(bool same, const struct notice *a, const struct notice *b)
{
	assert_int_equal(notice_topic_equal(a, b), same);
	assert_int_equal(notice_topic_equal(b, a), same);
	assert_int_equal(notice_topic_hash(a) == notice_topic_hash(b), same);
}

static void a_topic_is_kind_and_group_and_sender_or_interface(void **state)
{
	struct address one, two;
	const struct notice ring = {.kind = NOTICE_RELAY_LOOP, .group = "a", .source = &one};
	struct notice other = ring;

	(void)state;
	address_parse("192.0.2.1", &one);
	address_parse("192.0.2.2", &two);
	other.interface = "eth0"; /* the sender counts */
	other.state = NOTICE_END;
	other.count = 9;
	assert_same_topic(true, &ring, &other);
	other.source = &two;
	assert_same_topic(false, &ring, &other);
	other.source = NULL;
	assert_same_topic(false, &ring, &other);
	other = ring;
	other.group = "b";
	assert_same_topic(false, &ring, &other);
	other = ring;
	other.kind = NOTICE_SAME_NETWORK_TWICE;
	assert_same_topic(false, &ring, &other);
	assert_same_topic(false,
		&(struct notice){.kind = NOTICE_MEMBERSHIP, .group = "a", .interface = "eth0"},
		&(struct notice){.kind = NOTICE_MEMBERSHIP, .group = "a", .interface = "eth1"});
}

static void a_copy_has_all_that_the_notice_points_to(void **state)
{
	char group[] = "news", why[] = "down";
	struct address source;
	struct notice *copy;

	(void)state;
	address_parse("2001:db8::1", &source);
	copy = notice_copy(&(struct notice){.kind = NOTICE_SILENCE,
		.group = group,
		.why = why,
		.source = &source,
		.count = 3,
		.level = LOG_WARNING});
	assert_non_null(copy);
	memset(group, 'x', 4);
	memset(why, 'x', 4);
	memset(&source, 0, sizeof(source));
	assert_string_equal(copy->group, "news");
	assert_string_equal(copy->why, "down");
	assert_null(copy->interface);
	assert_int_equal(copy->source->family, AF_INET6);
	assert_int_equal(copy->count, 3);
	assert_int_equal(copy->level, LOG_WARNING);
	free(copy);
}

static void a_notice_without_a_sink_is_dropped(void **state)
{
	(void)state;
	notice_send(NULL, &(struct notice){.kind = NOTICE_SILENCE});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_membership_has_its_state_and_the_reason),
		cmocka_unit_test(a_ring_has_the_address_the_handler_and_the_datagrams),
		cmocka_unit_test(a_network_that_is_there_twice_has_both_interfaces),
		cmocka_unit_test(silence_has_its_duration),
		cmocka_unit_test(a_rate_has_what_was_measured_and_over_what_time),
		cmocka_unit_test(a_rate_of_nothing_counts_none),
		cmocka_unit_test(a_count_is_the_sum_of_what_a_notice_stands_for),
		cmocka_unit_test(the_count_of_a_rate_is_the_last_one),
		cmocka_unit_test(what_is_not_text_is_escaped),
		cmocka_unit_test(each_kind_has_an_explanation),
		cmocka_unit_test(each_state_of_a_membership_has_its_own_explanation),
		cmocka_unit_test(a_topic_is_kind_and_group_and_sender_or_interface),
		cmocka_unit_test(a_copy_has_all_that_the_notice_points_to),
		cmocka_unit_test(a_notice_without_a_sink_is_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
