/* What the module kafka does without a cluster: its settings for librdkafka, messages in slots of a
 * window, and what it says of errors. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "data/counters.h"
#include "data/window.h"
#include "engines/kafka/conf.h"
#include "engines/kafka/message.h"
#include "engines/kafka/topics.h"
#include "engines/kafka/trouble.h"
#include "engines/keys.h"
#include "handlers/ledger.h"

/* ---- Settings ---- */

static struct kafka_settings plain(void)
{
	static char *brokers[] = {"k1:9092", "[2001:db8::1]:9092"};

	return (struct kafka_settings){.common = {.servers = {brokers, 2},
					       .site = "plant-1",
					       .window = 500,
					       .ack_timeout = 4 * NS_PER_S}};
}

static void expect(const rd_kafka_conf_t *conf, const char *name, const char *wanted)
{
	char value[128];
	size_t size = sizeof(value);

	if (rd_kafka_conf_get(conf, name, value, &size) != RD_KAFKA_CONF_OK)
		fail_msg("librdkafka has no %s", name);
	assert_string_equal(value, wanted);
}

static rd_kafka_conf_t *make(const struct kafka_settings *settings)
{
	char why[WHY_MAX] = "";
	rd_kafka_conf_t *conf = NULL;

	if (conf_new(settings, "hq", why, &conf) < 0)
		fail_msg("%s", why);
	return conf;
}

static void a_producer_is_idempotent_and_never_lets_a_message_expire(void **state)
{
	struct kafka_settings settings = plain();
	CLEANUP(rd_kafka_conf_destroyp) rd_kafka_conf_t *conf = make(&settings);

	(void)state;
	expect(conf, "bootstrap.servers", "k1:9092,[2001:db8::1]:9092");
	expect(conf, "client.id", "mcastd-plant-1-hq");
	expect(conf, "enable.idempotence", "true");
	expect(conf, "acks", "-1");
	expect(conf, "message.timeout.ms", "0");
	expect(conf, "request.timeout.ms", "4000");
	expect(conf, "socket.timeout.ms", "5000");
	expect(conf, "security.protocol", "plaintext");
	expect(conf, "compression.codec", "none");
}

static void the_queue_of_the_library_is_as_large_as_the_window(void **state)
{
	struct kafka_settings settings = plain();
	CLEANUP(rd_kafka_conf_destroyp) rd_kafka_conf_t *conf = make(&settings);
	char value[32];
	size_t size = sizeof(value);

	(void)state;
	expect(conf, "queue.buffering.max.messages", "628");
	rd_kafka_conf_get(conf, "queue.buffering.max.kbytes", value, &size);
	assert_in_range(strtoul(value, NULL, 10), HELD_MAX / 1024 + 4096, 2 * HELD_MAX / 1024);
}

static void what_expires_does_so_after_the_time_of_the_key(void **state)
{
	struct kafka_settings settings = plain();
	CLEANUP(rd_kafka_conf_destroyp) rd_kafka_conf_t *conf = NULL;

	(void)state;
	settings.expire = 1500 * NS_PER_MS;
	conf = make(&settings);
	expect(conf, "message.timeout.ms", "1500");
}

static void names_of_brokers_are_checked_with_tls(void **state)
{
	struct kafka_settings settings = plain();
	CLEANUP(rd_kafka_conf_destroyp) rd_kafka_conf_t *conf = NULL;

	(void)state;
	settings.tls = true;
	conf = make(&settings);
	expect(conf, "security.protocol", "ssl");
	expect(conf, "ssl.endpoint.identification.algorithm", "https");
	expect(conf, "enable.ssl.certificate.verification", "true");
}

