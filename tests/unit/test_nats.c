/* What JetStream says and is asked, and NKeys. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engines/nats/api.h"
#include "engines/nats/nkey.h"

#define TEXT(string) (string), strlen(string)

/* ---- Answers ---- */

static void an_acknowledgement_tells_stored_from_refused(void **state)
{
	(void)state;
	assert_true(nats_api_is_stored(TEXT("{\"stream\":\"mcast\", \"seq\":7}")));
	assert_true(
		nats_api_is_stored(TEXT("{\"stream\":\"error\", \"seq\":7,\"duplicate\": true}")));
	assert_false(nats_api_is_stored(TEXT("{\"error\":{\"code\":503},\"stream\":\"mcast\"}")));
	assert_false(nats_api_is_stored(TEXT("{\"stream\":\"mcast\",\"error\":{\"code\":503}}")));
	assert_false(nats_api_is_stored(TEXT("")));
	assert_false(nats_api_is_stored(TEXT("{\"stream\":")));
}

static void an_error_has_its_number_and_description(void **state)
{
	char text[NATS_REASON_MAX];

	(void)state;
	assert_int_equal(nats_api_error(TEXT("{\"error\":{\"code\":503,\"err_code\":10077,"
					     "\"description\":\"maximum messages exceeded\"}}"),
				 text),
		NATS_ERROR_STORE);
	assert_string_equal(text, "maximum messages exceeded");
	assert_int_equal(nats_api_error(TEXT("{\"streams\":null}"), text), NATS_ERROR_NONE);
	assert_int_equal(nats_api_error(TEXT("{\"error\":7}"), text), NATS_ERROR_UNKNOWN);
	assert_int_equal(
		nats_api_error(TEXT("{\"error\":{\"err_code\":-2}}"), text), NATS_ERROR_UNKNOWN);
	assert_int_equal(nats_api_error(TEXT("-ERR"), text), NATS_ERROR_UNKNOWN);
	assert_int_equal(nats_api_error(TEXT(""), text), NATS_ERROR_UNKNOWN);
}

static void a_consumer_says_where_it_is(void **state)
{
	struct nats_position position;

	(void)state;
	assert_int_equal(nats_api_read_position(
				 TEXT("{\"config\":{\"deliver_policy\":\"by_start_sequence\","
				      "\"opt_start_seq\":12},\"delivered\":{\"consumer_seq\":5,"
				      "\"stream_seq\":40},\"num_ack_pending\":3}"),
				 &position),
		0);
	assert_int_equal(position.start, NATS_START_AT);
	assert_int_equal(position.start_at, 12);
	assert_int_equal(position.delivered, 5);
	assert_int_equal(position.delivered_in_stream, 40);
	assert_int_equal(position.pending, 3);
	assert_int_equal(nats_api_read_position(TEXT("{\"config\":{\"deliver_policy\":\"last\"},"
						     "\"delivered\":{}}"),
				 &position),
		-EINVAL);
	assert_int_equal(nats_api_read_position(TEXT("[]"), &position), -EINVAL);
}

static void a_stream_has_subjects_and_a_last_number(void **state)
{
	struct string_list subjects = {0};
	struct nats_stream is;

	(void)state;
	assert_int_equal(nats_api_read_stream(TEXT("{\"config\":{\"subjects\":[\"a.*\",7,\"b.>\"]},"
						   "\"created\":\"2026-01-01T00:00:00Z\","
						   "\"state\":{\"last_seq\":9}}"),
				 &subjects, &is),
		0);
	assert_int_equal(is.last, 9);
	assert_string_equal(is.created, "2026-01-01T00:00:00Z");
	assert_int_equal(subjects.count, 2);
	assert_string_equal(subjects.items[1], "b.>");
	string_list_clear(&subjects);
	assert_int_equal(nats_api_read_stream(TEXT("{}"), &subjects, &is), -EINVAL);
}

static void what_can_be_no_name_of_a_stream_is_left_out(void **state)
{
	struct string_list names = {0};
	char many[(NATS_NAMES_MAX + 1) * 4 + 32] = "{\"streams\":[\"s\"";

	(void)state;
	assert_int_equal(nats_api_read_names(TEXT("{\"streams\":[\"a\",\"\",\"b c\",\"b.c\",7,"
						  "\"*\",\"x\\r\\nPUB\",\"z\"]}"),
				 &names),
		0);
	assert_int_equal(names.count, 2);
	assert_string_equal(names.items[1], "z");
	string_list_clear(&names);
	for (int i = 0; i < NATS_NAMES_MAX; i++)
		strcat(many, ",\"s\"");
	strcat(many, "]}");
	assert_int_equal(nats_api_read_names(TEXT(many), &names), -E2BIG);
	assert_int_equal(nats_api_read_names(TEXT("[]"), &names), -EINVAL);
}

