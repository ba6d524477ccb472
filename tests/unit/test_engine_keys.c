/* The keys of handlers that speak to a broker: what is read, and what is refused, in which words.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "engines/keys.h"

struct fixture {
	char path[40];
	struct config *config;
	struct errors errors;
	char why[WHY_MAX];
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	int fd;

	strcpy(fixture->path, "/tmp/test_engine_keys.XXXXXX");
	fd = mkstemp(fixture->path);
	*state = fixture;
	return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	unlink(fixture->path);
	config_free(fixture->config);
	errors_clear(&fixture->errors);
	free(fixture);
	return 0;
}

static int load(struct fixture *fixture, const char *text)
{
	FILE *file = fopen(fixture->path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	return config_load(
		fixture->path, handler_config_kinds(), &fixture->errors, &fixture->config);
}

static const void *load_good(struct fixture *fixture, const char *text)
{
	if (load(fixture, text) < 0)
		fail_msg("%s", fixture->errors.lines[0]);
	return config_find_handler(fixture->config, "hq")->settings;
}

static void assert_refused(struct fixture *fixture, const char *text, const char *expected)
{
	AUTO_TEXT struct text line = {0};

	const char *path = strstr(expected, "PATH");

	text_printf(&line, "%s:%.*s%s%s", fixture->path,
		path ? (int)(path - expected) : (int)strlen(expected), expected,
		path ? fixture->path : "", path ? path + strlen("PATH") : "");
	assert_int_not_equal(load(fixture, text), 0);
	assert_string_equal(fixture->errors.lines[0], text_string(&line));
	assert_int_equal(errors_total(&fixture->errors), 1);
}

static void assert_passes(struct fixture *fixture, const char *text)
{
	if (load(fixture, text) < 0)
		fail_msg("%s", fixture->errors.lines[0]);
	config_free(take(fixture->config));
}

/* The keys begin in line 2; the group, if there is one, follows. */
#define HANDLER(type, servers, keys) \
	"handlers: { hq: { type = \"" type "\"; site = \"plant-1\"; " servers "\n" keys " }; };\n"
#define NATS(keys) HANDLER("nats", "servers = \"nats://n1\";", keys)
#define NATS_TLS(keys) HANDLER("nats", "servers = \"tls://n1\";", keys)
#define MQTT(keys) HANDLER("mqtt", "servers = \"mqtt://m1\";", keys)
#define KAFKA(keys) HANDLER("kafka", "brokers = \"k1:9092\";", keys)
#define SERVERS(type, key, value) \
	"handlers: { hq: { type = \"" type "\"; site = \"plant-1\";\n" key " = " value "; }; };\n"

/* Two handlers in lines 2 and 3, and a group in line 4. */
#define BOTH(one, two, keys)                \
	"import_port = 5999; handlers: {\n" \
	"one: { " one " };\n"               \
	"two: { " two " }; };\n"            \
	"groups: { a: { address = \"233.252.0.1\"; port = 1; " keys " }; };"
#define NATS_2(host, keys) \
	"type = \"nats\"; site = \"plant-1\"; servers = \"nats://" host "\"; " keys
#define MQTT_2(host, keys) \
	"type = \"mqtt\"; site = \"plant-1\"; servers = \"mqtt://" host "\"; " keys

static void nats_has_defaults(void **state)
{
	const struct nats_settings *settings = load_good(*state, NATS(""));

	assert_string_equal(settings->common.servers.items[0], "nats://n1");
	assert_string_equal(settings->common.site, "plant-1");
	assert_int_equal(settings->common.window, 1024);
	assert_int_equal(settings->common.ack_timeout, 5000000000);
	assert_true(settings->common.metadata);
	assert_string_equal(settings->subject, "mcast.%g");
	assert_int_equal(settings->sites.count, 0);
	assert_int_equal(settings->acknowledge, ACKNOWLEDGE_STORED);
	assert_false(settings->ordered);
	assert_null(settings->stream);
}

static void mqtt_has_defaults(void **state)
{
	const struct mqtt_settings *settings = load_good(*state, MQTT(""));

	assert_string_equal(settings->topic, "mcast/%g");
	assert_int_equal(settings->version, MQTT_5);
	assert_int_equal(settings->qos, 1);
	assert_int_equal(settings->common.window, 256);
	assert_null(settings->client_id);
}