static void a_password_that_cannot_be_read_is_an_error_with_its_file(void **state)
{
	struct kafka_settings settings = plain();
	char why[WHY_MAX] = "";
	rd_kafka_conf_t *conf = NULL;

	(void)state;
	settings.sasl = SASL_SCRAM_SHA_256;
	settings.common.username = "plant-1";
	settings.common.password_file = "/nowhere/password";
	assert_true(conf_new(&settings, "hq", why, &conf) < 0);
	assert_non_null(strstr(why, "/nowhere/password"));
	assert_null(conf);
}

/* ---- Messages ---- */

static void a_message_comes_out_of_its_slot_as_it_went_in(void **state)
{
	struct window_slot slot = {0};
	struct message in = {.payload = "\0payload",
		.size = 8,
		.key = "plant-1",
		.key_size = 7,
		.id = "plant-1/1/2",
		.id_size = 11,
		.from = "source=192.0.2.1",
		.from_size = 16,
		.timestamp_ms = 1795958869345};
	struct message out;

	(void)state;
	assert_int_equal(message_pack(&slot, &in, true), 0);
	out = message_unpack(&slot);
	assert_int_equal(out.size, 8);
	assert_memory_equal(out.payload, "\0payload", 8);
	assert_int_equal(out.key_size, 7);
	assert_memory_equal(out.key, "plant-1", 7);
	assert_int_equal(out.id_size, 11);
	assert_memory_equal(out.id, "plant-1/1/2", 11);
	assert_int_equal(out.from_size, 16);
	assert_memory_equal(out.from, "source=192.0.2.1", 16);
	assert_int_equal(out.timestamp_ms, 1795958869345);
	message_forget(&slot);
	assert_null(slot.data);
}

static void an_empty_message_without_key_and_headers_is_one(void **state)
{
	struct window_slot slot = {0};
	struct message in = {.payload = "", .key = "", .id = "", .from = ""}, out;

	(void)state;
	assert_int_equal(message_pack(&slot, &in, false), 0);
	out = message_unpack(&slot);
	assert_true(out.payload && !out.size && !out.key_size && !out.id_size && !out.from_size);
	message_forget(&slot);
}

static void only_what_a_slot_has_and_was_not_sent_is_unsent(void **state)
{
	struct window_slot slot = {0};
	struct message message = {.payload = "x", .size = 1, .key = "", .id = "", .from = ""};

	(void)state;
	assert_true(message_was_sent(&slot));
	message_pack(&slot, &message, false);
	assert_false(message_was_sent(&slot));
	message_pack(&slot, &message, true);
	assert_true(message_was_sent(&slot));
	message_forget(&slot);
}

/* ---- Topics ---- */

static void each_group_has_one_topic_in_whatever_order_they_come(void **state)
{
	static const char *const groups[] = {"news", "feed", "zebra", "alpha", "news", "alpha"};
	struct topic *found[ARRAY_SIZE(groups)];
	struct topics topics = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		found[i] = topics_find(&topics, "mcast.%g", groups[i]);
		assert_non_null(found[i]);
		assert_string_equal(found[i]->group, groups[i]);
	}
	assert_int_equal(topics.count, 4);
	assert_ptr_equal(found[0], found[4]);
	assert_ptr_equal(found[3], found[5]);
	assert_string_equal(found[2]->name, "mcast.zebra");
	topics_release(&topics);
	topics_clear(&topics);
	assert_int_equal(topics.count, 0);
}

/* ---- What is wrong ---- */

