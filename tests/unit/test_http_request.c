/* What becomes of a request to the HTTP server. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/cleanup.h"
#include "http/request.h"

static const struct http_request good = {.is_get = true,
	.major = 1,
	.minor = 1,
	.target = "/metrics",
	.host = "localhost:9184",
	.hosts = 1};

static int judge(struct http_request request)
{
	struct http_verdict verdict = http_judge(&request);

	assert_non_null(verdict.reason);
	assert_int_equal(verdict.code == 200, verdict.page != NULL);
	assert_int_equal(verdict.code == 200, verdict.message == NULL);
	return verdict.code;
}

static int judge_target(const char *target)
{
	struct http_request request = good;

	request.target = target;
	return judge(request);
}

static void a_page_is_found(void **state)
{
	struct http_request request = good;

	(void)state;
	assert_int_equal(judge(request), 200);
	assert_string_equal(http_judge(&request).page->path, "/metrics");
	request.is_get = false;
	request.is_head = true;
	assert_int_equal(judge(request), 200);
}

static void a_query_is_not_part_of_the_path(void **state)
{
	(void)state;
	assert_int_equal(judge_target("/metrics?format=any"), 200);
	assert_int_equal(judge_target("/metrics?"), 200);
}

static void no_other_path_is_there(void **state)
{
	static const char *const targets[] = {"/metric", "/metrics/", "//metrics",
		"/../../etc/passwd", "/metrics/../metrics", "/%6detrics", "/metrics%00",
		"/;/metrics", "/METRICS"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
		assert_int_equal(judge_target(targets[i]), 404);
}

static void what_is_no_path_is_refused(void **state)
{
	static const char *const targets[] = {
		"http://localhost/metrics", "*", "", "metrics", "localhost:80", NULL};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
		assert_int_equal(judge_target(targets[i]), 400);
}

static void other_methods_are_refused(void **state)
{
	struct http_request request = good;

	(void)state;
	request.is_get = false;
	assert_int_equal(judge(request), 405);
	request.target = "/nothing";
	assert_int_equal(judge(request), 405);
}

static void bodies_and_other_versions_are_refused(void **state)
{
	struct http_request request = good;

	(void)state;
	request.has_body = true;
	assert_int_equal(judge(request), 400);
	request = good;
	request.major = 0;
	request.minor = 9;
	assert_int_equal(judge(request), 400);
}

static void there_is_one_host(void **state)
{
	struct http_request request = good;

	(void)state;
	request.hosts = 2;
	assert_int_equal(judge(request), 400);
	request.host = NULL;
	request.hosts = 0;
	assert_int_equal(judge(request), 400);
	request.minor = 0; /* HTTP/1.0 has none */
	request.checks_host = true;
	assert_int_equal(judge(request), 200);
}

static void a_foreign_name_is_refused_only_where_hosts_are_checked(void **state)
{
	struct http_request request = good;

	(void)state;
	request.host = "evil.example:9184";
	assert_int_equal(judge(request), 200);
	request.checks_host = true;
	assert_int_equal(judge(request), 421);
	request.host = "127.0.0.1:9184";
	assert_int_equal(judge(request), 200);
}

static void addresses_and_localhost_are_local_hosts(void **state)
{
	static const char *const local[] = {"localhost", "LocalHost:1", "127.0.0.1",
		"127.0.0.1:9184", "192.0.2.1:80", "[::1]", "[::1]:9184"};
	static const char *const foreign[] = {"", "evil", "localhost.evil", "localhostevil",
		"localhost:x", "localhost:", "127.0.0.1.evil", "127.0.0.1:80:80", "[::1", "[::1]x",
		"[::1]:", "::1", "[127.0.0.1]", "127.1", "evil:127.0.0.1", "[evil]", " 127.0.0.1",
		"127.0.0.1 ", "0x7f000001", "2130706433",
		"11111111111111111111111111111111111111111111111111111111111111111111"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(local); i++)
		assert_true(http_host_is_local(local[i]));
	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++)
		assert_false(http_host_is_local(foreign[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_is_found),
		cmocka_unit_test(a_query_is_not_part_of_the_path),
		cmocka_unit_test(no_other_path_is_there),
		cmocka_unit_test(what_is_no_path_is_refused),
		cmocka_unit_test(other_methods_are_refused),
		cmocka_unit_test(bodies_and_other_versions_are_refused),
		cmocka_unit_test(there_is_one_host),
		cmocka_unit_test(a_foreign_name_is_refused_only_where_hosts_are_checked),
		cmocka_unit_test(addresses_and_localhost_are_local_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
