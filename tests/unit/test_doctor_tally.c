/* What is counted of frames, by group and interface. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/if_packet.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "ctl/doctor/filter.h"
#include "ctl/doctor/fragments.h"
#include "ctl/doctor/tally.h"

enum { LO = 1, ETH0, ETH1 };
enum { GROUP, OTHER_PORT, GROUP6, UNICAST, ANY };

#define BEGIN_NS (1000 * NS_PER_S)
#define LATE_NS (BEGIN_NS + FRAGMENTS_LATE_NS)

static struct address address_of(const char *text)
{
	struct address address;

	assert_int_equal(address_parse(text, &address), 0);
	return address;
}

static int set_up(void **state)
{
	const struct wire_group groups[] = {
		[GROUP] = {address_of("239.1.1.1"), 5004},
		[OTHER_PORT] = {address_of("239.1.1.1"), 5006},
		[GROUP6] = {address_of("ff15::1:1"), 5004},
		[UNICAST] = {address_of("192.0.2.9"), 5004},
		[ANY] = {address_of("0.0.0.0"), 7000},
	};

	*state = tally_new(groups, ARRAY_SIZE(groups), BEGIN_NS);
	return *state ? 0 : -1;
}

static int tear_down(void **state)
{
	tally_free(*state);
	return 0;
}

static struct frame datagram(const char *to, uint16_t port)
{
	return (struct frame){.kind = FRAME_UDP,
		.to_mac = {1},
		.vlan = -1,
		.source = address_of(strchr(to, ':') ? "2001:db8::1" : "192.0.2.1"),
		.destination = address_of(to),
		.ttl = 5,
		.size = 100,
		.source_port = 4000,
		.destination_port = port};
}

static void take_as(struct tally *tally, const struct frame *frame, unsigned ifindex,
	uint8_t packet_type, uint64_t now_ns)
{
	struct sighting sighting = {ifindex, packet_type, now_ns};

	tally_take(tally, frame, &sighting);
}

static void take_in(struct tally *tally, const struct frame *frame)
{
	take_as(tally, frame, ETH0,
		address_is_multicast(&frame->destination) ? PACKET_MULTICAST : PACKET_HOST,
		LATE_NS);
}

static const struct wire_seen *seen(struct tally *tally, size_t group)
{
	return tally_seen(tally, group, ETH0, LATE_NS);
}

static void datagrams_count_for_their_group_and_interface(void **state)
{
	struct frame frame = datagram("239.1.1.1", 5004);

	take_in(*state, &frame);
	frame.ttl = 3;
	frame.size = 1400;
	take_in(*state, &frame);
	assert_int_equal(seen(*state, GROUP)->in, 2);
	assert_int_equal(seen(*state, GROUP)->ttl_min, 3);
	assert_int_equal(seen(*state, GROUP)->ttl_max, 5);
	assert_int_equal(seen(*state, GROUP)->largest, 1400);
	assert_int_equal(seen(*state, GROUP)->sender_count, 1);
	assert_int_equal(seen(*state, GROUP)->senders[0].datagrams, 2);
	assert_int_equal(seen(*state, GROUP)->senders[0].ttl, 3);
	assert_int_equal(seen(*state, GROUP6)->in, 0);
	assert_int_equal(tally_seen(*state, GROUP, ETH1, LATE_NS)->in, 0);
	assert_int_equal(tally_elsewhere(*state, GROUP, ETH1), ETH0);
	assert_int_equal(tally_elsewhere(*state, GROUP, ETH0), 0);
}

static void take_to(struct tally *tally, const char *to, uint16_t port)
{
	struct frame frame = datagram(to, port);

	take_in(tally, &frame);
}

static void what_comes_to_a_groups_port_at_the_address_of_none_is_told_apart(void **state)
{
	struct address other = address_of("239.9.9.9"), host = address_of("192.0.2.5");
	const struct wire_seen *answer;

	take_to(*state, "239.9.9.9", 5004);
	take_to(*state, "239.9.9.9", 5004);
	take_to(*state, "192.0.2.5", 5004);
	take_to(*state, "239.9.9.9", 5005);
	take_to(*state, "239.1.1.1", 5004);
	take_to(*state, "192.0.2.9", 5006); /* what goes to other ports of a group is not stray */
	take_to(*state, "ff15::9", 5004);
	answer = seen(*state, GROUP);
	assert_int_equal(answer->other_count, 2);
	assert_true(address_equal(&answer->others[0].address, &other));
	assert_int_equal(answer->others[0].datagrams, 2);
	assert_true(address_equal(&answer->others[1].address, &host));
	assert_int_equal(seen(*state, OTHER_PORT)->other_count, 0);
	assert_int_equal(seen(*state, GROUP6)->other_count, 1);
	assert_int_equal(seen(*state, ANY)->other_count, 0);
	assert_int_equal(tally_seen(*state, GROUP, ETH1, LATE_NS)->other_count, 0);
	tally_restart(*state, LATE_NS);
	assert_int_equal(seen(*state, GROUP)->other_count, 0);
}

