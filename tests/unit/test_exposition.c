/* Prometheus' text format: whatever a name or a help text has in it, each line stays one line, and
 * each label one label. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/cleanup.h"
#include "http/exposition.h"

static const struct metric dropped = {"mcastd_dropped_total", METRIC_COUNTER, "What was dropped."};

static void assert_sample(const char *value, const char *expected)
{
	const struct label label = {"name", value};
	struct text text = {0};

	exposition_number(&text, &dropped, &label, 1, 7);
	assert_string_equal(text_string(&text), expected);
	text_free(&text);
}

static void a_metric_is_explained_before_its_samples(void **state)
{
	AUTO_TEXT struct text text = {0};

	(void)state;
	exposition_head(&text, &dropped);
	assert_string_equal(text_string(&text), "# HELP mcastd_dropped_total What was dropped.\n"
						"# TYPE mcastd_dropped_total counter\n");
}

static void a_gauge_says_so(void **state)
{
	static const struct metric joined = {"mcastd_joined", METRIC_GAUGE, "Whether."};
	AUTO_TEXT struct text text = {0};

	(void)state;
	exposition_head(&text, &joined);
	assert_non_null(strstr(text_string(&text), "# TYPE mcastd_joined gauge\n"));
}

static void a_help_text_escapes_line_breaks_and_backslashes_but_no_quotes(void **state)
{
	static const struct metric odd = {"odd", METRIC_GAUGE, "a\nb\\c\"d"};
	AUTO_TEXT struct text text = {0};

	(void)state;
	exposition_head(&text, &odd);
	assert_string_equal(text_string(&text), "# HELP odd a\\nb\\\\c\"d\n# TYPE odd gauge\n");
}

static void a_sample_without_labels_has_no_braces(void **state)
{
	AUTO_TEXT struct text text = {0};

	(void)state;
	exposition_number(&text, &dropped, NULL, 0, UINT64_MAX);
	assert_string_equal(text_string(&text), "mcastd_dropped_total 18446744073709551615\n");
}

static void labels_are_separated_by_commas(void **state)
{
	static const struct label labels[] = {{"group", "news"}, {"interface", "eth0"}};
	AUTO_TEXT struct text text = {0};

	(void)state;
	exposition_number(&text, &dropped, labels, 2, 0);
	assert_string_equal(
		text_string(&text), "mcastd_dropped_total{group=\"news\",interface=\"eth0\"} 0\n");
}

static void a_label_escapes_what_would_end_it(void **state)
{
	(void)state;
	assert_sample("", "mcastd_dropped_total{name=\"\"} 7\n");
	assert_sample("a\"b", "mcastd_dropped_total{name=\"a\\\"b\"} 7\n");
	assert_sample("a\nb", "mcastd_dropped_total{name=\"a\\nb\"} 7\n");
	assert_sample("a\\", "mcastd_dropped_total{name=\"a\\\\\\\\\"} 7\n");
	assert_sample(
		"\"} 1\nforged{x=\"", "mcastd_dropped_total{name=\"\\\"} 1\\nforged{x=\\\"\"} 7\n");
}

static void a_label_of_other_scripts_stays_as_it_is(void **state)
{
	(void)state;
	assert_sample("Gr\u00fc\u00dfe", "mcastd_dropped_total{name=\"Gr\u00fc\u00dfe\"} 7\n");
}

static void a_label_that_is_not_utf8_becomes_readable(void **state)
{
	(void)state;
	assert_sample("a\xff\"\n", "mcastd_dropped_total{name=\"a\\\\xff\\\"\\\\n\"} 7\n");
}

/* Names of interfaces may be any bytes: two of them must not become one series. */
static void a_label_that_looks_like_an_escaped_one_differs_from_it(void **state)
{
	(void)state;
	assert_sample("a\xff", "mcastd_dropped_total{name=\"a\\\\xff\"} 7\n");
	assert_sample("a\\xff", "mcastd_dropped_total{name=\"a\\\\\\\\xff\"} 7\n");
}

static void seconds_are_exact(void **state)
{
	static const struct metric busy = {"busy_seconds_total", METRIC_COUNTER, "Busy."};
	AUTO_TEXT struct text text = {0};

	(void)state;
	exposition_decimal(&text, &busy, NULL, 0, 1);
	exposition_decimal(&text, &busy, NULL, 0, 1732800000123456789);
	assert_string_equal(text_string(&text),
		"busy_seconds_total 0.000000001\nbusy_seconds_total 1732800000.123456789\n");
}

static void a_summary_has_one_head_without_the_suffix_of_its_sum(void **state)
{
	static const struct metric sum = {"took_seconds_sum", METRIC_SUM, "How long it took."};
	static const struct metric count = {"took_seconds_count", METRIC_COUNT, "How many."};
	AUTO_TEXT struct text text = {0};

	(void)state;
	exposition_head(&text, &sum);
	exposition_decimal(&text, &sum, NULL, 0, 2500000000);
	exposition_head(&text, &count);
	exposition_number(&text, &count, NULL, 0, 2);
	assert_string_equal(text_string(&text), "# HELP took_seconds How long it took.\n"
						"# TYPE took_seconds summary\n"
						"took_seconds_sum 2.500000000\n"
						"took_seconds_count 2\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_metric_is_explained_before_its_samples),
		cmocka_unit_test(a_gauge_says_so),
		cmocka_unit_test(a_help_text_escapes_line_breaks_and_backslashes_but_no_quotes),
		cmocka_unit_test(a_sample_without_labels_has_no_braces),
		cmocka_unit_test(labels_are_separated_by_commas),
		cmocka_unit_test(a_label_escapes_what_would_end_it),
		cmocka_unit_test(a_label_of_other_scripts_stays_as_it_is),
		cmocka_unit_test(a_label_that_is_not_utf8_becomes_readable),
		cmocka_unit_test(a_label_that_looks_like_an_escaped_one_differs_from_it),
		cmocka_unit_test(seconds_are_exact),
		cmocka_unit_test(a_summary_has_one_head_without_the_suffix_of_its_sum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
