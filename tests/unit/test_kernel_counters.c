/* Texts of /proc/net/snmp, netstat and snmp6. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "ctl/doctor/kernel_counters.h"

static struct kernel_counters before, after;

static int reset(void **state)
{
	(void)state;
	kernel_counters_clear(&before);
	kernel_counters_clear(&after);
	return 0;
}

/* From memory of its own: what reads further is caught by the sanitizer. */
static size_t parse(const char *text)
{
	char *copy = strdup(text);

	assert_int_equal(kernel_counters_parse(&after, copy), 0);
	free(copy);
	return after.count;
}

static size_t parse6(const char *text)
{
	char *copy = strdup(text);

	assert_int_equal(kernel_counters_parse6(&after, copy), 0);
	free(copy);
	return after.count;
}

static uint64_t value(const char *name)
{
	for (size_t i = 0; i < after.count; i++)
		if (!strcmp(after.items[i].name, name))
			return after.items[i].value;
	fail_msg("there is no counter %s", name);
	return 0;
}

static void names_and_values_are_in_two_lines(void **state)
{
	(void)state;
	assert_int_equal(parse("Ip: Forwarding InReceives\nIp: 2 1861\nIcmpMsg:\nIcmpMsg:\n"
			       "Udp: InDatagrams NoPorts RcvbufErrors\nUdp: 940 3 35\n"),
		5);
	assert_int_equal(value("Ip.InReceives"), 1861);
	assert_int_equal(value("Udp.NoPorts"), 3);
	assert_int_equal(value("Udp.RcvbufErrors"), 35);
}

static void counters_of_all_files_are_sorted_by_name(void **state)
{
	(void)state;
	parse("Udp: NoPorts InErrors\nUdp: 3 4\n");
	parse("TcpExt: SyncookiesSent IPReversePathFilter\nTcpExt: 0 20\n");
	assert_int_equal(parse6("Udp6InErrors                    \t7\nIp6InReceives  \t12\n"), 6);
	for (size_t i = 1; i < after.count; i++)
		assert_true(strcmp(after.items[i - 1].name, after.items[i].name) < 0);
	assert_int_equal(value("TcpExt.IPReversePathFilter"), 20);
	assert_int_equal(value("Udp6InErrors"), 7);
}

static void a_line_without_its_other_one_is_left_out(void **state)
{
	(void)state;
	assert_int_equal(parse("Udp: NoPorts\nIp: 1\nUdp: 2\n"), 0);
	assert_int_equal(parse("Udp: NoPorts\nUdp: InErrors\nUdp: 2\nUdp: 3\nUdp: 4"), 1);
	assert_int_equal(value("Udp.InErrors"), 2);
	assert_int_equal(parse("Udp: NoPorts"), 1);
	assert_int_equal(parse("Udp:\nUdp:\n:\n:\nA B\nA 1\n\n\n \n"), 1);
}

static void names_without_values_and_values_without_names_are_left_out(void **state)
{
	(void)state;
	assert_int_equal(parse("Udp: A B C\nUdp: 1 2\n"), 2);
	assert_int_equal(parse("UdpLite: D\nUdpLite: 3 4 5\n"), 3);
	assert_int_equal(value("Udp.B"), 2);
	assert_int_equal(value("UdpLite.D"), 3);
}

static void what_is_no_number_is_left_out_and_those_behind_it_stay(void **state)
{
	(void)state;
	assert_int_equal(parse("Tcp: Max A B C D E\nTcp: -1 1x 18446744073709551616 0x4 7 "
			       "18446744073709551615\n"),
		2);
	assert_int_equal(value("Tcp.D"), 7);
	assert_int_equal(value("Tcp.E"), UINT64_MAX);
	assert_int_equal(parse6("Ip6A\t-1\nIp6B\nIp6C 1 2\n\t\n5\nIp6D \t 8\nIp6E"), 3);
	assert_int_equal(value("Ip6D"), 8);
}