static void of_other_addresses_the_first_ones_are_kept(void **state)
{
	char to[INET_ADDRSTRLEN];

	for (unsigned i = 0; i < WIRE_OTHERS_MAX + 2; i++) {
		snprintf(to, sizeof(to), "239.9.9.%u", i);
		take_to(*state, to, 5004);
	}
	assert_int_equal(seen(*state, GROUP)->other_count, WIRE_OTHERS_MAX);
}

static void what_this_host_sends_does_not_come_in(void **state)
{
	struct frame frame = datagram("239.1.1.1", 5004);

	take_as(*state, &frame, ETH0, PACKET_OUTGOING, LATE_NS);
	assert_int_equal(seen(*state, GROUP)->from_here, 1);
	assert_int_equal(seen(*state, GROUP)->in, 0);
	assert_int_equal(tally_elsewhere(*state, GROUP, ETH1), 0);
}

static void other_ports_are_told_also_those_of_other_groups(void **state)
{
	struct frame frame = datagram("239.1.1.1", 9999);

	take_in(*state, &frame);
	frame.destination_port = 5006;
	take_in(*state, &frame);
	take_in(*state, &frame);
	assert_int_equal(seen(*state, GROUP)->in, 0);
	assert_int_equal(seen(*state, GROUP)->other_port, 3);
	assert_int_equal(seen(*state, GROUP)->other_port_count, 2);
	assert_int_equal(seen(*state, GROUP)->other_ports[0], 5006);
	assert_int_equal(seen(*state, GROUP)->other_ports[1], 9999);
	assert_int_equal(seen(*state, OTHER_PORT)->in, 2);
}

static void no_more_ports_and_senders_are_kept_than_there_is_room_for(void **state)
{
	struct frame frame = datagram("239.1.1.1", 5004);

	for (uint16_t i = 0; i < 100; i++) {
		frame.source_port = i;
		take_in(*state, &frame);
	}
	for (uint16_t i = 0; i < 100; i++) {
		frame.destination_port = (uint16_t)(1000 - i);
		take_in(*state, &frame);
	}
	assert_int_equal(seen(*state, GROUP)->in, 100);
	assert_int_equal(seen(*state, GROUP)->sender_count, WIRE_SENDERS_MAX);
	assert_int_equal(seen(*state, GROUP)->other_port, 100);
	assert_int_equal(seen(*state, GROUP)->other_port_count, WIRE_PORTS_MAX);
}

static void what_this_host_sends_to_other_ports_is_told(void **state)
{
	struct frame frame = datagram("239.1.1.1", 6000);

	take_as(*state, &frame, ETH0, PACKET_OUTGOING, LATE_NS);
	assert_int_equal(seen(*state, GROUP)->from_here, 0);
	assert_int_equal(seen(*state, GROUP)->other_port, 0);
	assert_int_equal(seen(*state, GROUP)->other_port_from_here, 1);
	assert_int_equal(seen(*state, GROUP)->other_ports[0], 6000);
}

static void a_tag_is_told_whatever_the_port(void **state)
{
	struct frame frame = datagram("239.1.1.1", 6000);

	frame.vlan = 7;
	take_in(*state, &frame);
	assert_int_equal(seen(*state, GROUP)->tagged, 0);
	assert_int_equal(seen(*state, GROUP)->other_port, 0);
	assert_int_equal(seen(*state, GROUP)->other_port_tagged, 1);
	assert_int_equal(seen(*state, GROUP)->vlan, 7);
}

static void another_group_on_the_mac_address_collides(void **state)
{
	struct frame frame = datagram("238.129.1.1", 1234);
	char text[INET6_ADDRSTRLEN];

	take_in(*state, &frame);
	assert_int_equal(seen(*state, GROUP)->collisions, 1);
	assert_string_equal(address_format(&seen(*state, GROUP)->collision, text), "238.129.1.1");
	assert_int_equal(seen(*state, GROUP)->other_port, 0);
	frame = datagram("ff1e::abcd:1:2", 5004);
	take_in(*state, &frame);
	assert_int_equal(seen(*state, GROUP6)->collisions, 0);
	frame = datagram("ff1e::abcd:1:1", 5004);
	take_in(*state, &frame);
	assert_int_equal(seen(*state, GROUP6)->collisions, 1);
}