static void kafka_has_defaults(void **state)
{
	const struct kafka_settings *settings = load_good(*state, KAFKA(""));

	assert_string_equal(settings->common.servers.items[0], "k1:9092");
	assert_string_equal(settings->topic, "mcast.%g");
	assert_int_equal(settings->partition_key, PARTITION_BY_SITE);
	assert_string_equal(kafka_compressions[settings->compression], "none");
	assert_int_equal(settings->sasl, SASL_NONE);
	assert_int_equal(settings->common.window, 10000);
	assert_int_equal(settings->common.ack_timeout, 10 * 1000000000ll);
	assert_int_equal(settings->expire, 0);
	assert_true(settings->common.metadata);
	assert_false(settings->tls);
}

static void all_kinds_take_their_security_files(void **state)
{
	static const char *const configurations[] = {
		NATS_TLS(
			"ca = \"ca.pem\"; certificate = \"c.pem\"; key = \"k.pem\"; nkey = \"n\";"),
		NATS_TLS("credentials = \"hq.creds\";"),
		NATS("username = \"u\"; password_file = \"p\";"),
		MQTT("username = \"token\";"),
		HANDLER("mqtt", "servers = \"mqtts://m1:8883\";",
			"ca = \"/etc/ca.pem\"; username = \"u\"; password_file = \"p\";"),
		KAFKA("tls = true; ca = \"ca.pem\"; sasl = \"SCRAM-SHA-512\"; username = \"u\"; "
		      "password_file = \"p\";"),
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_SIZE(configurations); i++) {
		load_good(fixture, configurations[i]);
		config_free(take(fixture->config));
	}
}

static void servers_are_hosts_with_and_without_a_port(void **state)
{
	static const char *const good[] = {"\"nats://n1\"", "\"nats://n1.example:4223\"",
		"\"nats://192.0.2.1:4222\"", "\"nats://[2001:db8::1]:4222\"",
		"\"nats://[fe80::1%eth0]\"", "[\"tls://n1\", \"tls://n2:4222\"]"};
	AUTO_TEXT struct text text = {0};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		text_clear(&text);
		text_printf(&text,
			"handlers: { hq: { type = \"nats\"; site = \"a\"; servers = %s; }; };",
			good[i]);
		load_good(fixture, text_string(&text));
		config_free(take(fixture->config));
	}
}

static void an_address_is_split(void **state)
{
	char host[HOST_MAX + 1];
	uint16_t port;

	(void)state;
	assert_int_equal(engine_split_server("mqtts://m1.example", 8883, host, &port), 0);
	assert_string_equal(host, "m1.example");
	assert_int_equal(port, 8883);
	assert_int_equal(engine_split_server("tls://[2001:db8::1]:65535", 4222, host, &port), 0);
	assert_string_equal(host, "2001:db8::1");
	assert_int_equal(port, 65535);
	assert_int_equal(engine_split_server("k1:9092", 0, host, &port), 0);
	assert_string_equal(host, "k1");
	assert_int_equal(port, 9092);
}

static void what_is_no_address_is_not_split(void **state)
{
	static const char *const bad[] = {"", "nats://", "nats://:4222", "nats://h:", "nats://h:0",
		"nats://h:65536", "nats://h:1x", "nats://h/path", "nats://h?x", "nats://[::1",
		"nats://[::1]x", "nats://::1", "nats://h h", "nats://h:1:2"};
	char host[HOST_MAX + 1] = "as it was";
	uint16_t port = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(engine_split_server(bad[i], 4222, host, &port), -EINVAL);
	assert_int_equal(engine_split_server("h", 0, host, &port), -EINVAL);
	assert_string_equal(host, "as it was");
	assert_int_equal(port, 7);
}

static void the_group_stands_for_g(void **state)
{
	char address[16];

	(void)state;
	assert_int_equal(engine_address(address, sizeof(address), "mcast.%g", "news"), 0);
	assert_string_equal(address, "mcast.news");
	assert_int_equal(engine_address(address, sizeof(address), "%g/x", "news"), 0);
	assert_string_equal(address, "news/x");
	assert_int_equal(engine_address(address, sizeof(address), "fixed", "news"), 0);
	assert_string_equal(address, "fixed");
	assert_int_equal(engine_address(address, sizeof(address), "mcast.%g", "news67890"), 0);
	assert_int_equal(
		engine_address(address, sizeof(address), "mcast.%g", "news678901"), -ENAMETOOLONG);
}

