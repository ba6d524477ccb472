/* What the doctor takes from the kernel's answers about links and routes, of kinds that a kernel
 * may lack, cut short, and of other releases. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/if_link.h>
#include <linux/in_route.h>

#include "netlink.h"
#include "base/cleanup.h"
#include "ctl/doctor/link.h"
#include "ctl/doctor/route.h"
#include "net/rtnetlink.h"

static struct interface interfaces[] = {
	{.name = "test-eth", .index = 2, .has_ipv4 = true},
	{.name = "test-vlan", .index = 3},
	{.name = "test-br", .index = 4},
};
static const struct interface_list list = {.items = interfaces, .count = ARRAY_SIZE(interfaces)};

static int reset(void **state)
{
	(void)state;
	answer_count = answers_given = 0;
	return 0;
}

/* Attributes that are nested in another one. */
struct nest {
	_Alignas(struct rtattr) char data[256];
	size_t size;
};

static void nest(struct nest *nest, int type, const void *value, size_t size)
{
	struct rtattr *attribute = (struct rtattr *)(nest->data + nest->size);

	attribute->rta_len = (unsigned short)RTA_LENGTH(size);
	attribute->rta_type = (unsigned short)type;
	memcpy(RTA_DATA(attribute), value, size);
	nest->size += RTA_SPACE(size);
}

static struct nlmsghdr *begin_link(struct answer *answer, int ifindex, const char *name)
{
	struct ifinfomsg link = {.ifi_index = ifindex, .ifi_flags = IFF_UP | IFF_MULTICAST};
	struct nlmsghdr *message = begin(answer, RTM_NEWLINK, &link, sizeof(link));

	add(answer, message, IFLA_IFNAME, name, strlen(name) + 1);
	return message;
}

static void add_number(struct answer *answer, struct nlmsghdr *message, int type, uint32_t number)
{
	add(answer, message, type, &number, sizeof(number));
}

static void add_kind(struct answer *answer, struct nlmsghdr *message, const char *kind)
{
	struct nest info = {0};

	nest(&info, IFLA_INFO_KIND, kind, strlen(kind) + 1);
	add(answer, message, IFLA_LINKINFO, info.data, info.size);
}

static void add_vlan(struct answer *answer, int ifindex, const char *name, uint32_t lower,
	uint16_t vlan, bool is_elsewhere)
{
	struct nest info = {0}, data = {0};
	struct nlmsghdr *message = begin_link(answer, ifindex, name);

	nest(&data, IFLA_VLAN_ID, &vlan, sizeof(vlan));
	nest(&info, IFLA_INFO_KIND, "vlan", 5);
	nest(&info, IFLA_INFO_DATA | NLA_F_NESTED, data.data, data.size);
	add_number(answer, message, IFLA_LINK, lower);
	if (is_elsewhere)
		add_number(answer, message, IFLA_LINK_NETNSID, 0);
	add(answer, message, IFLA_LINKINFO, info.data, info.size);
}

static struct link read_link(const char *name)
{
	struct link link;

	assert_int_equal(link_read(name, &list, &link), 0);
	return link;
}

static void a_vlan_has_its_number_and_the_link_below(void **state)
{
	struct link link;

	(void)state;
	add_vlan(begin_answer(), 3, "test-vlan", 2, 77, false);
	link = read_link("test-vlan");
	assert_true(link.exists);
	assert_string_equal(link.name, "test-vlan");
	assert_string_equal(link.kind, "vlan");
	assert_int_equal(link.vlan, 77);
	assert_string_equal(link.lower, "test-eth");
	assert_false(link.has_ipv4);
}

static void a_link_below_in_another_namespace_has_no_name(void **state)
{
	(void)state;
	add_vlan(begin_answer(), 3, "test-vlan", 2, 77, true);
	assert_string_equal(read_link("test-vlan").lower, "");
}

static void the_other_end_of_a_veth_pair_is_not_below(void **state)
{
	struct answer *answer = begin_answer();
	struct nlmsghdr *message = begin_link(answer, 2, "test-eth");
	struct link link;

	(void)state;
	add_number(answer, message, IFLA_LINK, 3);
	add_kind(answer, message, "veth");
	link = read_link("test-eth");
	assert_string_equal(link.kind, "veth");
	assert_string_equal(link.lower, "");
	assert_int_equal(link.vlan, 0);
	assert_true(link.has_ipv4);
}

static void the_master_may_be_a_vrf(void **state)
{
	struct answer *answer = begin_answer();
	struct nlmsghdr *message = begin_link(answer, 2, "test-eth");
	struct nest info = {0};
	struct link link;

	(void)state;
	add_number(answer, message, IFLA_MASTER, 4);
	nest(&info, IFLA_INFO_SLAVE_KIND, "vrf", 4);
	add(answer, message, IFLA_LINKINFO, info.data, info.size);
	link = read_link("test-eth");
	assert_string_equal(link.master, "test-br");
	assert_string_equal(link.master_kind, "vrf");
	assert_string_equal(link.kind, "");
}