static void what_is_for_another_host_does_not_count(void **state)
{
	struct frame frame = datagram("192.0.2.9", 5004);

	take_as(*state, &frame, ETH0, PACKET_OTHERHOST, LATE_NS);
	assert_int_equal(seen(*state, UNICAST)->in, 0);
	take_in(*state, &frame);
	assert_int_equal(seen(*state, UNICAST)->in, 1);
	assert_int_equal(seen(*state, UNICAST)->collisions, 0);
}

static void a_group_for_all_addresses_is_seen_by_its_port(void **state)
{
	struct frame frame = datagram("192.0.2.77", 7000);

	take_in(*state, &frame);
	frame = datagram("192.0.2.9", 7000);
	take_in(*state, &frame);
	frame = datagram("239.1.1.1", 7000);
	take_in(*state, &frame);
	frame = datagram("192.0.2.77", 7001);
	take_in(*state, &frame);
	assert_int_equal(seen(*state, ANY)->in, 2);
}

static void tagged_frames_are_not_in(void **state)
{
	struct frame frame = datagram("239.1.1.1", 5004);

	frame.vlan = 7;
	take_in(*state, &frame);
	assert_int_equal(seen(*state, GROUP)->in, 0);
	assert_int_equal(seen(*state, GROUP)->tagged, 1);
	assert_int_equal(seen(*state, GROUP)->vlan, 7);
	frame.vlan = 0; /* a priority, and no VLAN */
	take_in(*state, &frame);
	assert_int_equal(seen(*state, GROUP)->in, 1);
}

static void broken_datagrams_are_in_and_told(void **state)
{
	struct frame frame = datagram("239.1.1.1", 5004);

	frame.bad_udp_checksum = true;
	take_in(*state, &frame);
	frame.bad_ip_checksum = frame.bad_udp_length = true;
	take_in(*state, &frame);
	assert_int_equal(seen(*state, GROUP)->in, 2);
	assert_int_equal(seen(*state, GROUP)->bad_udp_checksums, 2);
	assert_int_equal(seen(*state, GROUP)->bad_ip_checksums, 1);
	assert_int_equal(seen(*state, GROUP)->bad_lengths, 1);
}

static struct frame fragment(uint32_t identification, uint32_t offset, size_t size, bool more)
{
	struct frame frame = datagram("239.1.1.1", offset ? 0 : 5004);

	frame.kind = FRAME_FRAGMENT;
	frame.identification = identification;
	frame.fragment_offset = offset;
	frame.fragment_size = size;
	frame.more_fragments = more;
	return frame;
}

static void take_fragment(
	struct tally *tally, uint32_t identification, uint32_t offset, size_t size, bool more)
{
	struct frame frame = fragment(identification, offset, size, more);

	take_in(tally, &frame);
}

static void a_datagram_whose_fragments_all_came_is_complete(void **state)
{
	take_fragment(*state, 1, 0, 16, true);
	take_fragment(*state, 1, 16, 16, true);
	take_fragment(*state, 1, 32, 5, false);
	/* in another order */
	take_fragment(*state, 2, 16, 5, false);
	take_fragment(*state, 2, 0, 16, true);
	assert_int_equal(tally_seen(*state, GROUP, ETH0, LATE_NS + NS_PER_S)->incomplete, 0);
	assert_int_equal(seen(*state, GROUP)->in, 2);
	assert_int_equal(seen(*state, GROUP)->first_fragments, 2);
	assert_int_equal(seen(*state, GROUP)->later_fragments, 3);
}

static void a_datagram_without_one_of_its_fragments_is_incomplete(void **state)
{
	take_fragment(*state, 1, 0, 16, true);
	take_fragment(*state, 2, 16, 5, false);
	take_fragment(*state, 3, 0, 16, true);
	take_fragment(*state, 3, 32, 16, false);
	assert_int_equal(seen(*state, GROUP)->incomplete, 0);
	assert_int_equal(tally_seen(*state, GROUP, ETH0, LATE_NS + NS_PER_S)->incomplete, 3);
	assert_int_equal(tally_seen(*state, GROUP6, ETH0, LATE_NS + NS_PER_S)->incomplete, 0);
}