static void the_longest_names_fit(void **state)
{
	char pattern[ENGINE_PATTERN_MAX + 1], group[GROUP_NAME_MAX + 1];
	char address[ENGINE_ADDRESS_MAX];

	(void)state;
	memset(pattern, 'p', sizeof(pattern));
	memcpy(pattern, "%g", 2);
	memset(group, 'g', sizeof(group));
	pattern[sizeof(pattern) - 1] = group[sizeof(group) - 1] = '\0';
	assert_int_equal(engine_address(address, sizeof(address), pattern, group), 0);
}

/* As "mcastctl join" makes groups: a file has no such names. */
static int check_group(struct fixture *fixture, const char *text, const char *group)
{
	const void *settings = load_good(fixture, text);
	const struct config_kind *kind = config_find_handler(fixture->config, "hq")->kind;
	CLEANUP(config_group_clear) struct config_group joined = {0};
	int r = kind->check_group(settings, group, fixture->why);

	assert_int_equal(config_group_init(&joined, group), 0);
	assert_int_equal(address_parse("233.252.0.1", &joined.address), 0);
	joined.port = 1;
	assert_int_equal(string_list_add(&joined.handlers, "hq"), 0);
	assert_int_equal(config_check_group(fixture->config, &joined, &fixture->errors), r < 0);
	config_free(take(fixture->config));
	return r;
}

static void a_group_has_a_name_that_is_one_token(void **state)
{
	static const struct {
		const char *text, *good, *bad, *expected;
	} cases[] = {
		{NATS(""), "a:b+c[d]%e", "a.b",
			"would be part of its subject, where a name has no "
			".: rename the group, or "
			"write the subject without %g"},
		{NATS(""), "a?", "a*",
			"would be part of its subject, where a name has no "
			"*: rename the group, or "
			"write the subject without %g"},
		{MQTT(""), "a.b:c*", "a+b",
			"would be part of its topic, where a name has no +: "
			"rename the group, or "
			"write the topic without %g"},
		{KAFKA(""), "a.b_c-d", "a:b",
			"would be part of its topic, where a name has no :: "
			"rename the group, or "
			"write the topic without %g"},
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(check_group(fixture, cases[i].text, cases[i].good), 0);
		assert_int_equal(check_group(fixture, cases[i].text, cases[i].bad), -EINVAL);
		assert_string_equal(fixture->why, cases[i].expected);
	}
	assert_string_equal(fixture->errors.lines[0],
		"group a.b: handlers: \"hq\": the name of the group would be part of its subject, "
		"where a name has no .: rename the group, or write the subject without %g");
}

static void a_group_may_have_any_name_where_no_address_has_it(void **state)
{
	assert_int_equal(check_group(*state, NATS("subject = \"all\";"), "a.b"), 0);
}

static void events_are_exported_like_a_group(void **state)
{
	load_good(*state, NATS("") "events: { handlers = [\"hq\"]; };");
}