static void a_name_that_has_no_room_is_left_out(void **state)
{
	(void)state;
	assert_int_equal(
		parse("Udp: 234567890123456789012345678901234567890123456 A\nUdp: 1 2\n"), 0);
	assert_int_equal(parse("Udp: a234567890123456789012345678901234567890123 "
			       "b2345678901234567890123456789012345678901234\nUdp: 1 2\n"),
		1);
	assert_int_equal(value("Udp.a234567890123456789012345678901234567890123"), 1);
	assert_int_equal(parse("A23456789012345678901234567890123456789012345678901234567890: B\n"
			       "A23456789012345678901234567890123456789012345678901234567890: 1\n"),
		1);
}

static void a_text_that_is_cut_anywhere_is_read_until_there(void **state)
{
	static const char whole[] = "Udp: NoPorts InErrors\nUdp: 3 4\nIp: A\nIp: 5\n";

	(void)state;
	for (size_t size = 0; size < sizeof(whole); size++) {
		AUTO_TEXT struct text text = {0};

		text_append(&text, whole, size);
		kernel_counters_clear(&after);
		assert_true(parse(text_string(&text)) <= 3);
		kernel_counters_clear(&after);
		parse6(text_string(&text));
	}
	kernel_counters_clear(&after);
	assert_int_equal(parse(whole), 3);
}

static void a_long_line_is_read_to_its_end(void **state)
{
	AUTO_TEXT struct text names = {0}, values = {0};

	(void)state;
	text_append_string(&names, "TcpExt:");
	text_append_string(&values, "\nTcpExt:");
	for (int i = 0; i < 20000; i++) {
		text_printf(&names, " A%d", i);
		text_printf(&values, " %d", i);
	}
	text_append_string(&names, text_string(&values));
	assert_int_equal(parse(text_string(&names)), 20000);
	assert_int_equal(value("TcpExt.A19999"), 19999);
}

static void growth_is_the_difference(void **state)
{
	(void)state;
	assert_int_equal(kernel_counters_parse(&before, "Udp: A B C\nUdp: 5 5 5\n"), 0);
	parse("Udp: A B D\nUdp: 25 4 9\n");
	assert_int_equal(kernel_counters_growth(&before, &after, "Udp.A"), 20);
	assert_int_equal(kernel_counters_growth(&before, &after, "Udp.B"), 0);
	assert_int_equal(kernel_counters_growth(&before, &after, "Udp.C"), 0);
	assert_int_equal(kernel_counters_growth(&before, &after, "Udp.D"), 0);
	assert_int_equal(
		kernel_counters_growth(&before, &after,
			"Udp.A23456789012345678901234567890123456789012345678901234567890"),
		0);
	kernel_counters_clear(&before);
	assert_int_equal(kernel_counters_growth(&before, &after, "Udp.A"), 0);
}

static void this_kernel_has_the_counters_that_matter(void **state)
{
	static const char *const names[] = {"Udp.RcvbufErrors", "Udp.InCsumErrors",
		"Udp.IgnoredMulti", "Ip.OutNoRoutes", "Ip.ReasmReqds", "IpExt.InMcastPkts",
		"TcpExt.IPReversePathFilter"};

	(void)state;
	assert_int_equal(kernel_counters_read(&after), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		value(names[i]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(names_and_values_are_in_two_lines, reset),
		cmocka_unit_test_teardown(counters_of_all_files_are_sorted_by_name, reset),
		cmocka_unit_test_teardown(a_line_without_its_other_one_is_left_out, reset),
		cmocka_unit_test_teardown(
			names_without_values_and_values_without_names_are_left_out, reset),
		cmocka_unit_test_teardown(
			what_is_no_number_is_left_out_and_those_behind_it_stay, reset),
		cmocka_unit_test_teardown(a_name_that_has_no_room_is_left_out, reset),
		cmocka_unit_test_teardown(a_text_that_is_cut_anywhere_is_read_until_there, reset),
		cmocka_unit_test_teardown(a_long_line_is_read_to_its_end, reset),
		cmocka_unit_test_teardown(growth_is_the_difference, reset),
		cmocka_unit_test_teardown(this_kernel_has_the_counters_that_matter, reset),
	};

	return cmocka_run_group_tests_name("kernel_counters", tests, NULL, NULL);
}