/* ---- Requests ---- */

static void a_request_for_a_consumer_has_its_start_only_where_it_has_one(void **state)
{
	struct nats_consumer consumer = {.stream = "mcast",
		.name = "mcastd+a+hq+news",
		.filter = "mcast.news.*",
		.deliver_to = "_INBOX.x.d.1",
		.start = NATS_START_NEW,
		.most_pending = 1024};
	char *text = nats_api_create(&consumer);

	(void)state;
	assert_non_null(strstr(text, "\"deliver_policy\":\"new\""));
	assert_non_null(strstr(text, "\"ack_policy\":\"all\""));
	assert_non_null(strstr(text, "\"max_ack_pending\":1024"));
	assert_null(strstr(text, "opt_start_seq"));
	free(text);
	consumer.start = NATS_START_AT;
	consumer.start_at = 77;
	text = nats_api_create(&consumer);
	assert_non_null(strstr(text, "\"opt_start_seq\":77"));
	free(text);
}

static void names_of_consumers_differ_where_their_parts_do(void **state)
{
	char name[NATS_NAME_MAX], longest[65];

	(void)state;
	assert_int_equal(nats_api_name(name, "plant-1", "hq", "news", NULL), 0);
	assert_string_equal(name, "mcastd+plant-1+hq+news");
	assert_int_equal(nats_api_name(name, "plant-1", "h.q", "a+b", "plant-2"), 0);
	assert_string_equal(name, "mcastd+plant-1+h=2Eq+a=2Bb+plant-2");
	memset(longest, '%', 64);
	longest[64] = '\0';
	assert_int_equal(nats_api_name(name, "a", longest, longest, NULL), -ENAMETOOLONG);
}

static void assert_common(const char *a, const char *b, const char *wanted)
{
	char found[NATS_SUBJECT_MAX];

	assert_int_equal(nats_api_intersect(a, b, found), wanted ? 0 : -ENOENT);
	if (wanted)
		assert_string_equal(found, wanted);
	assert_int_equal(nats_api_intersect(b, a, found), wanted ? 0 : -ENOENT);
	if (wanted)
		assert_string_equal(found, wanted);
}

static void the_command_for_a_stream_has_wildcards_for_groups_and_sites(void **state)
{
	char command[NATS_COMMAND_MAX];

	(void)state;
	nats_api_make_command(command, NULL, "mcast.%g", NULL);
	assert_string_equal(command, "nats stream add mcast --subjects 'mcast.*.*'");
	nats_api_make_command(command, "there", "a.x-%g-y.b", "plant-2");
	assert_string_equal(command, "nats stream add there --subjects 'a.*.b.plant-2'");
	nats_api_make_command(command, NULL, "%g", NULL);
	assert_string_equal(command, "nats stream add mcast --subjects '*.*'");
	nats_api_make_command(command, NULL, "one.two", NULL);
	assert_string_equal(command, "nats stream add one --subjects 'one.two.*'");
}

static void the_common_subjects_of_two_patterns_are_a_pattern(void **state)
{
	char found[NATS_SUBJECT_MAX], longest[NATS_SUBJECT_MAX + 8];

	(void)state;
	assert_common("mcast.news.*", "mcast.>", "mcast.news.*");
	assert_common("mcast.news.*", "mcast.*.plant-1", "mcast.news.plant-1");
	assert_common("mcast.news.*", "mcast.news.plant-1", "mcast.news.plant-1");
	assert_common("mcast.news.*", ">", "mcast.news.*");
	assert_common("mcast.news.*", "mcast.*", NULL);
	assert_common("mcast.news.*", "mcast.other.*", NULL);
	assert_common("mcast.news.*", "mcast.news.*.more", NULL);
	assert_common("mcast.news", "mcast.newspaper", NULL);
	assert_common("*.*", "a.>", "a.*");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(nats_api_intersect(longest, ">", found), -ENAMETOOLONG);
}

/* ---- Deliveries ---- */