static void fragments_of_another_port_are_not_missing(void **state)
{
	struct frame frame = fragment(1, 0, 16, true);

	frame.destination_port = 9999;
	take_in(*state, &frame);
	assert_int_equal(tally_seen(*state, GROUP, ETH0, LATE_NS + NS_PER_S)->incomplete, 0);
}

static void a_datagram_that_began_before_the_look_is_not_incomplete(void **state)
{
	struct frame frame = fragment(1, 16, 5, false);

	take_as(*state, &frame, ETH0, PACKET_MULTICAST, BEGIN_NS + 1);
	assert_int_equal(tally_seen(*state, GROUP, ETH0, LATE_NS + NS_PER_S)->incomplete, 0);
}

static struct frame report(uint8_t type, uint16_t source_count, bool is_leave)
{
	struct frame frame = {.kind = FRAME_REPORT,
		.vlan = -1,
		.version = 3,
		.source = address_of("192.0.2.9"),
		.destination = address_of("224.0.0.22"),
		.record_count = 2};

	frame.records[0].group = address_of("239.9.9.9");
	frame.records[1] = (struct frame_record){.group = address_of("239.1.1.1"),
		.type = type,
		.source_count = source_count,
		.is_leave = is_leave};
	return frame;
}

static void only_reports_of_this_host_count(void **state)
{
	struct frame frame = report(4, 0, false);

	take_in(*state, &frame);
	assert_int_equal(seen(*state, GROUP)->reports_out, 0);
	take_as(*state, &frame, ETH0, PACKET_OUTGOING, LATE_NS);
	assert_int_equal(seen(*state, GROUP)->reports_out, 1);
	assert_int_equal(seen(*state, GROUP)->report_version, 3);
	assert_false(seen(*state, GROUP)->reports_with_sources);
	frame = report(5, 1, false);
	take_as(*state, &frame, ETH0, PACKET_OUTGOING, LATE_NS);
	assert_true(seen(*state, GROUP)->reports_with_sources);
	frame = report(3, 0, true);
	take_as(*state, &frame, ETH0, PACKET_OUTGOING, LATE_NS);
	assert_int_equal(seen(*state, GROUP)->reports_out, 2);
}

static void a_general_query_asks_for_each_group_of_its_family(void **state)
{
	struct frame frame = {
		.kind = FRAME_QUERY, .vlan = -1, .version = 2, .source = address_of("192.0.2.1")};

	frame.destination = address_of("224.0.0.1");
	take_in(*state, &frame);
	frame.record_count = 1;
	frame.records[0].group = address_of("239.1.1.1");
	take_in(*state, &frame);
	frame.records[0].group = address_of("239.9.9.9");
	take_in(*state, &frame);
	assert_int_equal(seen(*state, GROUP)->queries, 2);
	assert_int_equal(seen(*state, GROUP)->query_version, 2);
	assert_int_equal(seen(*state, UNICAST)->queries, 1);
	assert_int_equal(seen(*state, GROUP6)->queries, 0);
}

static uint64_t unanswered(void *state, uint64_t after_ms)
{
	return tally_seen(state, GROUP, ETH0, LATE_NS + after_ms * NS_PER_MS)->unanswered;
}

static void a_query_without_a_report_in_time_is_unanswered(void **state)
{
	struct frame query = {.kind = FRAME_QUERY,
		.vlan = -1,
		.version = 3,
		.source = address_of("192.0.2.1"),
		.destination = address_of("224.0.0.1"),
		.answer_ms = 1000};
	struct frame answer = report(2, 0, false);

	take_as(*state, &query, ETH0, PACKET_OUTGOING, LATE_NS);
	assert_int_equal(unanswered(*state, 5000), 0);
	take_as(*state, &query, ETH0, PACKET_MULTICAST, LATE_NS);
	assert_int_equal(unanswered(*state, 900), 0);
	assert_int_equal(unanswered(*state, 2000), 1);
	take_as(*state, &answer, ETH0, PACKET_OUTGOING, LATE_NS + 800 * NS_PER_MS);
	assert_int_equal(unanswered(*state, 2000), 0);
}