/* clang-format off */
#define REFUSED(X) \
	X(no_site, "handlers: { hq: { type = \"nats\"; servers = \"nats://n1\"; }; };", \
		"1: handlers.hq: has no site, add one: site = \"plant-1\";") \
	X(a_site_with_a_dot, "handlers: { hq: { type = \"nats\"; servers = \"nats://n1\";\nsite = \"a.b\"; }; };", \
		"2: handlers.hq.site: \"a.b\" cannot be a site: use up to 64 letters, digits, - and _") \
	X(no_servers, "handlers: { hq: { type = \"mqtt\"; site = \"a\"; }; };", \
		"1: handlers.hq: has no servers, add one: servers = [\"mqtt://mqtt.example:1883\"];") \
	X(a_password_in_an_address, SERVERS("nats", "servers", "\"nats://u:secret@n1\""), \
		"2: handlers.hq.servers: has a user or a password in an address, where everybody reads them: write " \
		"username = \"USER\"; and password_file = \"FILE\";") \
	X(a_password_in_a_broker, SERVERS("kafka", "brokers", "\"u:secret@k1:9092\""), \
		"2: handlers.hq.brokers: has a user or a password in an address, where everybody reads them: write " \
		"username = \"USER\"; and password_file = \"FILE\";") \
	X(no_scheme, SERVERS("nats", "servers", "\"n1:4222\""), \
		"2: handlers.hq.servers: \"n1:4222\" has no scheme that is known here, write \"nats://HOST\" or, for TLS, " \
		"\"tls://HOST\"") \
	X(another_scheme, SERVERS("mqtt", "servers", "\"tcp://m1\""), \
		"2: handlers.hq.servers: \"tcp://m1\" has no scheme that is known here, write \"mqtt://HOST\" or, for TLS, " \
		"\"mqtts://HOST\"") \
	X(a_scheme_of_kafka, SERVERS("kafka", "brokers", "\"kafka://k1:9092\""), \
		"2: handlers.hq.brokers: \"kafka://k1:9092\" has a scheme, write \"HOST:PORT\"") \
	X(a_broker_without_port, SERVERS("kafka", "brokers", "\"k1\""), \
		"2: handlers.hq.brokers: \"k1\" is no address of a server, write \"HOST:PORT\"") \
	X(a_path, SERVERS("nats", "servers", "\"nats://n1/x\""), \
		"2: handlers.hq.servers: \"nats://n1/x\" is no address of a server, write \"nats://HOST:PORT\"") \
	X(servers_with_and_without_tls, SERVERS("nats", "servers", "[\"tls://n1\", \"nats://n2\"]"), \
		"2: handlers.hq.servers: are with and without TLS, write \"tls://...\" for all") \
	X(own_site_in_sites, NATS("sites = [\"plant-2\", \"plant-1\"];"), \
		"2: handlers.hq.sites: \"plant-1\" is this site, whose own datagrams never come in; remove it") \
	X(a_site_that_is_none, MQTT("sites = \"*\";"), \
		"2: handlers.hq.sites: \"*\" cannot be a site: use up to 64 letters, digits, - and _") \
	X(two_groups_in_a_subject, NATS("subject = \"%g.%g\";"), \
		"2: handlers.hq.subject: \"%g.%g\" may have one %g, for the name of the group, and no other %") \
	X(another_percent, MQTT("topic = \"mcast/%h\";"), \
		"2: handlers.hq.topic: \"mcast/%h\" may have one %g, for the name of the group, and no other %") \
	X(a_wildcard_in_a_subject, NATS("subject = \"mcast.>\";"), \
		"2: handlers.hq.subject: \"mcast.>\" cannot be a subject: write tokens with dots between them, without " \
		"blanks, * and >") \
	X(an_empty_token, NATS("subject = \"mcast..%g\";"), \
		"2: handlers.hq.subject: \"mcast..%g\" cannot be a subject: write tokens with dots between them, without " \
		"blanks, * and >") \
	X(a_subject_of_the_server, NATS("subject = \"$JS.%g\";"), \
		"2: handlers.hq.subject: \"$JS.%g\" begins with $, which is the server's own") \
	X(a_wildcard_in_a_topic, MQTT("topic = \"mcast/+/%g\";"), \
		"2: handlers.hq.topic: \"mcast/+/%g\" cannot be a topic: write levels with / between them, without blanks, " \
		"+ and #") \
	X(a_slash_in_a_topic_of_kafka, KAFKA("topic = \"mcast/%g\";"), \
		"2: handlers.hq.topic: \"mcast/%g\" cannot be a topic: use letters, digits, . _ -") \
	X(a_certificate_without_key, NATS_TLS("certificate = \"c.pem\";"), \
		"1: handlers.hq.key: is missing, it belongs to certificate") \
	X(a_key_without_certificate, NATS_TLS("key = \"k.pem\";"), \
		"1: handlers.hq.certificate: is missing, it belongs to key") \
	X(a_ca_without_tls, NATS("ca = \"ca.pem\";"), \
		"2: handlers.hq.ca: has no effect without TLS, write tls:// in servers") \
	X(a_ca_without_mqtts, MQTT("ca = \"ca.pem\";"), \
		"2: handlers.hq.ca: has no effect without TLS, write mqtts:// in servers") \
	X(a_ca_without_tls_in_kafka, KAFKA("ca = \"ca.pem\";"), \
		"2: handlers.hq.ca: has no effect without TLS, write tls = true;") \
	X(a_username_alone, NATS("username = \"u\";"), \
		"1: handlers.hq.password_file: is missing, it belongs to username") \
	X(a_password_alone, MQTT("password_file = \"p\";"), \
		"2: handlers.hq.password_file: has no effect without username, add one") \
	X(two_users, NATS("credentials = \"c\"; nkey = \"n\";"), \
		"2: handlers.hq.nkey: is in the file of credentials, remove one of the two") \
	X(a_username_beside_an_nkey, NATS("nkey = \"n\"; username = \"u\"; password_file = \"p\";"), \
		"2: handlers.hq.username: cannot be used together with nkey, remove one of the two") \
	X(order_without_a_stream, NATS("acknowledge = \"none\"; ordered = true;"), \
		"2: handlers.hq.ordered: needs acknowledge = \"stored\"") \
	X(a_stream_without_acknowledgements, NATS("acknowledge = \"none\"; stream = \"S\";"), \
		"2: handlers.hq.stream: has no effect with acknowledge = \"none\", which uses no stream") \
	X(a_stream_that_is_none, NATS("stream = \"a.b\";"), \
		"2: handlers.hq.stream: \"a.b\" cannot be a stream: no blanks, . * > / \\") \
	X(a_client_id_with_blanks, MQTT("client_id = \"a b\";"), \
		"2: handlers.hq.client_id: \"a b\" cannot be a client identifier: no blanks") \
	X(a_user_without_sasl, KAFKA("username = \"u\"; password_file = \"p\";"), \
		"2: handlers.hq.username: has no effect without sasl, add one: sasl = \"SCRAM-SHA-512\";") \
	X(sasl_without_a_user, KAFKA("sasl = \"PLAIN\";"), \
		"1: handlers.hq.username: is missing, sasl needs it") \
	X(a_client_id_twice_at_one_broker, BOTH(MQTT_2("m1", "client_id = \"c\";"), MQTT_2("m1", "client_id = \"c\";"), ""), \
		"3: handlers.two.client_id: is that of handlers.one at PATH:2, too, and the broker disconnects one of the " \
		"two whenever the other connects; let them differ") \
	X(two_inputs_from_one_nats, BOTH(NATS_2("n1", ""), NATS_2("N1:4222", "sites = \"b\";"), "inputs = [\"one\", \"two\"];"), \
		"4: groups.a.inputs: \"one\" and \"two\" take in the same from one broker, and each datagram would be sent " \
		"twice; remove one of them, or give them different sites") \
	X(two_inputs_from_one_mqtt, BOTH(MQTT_2("m1", ""), MQTT_2("m1", "topic = \"mcast/a\";"), "inputs = [\"one\", \"two\"];"), \
		"4: groups.a.inputs: \"one\" and \"two\" take in the same from one broker, and each datagram would be sent " \
		"twice; remove one of them, or give them different sites") \
	X(a_quality_of_two, MQTT("qos = 2;"), "2: handlers.hq.qos: 2 is out of range, use 0 to 1") \
	X(a_window_of_none, NATS("window = 0;"), \
		"2: handlers.hq.window: 0 is out of range, use 1 to 65536")