static void a_delivery_has_the_numbers_of_stream_and_consumer(void **state)
{
	struct nats_delivery delivery;

	(void)state;
	assert_int_equal(
		nats_api_read_delivery("$JS.ACK.mcast.name.1.40.7.1700000000.0", &delivery), 0);
	assert_int_equal(delivery.in_stream, 40);
	assert_int_equal(delivery.number, 7);
	assert_int_equal(nats_api_read_delivery(
				 "$JS.ACK._.hash.mcast.name.2.41.8.1700000000.0.token", &delivery),
		0);
	assert_int_equal(delivery.in_stream, 41);
	assert_int_equal(delivery.number, 8);
}

static void what_is_no_delivery_is_refused(void **state)
{
	static const char *const wrong[] = {"", "$JS.ACK.", "_INBOX.x",
		"$JS.ACK.mcast.name.1.40.7.17", "$JS.ACK.mcast.name.1.x.7.17.0",
		"$JS.ACK.mcast.name.1..7.17.0", "$JS.ACK.mcast.name.1.18446744073709551616.7.17.0",
		"$JS.ACK.mcast.name.1.40.7a.17.0"};
	struct nats_delivery delivery;

	(void)state;
	assert_int_equal(nats_api_read_delivery(NULL, &delivery), -EINVAL);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_int_equal(nats_api_read_delivery(wrong[i], &delivery), -EINVAL);
}

static void an_answer_is_only_at_the_subject_that_it_was_asked_for_at(void **state)
{
	static const char *const wrong[] = {"", "x", "in.a", "in.a.", "in.b.7", "in.a.x", "in.a.7x",
		"in.a.7.8", "in.a.-1", "in.a.18446744073709551616"};
	uint64_t number;

	(void)state;
	assert_int_equal(nats_api_read_serial("in.a.7", "in.a.", &number), 0);
	assert_int_equal(number, 7);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_int_equal(nats_api_read_serial(wrong[i], "in.a.", &number), -EINVAL);
}

/* ---- NKeys ---- */

#define SEED "SUAK6DAAEYBGGGUNZ6D4XQPBJNBHHPYXB7R6ERXODZEL6PUENJYGGXQ2VI"
#define PUBLIC "UDMVXGPUVTNH4JOAUYRGIVMQ6AR2AZMUQSVNISAGFVA76YFUTVW6LD4O"

static void the_public_key_of_a_seed_is_found(void **state)
{
	char public[NKEY_PUBLIC_MAX];

	(void)state;
	assert_int_equal(nkey_public(SEED, public), 0);
	assert_string_equal(public, PUBLIC);
}

static void what_is_no_seed_of_a_user_is_refused(void **state)
{
	char seed[] = SEED, public[NKEY_PUBLIC_MAX];

	(void)state;
	assert_int_equal(nkey_public("", public), -EINVAL);
	assert_int_equal(nkey_public(PUBLIC, public), -EINVAL);
	assert_int_equal(nkey_public(SEED "A", public), -EINVAL);
	seed[20] = seed[20] == 'A' ? 'B' : 'A';
	assert_int_equal(nkey_public(seed, public), -EINVAL);
	seed[strlen(seed) - 1] = '\0';
	assert_int_equal(nkey_public(seed, public), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_acknowledgement_tells_stored_from_refused),
		cmocka_unit_test(an_error_has_its_number_and_description),
		cmocka_unit_test(a_consumer_says_where_it_is),
		cmocka_unit_test(a_stream_has_subjects_and_a_last_number),
		cmocka_unit_test(a_request_for_a_consumer_has_its_start_only_where_it_has_one),
		cmocka_unit_test(names_of_consumers_differ_where_their_parts_do),
		cmocka_unit_test(the_command_for_a_stream_has_wildcards_for_groups_and_sites),
		cmocka_unit_test(the_common_subjects_of_two_patterns_are_a_pattern),
		cmocka_unit_test(a_delivery_has_the_numbers_of_stream_and_consumer),
		cmocka_unit_test(what_is_no_delivery_is_refused),
		cmocka_unit_test(an_answer_is_only_at_the_subject_that_it_was_asked_for_at),
		cmocka_unit_test(what_can_be_no_name_of_a_stream_is_left_out),
		cmocka_unit_test(the_public_key_of_a_seed_is_found),
		cmocka_unit_test(what_is_no_seed_of_a_user_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
