/* What the kernel answers, where it is cut short: nothing is read beyond a message or an attribute.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "netlink.h"
#include "net/interface.h"
#include "net/reverse_path.h"
#include "net/rtnetlink.h"

static int reset(void **state)
{
	(void)state;
	answer_count = answers_given = 0;
	return 0;
}

static void a_message_that_ends_between_two_words_is_the_last(void **state)
{
	struct answer *answer = begin_answer();
	struct interface_list list;

	(void)state;
	begin(answer, RTM_NEWLINK, "\0\0", 2);
	add_done();
	add_done();
	assert_int_equal(interface_list_read(&list), 0);
	assert_int_equal(list.count, 0);
	interface_list_clear(&list);
}

static void a_name_without_its_nul_ends_with_its_attribute(void **state)
{
	struct ifinfomsg link = {.ifi_index = 2};
	struct answer *answer = begin_answer();
	struct interface_list list;

	(void)state;
	add(answer, begin(answer, RTM_NEWLINK, &link, sizeof(link)), IFLA_IFNAME, "eth0", 4);
	add_done();
	add_done();
	assert_int_equal(interface_list_read(&list), 0);
	assert_int_equal(list.count, 1);
	assert_string_equal(list.items[0].name, "eth0");
	interface_list_clear(&list);
}

static void an_interface_without_a_name_is_none(void **state)
{
	struct ifinfomsg link = {.ifi_index = 2};
	struct answer *answer = begin_answer();
	struct interface_list list;

	(void)state;
	add(answer, begin(answer, RTM_NEWLINK, &link, sizeof(link)), IFLA_IFNAME, "", 0);
	add(answer, begin(answer, RTM_NEWLINK, &link, sizeof(link)), IFLA_IFNAME, "\0", 1);
	add_done();
	add_done();
	assert_int_equal(interface_list_read(&list), 0);
	assert_int_equal(list.count, 0);
	interface_list_clear(&list);
}

static void a_number_that_is_too_short_is_not_read(void **state)
{
	struct ifaddrmsg address = {.ifa_family = AF_INET, .ifa_index = 2};
	struct answer *answer;
	struct nlmsghdr *message;
	struct interface_list list;

	(void)state;
	add_done();
	answer = begin_answer();
	message = begin(answer, RTM_NEWADDR, &address, sizeof(address));
	add(answer, message, IFA_FLAGS, "\x40",
		1); /* IFA_F_TENTATIVE, and three bytes that are none */
	add(answer, message, IFA_ADDRESS, "\xc0\0\2\1", 4);
	add_done();
	assert_int_equal(interface_list_read(&list), 0);
	assert_int_equal(list.addresses.count, 1);
	assert_false(list.addresses.items[0].is_tentative);
	interface_list_clear(&list);
}

static void a_route_without_all_of_its_fixed_part_is_none(void **state)
{
	struct address address = {.family = AF_INET};
	unsigned ifindex;

	(void)state;
	begin(begin_answer(), RTM_NEWROUTE, "\2", 1);
	assert_int_equal(rtnetlink_route(&address, &ifindex), -EIO);
}

static void a_route_by_half_an_interface_leads_nowhere(void **state)
{
	struct rtmsg route = {.rtm_type = RTN_UNICAST};
	struct address source = {.family = AF_INET, .v4.s_addr = htonl(0xc0000201)};
	struct reverse_path *paths = reverse_path_new();
	struct answer *answer = begin_answer();

	(void)state;
	add(answer, begin(answer, RTM_NEWROUTE, &route, sizeof(route)), RTA_OIF, "xx", 2);
	assert_false(reverse_path_leads_to(paths, &source, 0x78787878, 1));
	reverse_path_free(paths);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_message_that_ends_between_two_words_is_the_last, reset),
		cmocka_unit_test_setup(a_name_without_its_nul_ends_with_its_attribute, reset),
		cmocka_unit_test_setup(an_interface_without_a_name_is_none, reset),
		cmocka_unit_test_setup(a_number_that_is_too_short_is_not_read, reset),
		cmocka_unit_test_setup(a_route_without_all_of_its_fixed_part_is_none, reset),
		cmocka_unit_test_setup(a_route_by_half_an_interface_leads_nowhere, reset),
	};

	return cmocka_run_group_tests_name("rtnetlink", tests, NULL, NULL);
}