static void an_xdp_program_is_seen(void **state)
{
	(void)state;
	for (uint8_t attached = XDP_ATTACHED_NONE; attached <= XDP_ATTACHED_MULTI; attached++) {
		struct answer *answer;
		struct nest xdp = {0};

		reset(state);
		answer = begin_answer();
		nest(&xdp, IFLA_XDP_ATTACHED, &attached, sizeof(attached));
		add(answer, begin_link(answer, 2, "test-eth"), IFLA_XDP, xdp.data, xdp.size);
		assert_int_equal(read_link("test-eth").has_xdp, attached != XDP_ATTACHED_NONE);
	}
}

static void statistics_may_have_fewer_or_more_counters(void **state)
{
	static const size_t sizes[] = {23 * 8, sizeof(struct rtnl_link_stats64), 40 * 8, 12, 0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint64_t numbers[40];
		struct answer *answer;
		struct link_statistics statistics;

		for (size_t j = 0; j < ARRAY_SIZE(numbers); j++)
			numbers[j] = 100 + j;
		reset(state);
		answer = begin_answer();
		add(answer, begin_link(answer, 2, "test-eth"), IFLA_STATS64, numbers, sizes[i]);
		statistics = read_link("test-eth").statistics;
		assert_int_equal(statistics.received, sizes[i] >= 8 ? 100 : 0);
		assert_int_equal(statistics.received_dropped, sizes[i] >= 56 ? 106 : 0);
		assert_int_equal(statistics.multicast, sizes[i] >= 72 ? 108 : 0);
		assert_int_equal(statistics.received_otherhost, sizes[i] >= 200 ? 124 : 0);
	}
}

static void a_link_that_nobody_lists_or_that_has_gone_does_not_exist(void **state)
{
	struct {
		int error;
		struct nlmsghdr request;
	} gone = {.error = -ENODEV};

	(void)state;
	assert_false(read_link("test-absent").exists);
	begin(begin_answer(), NLMSG_ERROR, &gone, sizeof(gone));
	assert_false(read_link("test-eth").exists);
	assert_int_equal(answers_given, 1);
}

static void an_answer_without_a_name_or_of_half_a_number_is_survived(void **state)
{
	struct answer *answer = begin_answer();
	struct nlmsghdr *message;
	struct nest info = {0};
	struct link link;

	(void)state;
	begin(answer, RTM_NEWLINK, "\0\0", 2);
	assert_false(read_link("test-eth").exists);
	answer = begin_answer();
	message = begin_link(answer, 2, "test-eth");
	add(answer, message, IFLA_MTU, "\1\2", 2);
	add(answer, message, IFLA_OPERSTATE, "", 0);
	add(answer, message, IFLA_MASTER, "\4", 1);
	add(answer, message, IFLA_XDP, "", 0);
	nest(&info, IFLA_INFO_KIND, "vlan", 4);
	nest(&info, IFLA_INFO_DATA, "\1", 1);
	add(answer, message, IFLA_LINKINFO, info.data, info.size);
	link = read_link("test-eth");
	assert_true(link.exists);
	assert_string_equal(link.kind, "vlan");
	assert_int_equal(link.mtu, 0);
	assert_string_equal(link.master, "");
	assert_false(link.has_xdp);
}

/* The search begins with an interface that there is. */
static void a_vlan_interface_is_found_by_its_link_and_number(void **state)
{
	const uint32_t lower = if_nametoindex("lo");
	struct answer *answer;
	char name[IF_NAMESIZE];

	(void)state;
	for (uint16_t vlan = 76; vlan < 79; vlan++) {
		reset(state);
		answer = begin_answer();
		add_vlan(answer, 7, "other", lower + 1, 77, false);
		add_vlan(answer, 8, "lan.77", lower, 77, false);
		add_vlan(answer, 9, "elsewhere", lower, 78, true);
		add_vlan(answer, 10, "lan.79", lower, 79, false);
		add_done();
		if (vlan == 77)
			assert_string_equal(link_find_vlan("lo", vlan, name), "lan.77");
		else
			assert_null(link_find_vlan("lo", vlan, name));
	}
	assert_null(link_find_vlan("test-absent", 77, name));
}

static struct address address_of(const char *text)
{
	struct address address;

	assert_int_equal(address_parse(text, &address), 0);
	return address;
}

static enum route_verdict verdict(const char *group, const char *source)
{
	struct address group_address = address_of(group), source_address = address_of(source);

	return route_verdict(&group_address, &source_address, 7);
}