static void what_the_library_says_of_a_connection_is_shortened_and_gets_a_hint(void **state)
{
	static const struct {
		int cause;
		const char *said, *shown;
	} cases[] = {
		{RD_KAFKA_RESP_ERR__TRANSPORT,
			"k1:9092/bootstrap: Connect to ipv4#192.0.2.1:9092 failed: Connection "
			"refused (after 0ms in state CONNECT)",
			"k1:9092/bootstrap: Connect to ipv4#192.0.2.1:9092 failed: Connection "
			"refused"},
		{RD_KAFKA_RESP_ERR__SSL,
			"ssl://k1:9093/1: certificate verify failed: broker certificate could not "
			"be verified, verify that ssl.ca.location is correctly configured",
			"ssl://k1:9093/1: certificate verify failed; see tls, ca, certificate and "
			"key, and the names in brokers"},
		{RD_KAFKA_RESP_ERR__TRANSPORT, "SSL routines::tlsv13 alert certificate required",
			"SSL routines::tlsv13 alert certificate required; see tls, ca, "
			"certificate and key, and the names in brokers"},
		{RD_KAFKA_RESP_ERR__AUTHENTICATION, "no\x1b[31m",
			"no\\x1b[31m; see sasl, username and password_file"},
		{RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, "3/3 brokers are down",
			"3/3 brokers are down; they close the connection and do not say why: see "
			"tls, sasl and brokers"},
	};
	struct trouble trouble = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		trouble_hear(&trouble, cases[i].cause, cases[i].said, NULL);
		assert_string_equal(trouble.heard, cases[i].shown);
	}
}

static void a_topic_that_is_refused_is_found_until_it_was_not_for_ten_seconds(void **state)
{
	struct topics topics = {0};
	struct topic *first = topics_find(&topics, "mcast.%g", "a");
	struct topic *second = topics_find(&topics, "mcast.%g", "b");

	(void)state;
	assert_null(topics_refused(&topics, NS_PER_S));
	first->refused = second->refused = RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
	first->refused_ns = 1 * NS_PER_S;
	second->refused_ns = 5 * NS_PER_S;
	assert_ptr_equal(topics_refused(&topics, 10 * NS_PER_S), first);
	assert_ptr_equal(topics_refused(&topics, 11 * NS_PER_S), second);
	first->refused = 0;
	assert_ptr_equal(topics_refused(&topics, 6 * NS_PER_S), second);
	assert_null(topics_refused(&topics, 15 * NS_PER_S));
	topics_clear(&topics);
}

static void what_concerns_all_is_shown_before_a_refusal(void **state)
{
	struct counters *counters;
	struct ledger *ledger;
	struct trouble trouble = {.name = "hq", .object = &trouble};

	(void)state;
	assert_int_equal(counters_open(-1, &counters), 0);
	trouble.ledger = ledger = ledger_new(counters, "hq");
	assert_non_null(ledger);
	ledger_set_object(ledger, &trouble);
	trouble_refuse(&trouble, "no such topic");
	assert_string_equal(ledger_error(ledger), "no such topic");
	trouble_show(&trouble, RD_KAFKA_RESP_ERR__TRANSPORT, "nobody answers");
	trouble_refuse(&trouble, "no such topic either");
	assert_string_equal(ledger_error(ledger), "nobody answers");
	trouble_end(&trouble);
	assert_string_equal(ledger_error(ledger), "no such topic either");
	trouble_refuse(&trouble, NULL);
	assert_null(ledger_error(ledger));
	assert_false(trouble_is_shown(&trouble));
	ledger_unref(ledger);
	counters_free(counters);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_producer_is_idempotent_and_never_lets_a_message_expire),
		TEST(the_queue_of_the_library_is_as_large_as_the_window),
		TEST(what_expires_does_so_after_the_time_of_the_key),
		TEST(names_of_brokers_are_checked_with_tls),
		TEST(a_password_that_cannot_be_read_is_an_error_with_its_file),
		TEST(a_message_comes_out_of_its_slot_as_it_went_in),
		TEST(an_empty_message_without_key_and_headers_is_one),
		TEST(only_what_a_slot_has_and_was_not_sent_is_unsent),
		TEST(each_group_has_one_topic_in_whatever_order_they_come),
		TEST(what_the_library_says_of_a_connection_is_shortened_and_gets_a_hint),
		TEST(a_topic_that_is_refused_is_found_until_it_was_not_for_ten_seconds),
		TEST(what_concerns_all_is_shown_before_a_refusal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