/* clang-format on */

static void two_handlers_that_do_not_meet_at_a_broker_may_be_alike(void **state)
{
	static const char *const texts[] = {
		BOTH(MQTT_2("m1", "client_id = \"c\";"), MQTT_2("m2", "client_id = \"c\";"), ""),
		BOTH(MQTT_2("m1", "client_id = \"c\";"), MQTT_2("m1", "client_id = \"d\";"), ""),
		BOTH(NATS_2("n1", ""), NATS_2("n2", ""), "inputs = [\"one\", \"two\"];"),
		BOTH(NATS_2("n1", ""), NATS_2("n1:1", ""), "inputs = [\"one\", \"two\"];"),
		BOTH(NATS_2("n1", ""), MQTT_2("n1", ""), "inputs = [\"one\", \"two\"];"),
		BOTH(NATS_2("n1", "nkey = \"/a\";"), NATS_2("n1", "nkey = \"/b\";"),
			"inputs = [\"one\", \"two\"];"),
		BOTH(NATS_2("n1", "subject = \"x.%g\";"), NATS_2("n1", ""),
			"inputs = [\"one\", \"two\"];"),
		BOTH(NATS_2("n1", "sites = \"b\";"), NATS_2("n1", "sites = \"c\";"),
			"inputs = [\"one\", \"two\"];")};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_passes(*state, texts[i]);
}

#define DEFINE(name, text, expected)                    \
	static void name##_is_refused(void **state)     \
	{                                               \
		assert_refused(*state, text, expected); \
	}
REFUSED(DEFINE)

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown),
#define REFUSED_TEST(name, text, expected) TEST(name##_is_refused)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(nats_has_defaults) TEST(mqtt_has_defaults) TEST(
		kafka_has_defaults) TEST(all_kinds_take_their_security_files)
			TEST(servers_are_hosts_with_and_without_a_port) TEST(
				an_address_is_split) TEST(what_is_no_address_is_not_split)
				TEST(the_group_stands_for_g) TEST(the_longest_names_fit) TEST(
					a_group_has_a_name_that_is_one_token)
					TEST(a_group_may_have_any_name_where_no_address_has_it) TEST(
						events_are_exported_like_a_group)
						TEST(two_handlers_that_do_not_meet_at_a_broker_may_be_alike)
							REFUSED(REFUSED_TEST)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