static void refuse(int error)
{
	struct {
		int error;
		struct nlmsghdr request;
	} body = {.error = error};

	begin(begin_answer(), NLMSG_ERROR, &body, sizeof(body));
}

static void the_kernel_is_asked_with_source_and_interface(void **state)
{
	const struct nlmsghdr *request = (const void *)sent;
	const struct rtattr *parts[RTA_OIF + 1];
	const struct rtmsg *route = NLMSG_DATA(request);
	unsigned ifindex = 0;
	struct in_addr source;

	(void)state;
	verdict("239.1.1.1", "192.0.2.9");
	assert_int_equal(request->nlmsg_type, RTM_GETROUTE);
	assert_int_equal(route->rtm_dst_len, 32);
	assert_int_equal(route->rtm_src_len, 32);
	rtnetlink_attributes(request, sizeof(*route), parts, ARRAY_SIZE(parts));
	assert_true(rtnetlink_copy(parts[RTA_SRC], &source, sizeof(source)));
	assert_int_equal(source.s_addr, htonl(0xc0000209));
	assert_true(rtnetlink_copy(parts[RTA_IIF], &ifindex, sizeof(ifindex)));
	assert_int_equal(ifindex, 7);
	assert_null(parts[RTA_OIF]);
}

static void the_kernel_takes_what_it_would_deliver_here(void **state)
{
	struct rtmsg route = {.rtm_type = RTN_MULTICAST, .rtm_flags = RTCF_LOCAL};

	(void)state;
	begin(begin_answer(), RTM_NEWROUTE, &route, sizeof(route));
	assert_int_equal(verdict("239.1.1.1", "192.0.2.9"), VERDICT_TAKES);
	/* A router takes other groups to forward them. */
	route.rtm_flags = 0;
	begin(begin_answer(), RTM_NEWROUTE, &route, sizeof(route));
	assert_int_equal(verdict("239.1.1.1", "192.0.2.9"), VERDICT_REFUSES);
}

static void kernels_refuse_by_one_error_or_the_other(void **state)
{
	(void)state;
	refuse(-EINVAL);
	refuse(-EXDEV);
	assert_int_equal(verdict("239.1.1.1", "192.0.2.9"), VERDICT_REFUSES);
	assert_int_equal(verdict("239.1.1.1", "192.0.2.9"), VERDICT_REFUSES);
}

static void other_errors_and_answers_are_no_verdict(void **state)
{
	struct rtmsg route = {.rtm_type = RTN_UNICAST, .rtm_flags = RTCF_LOCAL};

	(void)state;
	refuse(-ENODEV);
	begin(begin_answer(), RTM_NEWROUTE, &route, sizeof(route));
	begin(begin_answer(), RTM_NEWROUTE, "\2", 1);
	for (int i = 0; i < 4; i++)
		assert_int_equal(verdict("239.1.1.1", "192.0.2.9"), VERDICT_UNKNOWN);
	assert_int_equal(answers_given, 3);
}

static void ipv6_is_not_asked(void **state)
{
	struct rtmsg route = {.rtm_type = RTN_MULTICAST, .rtm_flags = RTCF_LOCAL};

	(void)state;
	begin(begin_answer(), RTM_NEWROUTE, &route, sizeof(route));
	assert_int_equal(verdict("ff15::5", "2001:db8::1"), VERDICT_UNKNOWN);
	assert_int_equal(answers_given, 0);
}

static struct route find(const char *address, unsigned ifindex)
{
	struct address wanted = address_of(address);
	struct route route;

	route_find(&wanted, ifindex, &route);
	return route;
}

static void a_route_has_source_and_gateway(void **state)
{
	struct rtmsg fixed = {.rtm_family = AF_INET, .rtm_type = RTN_UNICAST};
	struct answer *answer = begin_answer();
	struct nlmsghdr *message = begin(answer, RTM_NEWROUTE, &fixed, sizeof(fixed));
	struct address gateway = address_of("192.0.2.254"), source = address_of("192.0.2.1");
	struct route route;

	(void)state;
	add_number(answer, message, RTA_OIF, if_nametoindex("lo"));
	add(answer, message, RTA_GATEWAY, &gateway.v4, 4);
	add(answer, message, RTA_PREFSRC, &source.v4, 4);
	route = find("198.51.100.1", 0);
	assert_true(route.exists);
	assert_int_equal(route.error, 0);
	assert_string_equal(route.interface, "lo");
	assert_true(route.has_gateway);
	assert_true(address_equal(&route.gateway, &gateway));
	assert_true(address_equal(&route.source, &source));
	assert_false(route.is_local);
}

