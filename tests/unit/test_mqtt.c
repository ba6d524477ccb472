/* What the module mqtt does without a broker: whose turn it is, and why there is no connection. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <mosquitto.h>
#include <string.h>

#include "engines/mqtt/cause.h"
#include "engines/mqtt/turns.h"

/* ---- Turns ---- */

static struct turns two_servers(void)
{
	static char *urls[] = {"mqtt://one", "mqtt://[2001:db8::1]:1884"};
	struct turns turns = {0};

	assert_int_equal(turns_init(&turns, &(struct string_list){urls, 2}, 1883), 0);
	return turns;
}

static void each_server_has_its_address_and_port(void **state)
{
	struct turns turns = two_servers();

	(void)state;
	assert_string_equal(turns.servers[0].host, "one");
	assert_int_equal(turns.servers[0].port, 1883);
	assert_string_equal(turns.servers[1].host, "2001:db8::1");
	assert_int_equal(turns.servers[1].port, 1884);
	turns_clear(&turns);
}

static void only_a_round_of_all_servers_is_followed_by_a_pause_which_grows_to_its_bound(
	void **state)
{
	struct turns turns = two_servers();
	uint64_t expected = PAUSE_MIN_NS;

	(void)state;
	for (int i = 0; i < 10; i++) {
		assert_int_equal(turns_fail(&turns), 0);
		assert_ptr_equal(turns_server(&turns), &turns.servers[1]);
		assert_int_equal(turns_fail(&turns), expected);
		assert_ptr_equal(turns_server(&turns), &turns.servers[0]);
		expected = 2 * expected < PAUSE_MAX_NS ? 2 * expected : PAUSE_MAX_NS;
	}
	assert_int_equal(expected, PAUSE_MAX_NS);
	turns_clear(&turns);
}

static void a_stable_connection_resets_the_pause_and_a_short_one_doubles_it(void **state)
{
	struct turns turns = two_servers();

	(void)state;
	turns_succeed(&turns);
	assert_int_equal(turns_lose(&turns, false), PAUSE_MIN_NS);
	assert_int_equal(turns_lose(&turns, false), PAUSE_MIN_NS);
	assert_int_equal(turns_lose(&turns, false), 2 * PAUSE_MIN_NS);
	assert_int_equal(turns_lose(&turns, true), PAUSE_MIN_NS);
	assert_int_equal(turns_lose(&turns, false), PAUSE_MIN_NS);
	turns_clear(&turns);
}

/* ---- Causes ---- */

static void assert_explained(struct cause cause, const char *part)
{
	char why[WHY_MAX] = "";

	cause.said = cause.said ? cause.said : "";
	cause_explain(&cause, why);
	if (!strstr(why, part))
		fail_msg("\"%s\" has no \"%s\"", why, part);
}

static void a_refused_login_is_told_by_whether_there_is_a_user_name(void **state)
{
	(void)state;
	assert_explained((struct cause){.refused = 5}, "wants a user name and a password");
	assert_explained((struct cause){.refused = 5, .has_username = true},
		"does not accept this user name and password");
}

static void what_is_wrong_with_a_certificate_comes_before_what_the_library_said(void **state)
{
	(void)state;
	assert_explained((struct cause){.has_tls = true,
				 .certificate = "it has expired",
				 .said = "wrong version number"},
		"it has expired");
	assert_explained((struct cause){.has_tls = true, .said = "wrong version number"},
		"no TLS is spoken at this port");
}

static void a_closed_connection_is_told_by_how_long_it_was_up(void **state)
{
	(void)state;
	assert_explained((struct cause){.code = MOSQ_ERR_CONN_LOST}, "is it an MQTT broker");
	assert_explained((struct cause){.code = MOSQ_ERR_CONN_LOST, .has_tls = true},
		"does it speak TLS at this port");
	assert_explained((struct cause){.code = MOSQ_ERR_CONN_LOST, .was_up = true},
		"the broker closed the connection");
	assert_explained(
		(struct cause){.code = MOSQ_ERR_CONN_LOST, .was_up = true, .was_short = true},
		"does another client have the same client_id");
	assert_explained(
		(struct cause){.code = MOSQ_ERR_ERRNO, .error = EHOSTUNREACH}, "No route to host");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_server_has_its_address_and_port),
		cmocka_unit_test(
			only_a_round_of_all_servers_is_followed_by_a_pause_which_grows_to_its_bound),
		cmocka_unit_test(a_stable_connection_resets_the_pause_and_a_short_one_doubles_it),
		cmocka_unit_test(a_refused_login_is_told_by_whether_there_is_a_user_name),
		cmocka_unit_test(
			what_is_wrong_with_a_certificate_comes_before_what_the_library_said),
		cmocka_unit_test(a_closed_connection_is_told_by_how_long_it_was_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