static void a_copy_on_another_interface_is_a_duplicate(void **state)
{
	struct frame frame = datagram("239.1.1.1", 5004);

	frame.payload = (const uint8_t *)"hello";
	frame.payload_size = 5;
	take_in(*state, &frame);
	take_in(*state, &frame);
	assert_int_equal(seen(*state, GROUP)->duplicates, 0);
	take_as(*state, &frame, LO, PACKET_MULTICAST, LATE_NS);
	frame.payload = (const uint8_t *)"other";
	take_as(*state, &frame, LO, PACKET_MULTICAST, LATE_NS);
	take_as(*state, &frame, ETH0, PACKET_MULTICAST, LATE_NS + 2 * NS_PER_S);
	assert_int_equal(tally_seen(*state, GROUP, LO, LATE_NS)->duplicates, 1);
	assert_int_equal(seen(*state, GROUP)->duplicates, 0);
}

static void a_restart_begins_from_zero(void **state)
{
	struct frame frame = datagram("239.1.1.1", 5004);

	take_in(*state, &frame);
	take_fragment(*state, 1, 0, 16, true);
	tally_restart(*state, LATE_NS);
	assert_int_equal(tally_seen(*state, GROUP, ETH0, LATE_NS + NS_PER_S)->in, 0);
	assert_int_equal(seen(*state, GROUP)->incomplete, 0);
	take_in(*state, &frame);
	assert_int_equal(seen(*state, GROUP)->in, 1);
}

/* Each address that has a group's MAC address is another one, and 2^80 of IPv6 do. */
static void strangers_cost_no_memory_beyond_a_limit(void **state)
{
	struct frame frame = datagram("ff15::1:1", 5004);

	for (uint32_t i = 1; i < 50000; i++) {
		memcpy(&frame.destination.v6.s6_addr[4], &i, sizeof(i));
		take_in(*state, &frame);
	}
	assert_true(tally_left_out(*state) > 40000);
	frame = datagram("239.1.1.1", 5004);
	take_in(*state, &frame);
	assert_int_equal(seen(*state, GROUP)->in, 1);
}

static void a_filter_has_no_more_instructions_than_the_kernel_takes(void **state)
{
	const struct filter_snap snap = {.whole = 1600, .some = 192, .samples = true};
	struct wire_group groups[1000];
	struct filter filter = {0};

	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(groups); i++) {
		groups[i].address = address_of(i % 2 ? "239.1.1.1" : "ff15::1");
		groups[i].address.v6.s6_addr32[i % 2 ? 0 : 3] ^= htonl(i);
		groups[i].port = 5004;
	}
	assert_int_equal(filter_build(groups, ARRAY_SIZE(groups), &snap, &filter), 0);
	assert_in_range(filter.count, 1, BPF_MAXINSNS);
	free(filter.items);
	assert_int_equal(filter_build(groups, 150, &snap, &filter), 0);
	assert_in_range(filter.count, 300, BPF_MAXINSNS);
	free(filter.items);
}

#define TALLY_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TALLY_TEST(datagrams_count_for_their_group_and_interface),
		TALLY_TEST(what_comes_to_a_groups_port_at_the_address_of_none_is_told_apart),
		TALLY_TEST(of_other_addresses_the_first_ones_are_kept),
		TALLY_TEST(what_this_host_sends_does_not_come_in),
		TALLY_TEST(other_ports_are_told_also_those_of_other_groups),
		TALLY_TEST(what_this_host_sends_to_other_ports_is_told),
		TALLY_TEST(a_tag_is_told_whatever_the_port),
		TALLY_TEST(no_more_ports_and_senders_are_kept_than_there_is_room_for),
		TALLY_TEST(another_group_on_the_mac_address_collides),
		TALLY_TEST(what_is_for_another_host_does_not_count),
		TALLY_TEST(a_group_for_all_addresses_is_seen_by_its_port),
		TALLY_TEST(tagged_frames_are_not_in),
		TALLY_TEST(broken_datagrams_are_in_and_told),
		TALLY_TEST(a_datagram_whose_fragments_all_came_is_complete),
		TALLY_TEST(a_datagram_without_one_of_its_fragments_is_incomplete),
		TALLY_TEST(fragments_of_another_port_are_not_missing),
		TALLY_TEST(a_datagram_that_began_before_the_look_is_not_incomplete),
		TALLY_TEST(only_reports_of_this_host_count),
		TALLY_TEST(a_general_query_asks_for_each_group_of_its_family),
		TALLY_TEST(a_query_without_a_report_in_time_is_unanswered),
		TALLY_TEST(a_copy_on_another_interface_is_a_duplicate),
		TALLY_TEST(a_restart_begins_from_zero),
		TALLY_TEST(strangers_cost_no_memory_beyond_a_limit),
		cmocka_unit_test(a_filter_has_no_more_instructions_than_the_kernel_takes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