static void an_ipv4_route_may_have_a_gateway_of_ipv6(void **state)
{
	struct rtmsg fixed = {.rtm_family = AF_INET, .rtm_type = RTN_UNICAST};
	struct address gateway = address_of("fe80::9");
	struct {
		uint16_t family;
		struct in6_addr address;
	} __attribute__((packed)) via = {AF_INET6, gateway.v6};
	struct answer *answer;
	struct route route;

	(void)state;
	answer = begin_answer();
	add(answer, begin(answer, RTM_NEWROUTE, &fixed, sizeof(fixed)), RTA_VIA, &via, sizeof(via));
	answer = begin_answer();
	add(answer, begin(answer, RTM_NEWROUTE, &fixed, sizeof(fixed)), RTA_VIA, &via, 10);
	route = find("198.51.100.1", 0);
	assert_true(route.has_gateway);
	assert_true(address_equal(&route.gateway, &gateway));
	assert_false(find("198.51.100.1", 0).has_gateway);
}

static void a_route_of_this_host_is_local(void **state)
{
	struct rtmsg fixed = {.rtm_family = AF_INET, .rtm_type = RTN_LOCAL};

	(void)state;
	begin(begin_answer(), RTM_NEWROUTE, &fixed, sizeof(fixed));
	assert_true(find("192.0.2.1", 0).is_local);
}

static void a_way_that_there_is_not_has_its_error(void **state)
{
	struct rtmsg fixed = {.rtm_family = AF_INET6, .rtm_type = RTN_PROHIBIT};
	struct rta_cacheinfo cache = {.rta_error = (uint32_t)-EACCES};
	struct answer *answer;

	(void)state;
	refuse(-ENETUNREACH);
	answer = begin_answer();
	add(answer, begin(answer, RTM_NEWROUTE, &fixed, sizeof(fixed)), RTA_CACHEINFO, &cache,
		sizeof(cache));
	begin(begin_answer(), RTM_NEWROUTE, &fixed, sizeof(fixed));
	begin(begin_answer(), RTM_NEWROUTE, "\2", 1);
	assert_int_equal(find("198.51.100.1", 0).error, -ENETUNREACH);
	assert_int_equal(find("2001:db8::1", 0).error, -EACCES);
	assert_int_equal(find("2001:db8::1", 0).error, -EHOSTUNREACH);
	assert_false(find("2001:db8::1", 0).exists);
}

static void an_interface_that_is_named_is_asked_for(void **state)
{
	const struct nlmsghdr *request = (const void *)sent;
	const struct rtattr *parts[RTA_OIF + 1];
	struct in6_addr group;
	unsigned ifindex = 0;

	(void)state;
	find("ff15::5", 9);
	rtnetlink_attributes(request, sizeof(struct rtmsg), parts, ARRAY_SIZE(parts));
	assert_true(rtnetlink_copy(parts[RTA_DST], &group, sizeof(group)));
	assert_true(rtnetlink_copy(parts[RTA_OIF], &ifindex, sizeof(ifindex)));
	assert_int_equal(ifindex, 9);
	find("ff15::5", 0);
	rtnetlink_attributes(request, sizeof(struct rtmsg), parts, ARRAY_SIZE(parts));
	assert_null(parts[RTA_OIF]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_vlan_has_its_number_and_the_link_below, reset),
		cmocka_unit_test_setup(a_link_below_in_another_namespace_has_no_name, reset),
		cmocka_unit_test_setup(the_other_end_of_a_veth_pair_is_not_below, reset),
		cmocka_unit_test_setup(the_master_may_be_a_vrf, reset),
		cmocka_unit_test_setup(an_xdp_program_is_seen, reset),
		cmocka_unit_test_setup(statistics_may_have_fewer_or_more_counters, reset),
		cmocka_unit_test_setup(
			a_link_that_nobody_lists_or_that_has_gone_does_not_exist, reset),
		cmocka_unit_test_setup(
			an_answer_without_a_name_or_of_half_a_number_is_survived, reset),
		cmocka_unit_test_setup(a_vlan_interface_is_found_by_its_link_and_number, reset),
		cmocka_unit_test_setup(the_kernel_is_asked_with_source_and_interface, reset),
		cmocka_unit_test_setup(the_kernel_takes_what_it_would_deliver_here, reset),
		cmocka_unit_test_setup(kernels_refuse_by_one_error_or_the_other, reset),
		cmocka_unit_test_setup(other_errors_and_answers_are_no_verdict, reset),
		cmocka_unit_test_setup(ipv6_is_not_asked, reset),
		cmocka_unit_test_setup(a_route_has_source_and_gateway, reset),
		cmocka_unit_test_setup(an_ipv4_route_may_have_a_gateway_of_ipv6, reset),
		cmocka_unit_test_setup(a_route_of_this_host_is_local, reset),
		cmocka_unit_test_setup(a_way_that_there_is_not_has_its_error, reset),
		cmocka_unit_test_setup(an_interface_that_is_named_is_asked_for, reset),
	};

	return cmocka_run_group_tests_name("doctor_netlink", tests, NULL, NULL);
}
