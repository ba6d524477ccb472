/* What a frame from the wire is taken for. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/cleanup.h"
#include "base/codec.h"
#include "ctl/doctor/frame.h"

static const char udp4[] =
	"01005e010101020000000001080045000021123400000711ef94c0000201ef0101010fa0138c000de6d16865"
	"6c6c6f000000000000000000";
static const char udp4_options[] =
	"01005e0101010200000000010800460000251234000007115a8cc0000201ef010101940400000fa0138c000d"
	"e6d168656c6c6f";
static const char udp4_tagged[] =
	"01005e01010102000000000181002007080045000021123400000711ef94c0000201ef0101010fa0138c000d"
	"e6d168656c6c6f";
static const char udp4_qinq[] =
	"01005e01010102000000000188a8006481000007080045000021123400000711ef94c0000201ef0101010fa0"
	"138c000de6d168656c6c6f";
static const char udp4_bad[] =
	"01005e010101020000000001080045000021123400000711ef94c0000201ef0101010fa0138c000de6d16865"
	"6c6c78";
static const char udp4_nocsum[] =
	"01005e010101020000000001080045000021123400000711ef94c0000201ef0101010fa0138c000d00006865"
	"6c6c6f";
static const char udp4_long[] =
	"01005e010101020000000001080045000021123400000711ef94c0000201ef0101010fa0138c0040e6d16865"
	"6c6c6f";
static const char udp4_badip[] =
	"01005e010101020000000001080045000021123400000611ef94c0000201ef0101010fa0138c000de6d16865"
	"6c6c6f";
static const char frag_first[] =
	"01005e010101020000000001080045000024123420000711cf91c0000201ef0101010fa0138c002099ed6161"
	"616161616161";
static const char frag_later[] =
	"01005e010101020000000001080045000024123400020711ef8fc0000201ef01010161616161616161616161"
	"616161616161";
static const char udp6[] =
	"33330001000102000000000186dd60000000000d110720010db8000000000000000000000001ff1500000000"
	"000000000000000100010fa0138c000d6c0468656c6c6f";
static const char udp6_nocsum[] =
	"33330001000102000000000186dd60000000000d110720010db8000000000000000000000001ff1500000000"
	"000000000000000100010fa0138c000d000068656c6c6f";
static const char udp6_dstopts[] =
	"33330001000102000000000186dd6000000000153c0720010db8000000000000000000000001ff1500000000"
	"0000000000000001000111000104000000000fa0138c000d6c0468656c6c6f";
static const char frag6_first[] =
	"33330001000102000000000186dd6000000000182c0720010db8000000000000000000000001ff1500000000"
	"0000000000000001000111000001deadbeef0fa0138c000d6c046868686868686868";
static const char frag6_later[] =
	"33330001000102000000000186dd6000000000102c0720010db8000000000000000000000001ff1500000000"
	"0000000000000001000111000010deadbeef6868686868686868";
static const char raw4[] = "45000021123400000711ef94c0000201ef0101010fa0138c000de6d168656c6c6f";
static const char igmp1_report[] =
	"01005e01010102000000000108004500001c123400000102f5a8c0000201ef0101011200fdfcef010101";
static const char igmp2_report[] =
	"01005e01010102000000000108004600002012340000010260a0c0000201ef010101940400001600f9fcef01"
	"0101";
static const char igmp2_leave[] =
	"01005e00000202000000000108004600002012340000010270a0c0000201e0000002940400001700f8fcef01"
	"0101";
static const char igmp1_query[] =
	"01005e00000102000000000108004500001c12340000010205aac0000201e00000011100eeff000000000000"
	"00000000000000000000000000000000";
static const char igmp2_query[] =
	"01005e00000102000000000108004600002012340000010270a1c0000201e0000001940400001164ee9b0000"
	"0000";
static const char igmp3_query[] =
	"01005e010101020000000001080046000024123400000102609cc0000201ef010101940400001164fc1bef01"
	"0101027d0000";
static const char igmp3_report[] =
	"01005e000016020000000001080046000040123400000102706cc0000201e000001694040000220083ec0000"
	"000304000000ef01010105000002e8010101c0000201c000020103000000ef020202";
static const char mld1_report[] =
	"33330000001602000000000186dd6000000000200001fe800000000000000000000000000001ff1500000000"
	"000000000000000100013a0005020000010083007ffb00000000ff150000000000000000000000010001";
static const char mld1_done[] =
	"33330000001602000000000186dd6000000000200001fe800000000000000000000000000001ff0200000000"
	"000000000000000000023a0005020000010084007f0e00000000ff150000000000000000000000010001";
static const char mld1_query[] =
	"33330000001602000000000186dd6000000000200001fe800000000000000000000000000001ff0200000000"
	"000000000000000000013a00050200000100820059172710000000000000000000000000000000000000";
static const char mld2_query[] =
	"33330000001602000000000186dd6000000000240001fe800000000000000000000000000001ff1500000000"
	"000000000000000100013a000502000001008200576a27100000ff150000000000000000000000010001027d"
	"0000";
static const char mld2_report[] =
	"33330000001602000000000186dd6000000000240001fe800000000000000000000000000001ff0200000000"
	"000000000000000000163a000502000001008f006ff50000000104000000ff15000000000000000000000001"
	"0001";
static const char igmp_bad[] =
	"01005e01010102000000000108004600002012340000010260a0c0000201ef010101940400001600f9fcef01"
	"0177";
static const char arp[] =
	"ffffffffffff020000000001080600000000000000000000000000000000000000000000000000000000";

/* Captured on a veth, where 239.1.1.1 and ff15::1:1 were joined. */
static const char linux_igmp3[] =
	"01005e0000160a9cbb0de5c0080046c00028000040000102f9ef0a090001e0000016940400002200e9fb0000"
	"000104000000ef010101";
static const char linux_mld2[] =
	"3333000000160a9cbb0de5c086dd6000000000240001fe80000000000000089cbbfffe0de5c0ff0200000000"
	"000000000000000000163a000502000001008f00c78b0000000104000000ff15000000000000000000000001"
	"0001";

/* Parses the bytes, of exactly that size, less those that were not captured. */
static void parse_with(const char *hex, struct frame_context context, size_t cut, struct frame *ret)
{
	AUTO_TEXT struct text text = {0};
	AUTO_FREE void *copy = NULL;
	size_t size;

	assert_int_equal(text_append_hex_decoded(&text, hex, strlen(hex)), 0);
	size = text.length - cut;
	context.wire_size = text.length;
	copy = malloc(size ? size : 1);
	memcpy(copy, text.data, size);
	frame_parse(copy, size, &context, ret);
	ret->payload = NULL;
}

static struct frame parse(const char *hex)
{
	struct frame_context context = {.vlan = -1, .has_ethernet = true};
	struct frame frame;

	parse_with(hex, context, 0, &frame);
	return frame;
}

static void assert_address(const struct address *address, const char *expected)
{
	char text[INET6_ADDRSTRLEN];

	assert_string_equal(address_format(address, text), expected);
}

static void assert_good_datagram(const struct frame *frame)
{
	assert_int_equal(frame->kind, FRAME_UDP);
	assert_int_equal(frame->source_port, 4000);
	assert_int_equal(frame->destination_port, 5004);
	assert_int_equal(frame->ttl, 7);
	assert_int_equal(frame->payload_size, 5);
	assert_false(frame->bad_ip_checksum || frame->bad_udp_checksum || frame->bad_udp_length);
}

static void a_datagram_is_told_with_padding_and_options(void **state)
{
	struct frame frame = parse(udp4);

	(void)state;
	assert_good_datagram(&frame);
	assert_address(&frame.source, "192.0.2.1");
	assert_address(&frame.destination, "239.1.1.1");
	assert_memory_equal(frame.to_mac, "\x01\x00\x5e\x01\x01\x01", 6);
	assert_memory_equal(frame.from_mac, "\x02\x00\x00\x00\x00\x01", 6);
	assert_int_equal(frame.vlan, -1);
	assert_int_equal(frame.size, 33);
	frame = parse(udp4_options);
	assert_good_datagram(&frame);
	assert_int_equal(frame.size, 37);
}

static void a_datagram_of_ipv6_is_told_behind_extension_headers(void **state)
{
	struct frame frame = parse(udp6);

	(void)state;
	assert_good_datagram(&frame);
	assert_address(&frame.source, "2001:db8::1");
	assert_address(&frame.destination, "ff15::1:1");
	frame = parse(udp6_dstopts);
	assert_good_datagram(&frame);
}

static void the_outermost_tag_counts(void **state)
{
	struct frame_context stripped = {.vlan = 300, .has_ethernet = true};
	struct frame frame = parse(udp4_tagged);

	(void)state;
	assert_good_datagram(&frame);
	assert_int_equal(frame.vlan, 7);
	frame = parse(udp4_qinq);
	assert_good_datagram(&frame);
	assert_int_equal(frame.vlan, 100);
	parse_with(udp4_tagged, stripped, 0, &frame);
	assert_good_datagram(&frame);
	assert_int_equal(frame.vlan, 300);
}

static void a_link_without_ethernet_begins_with_ip(void **state)
{
	struct frame_context tun = {.vlan = -1};
	struct frame frame;

	(void)state;
	parse_with(raw4, tun, 0, &frame);
	assert_good_datagram(&frame);
}

static void a_wrong_checksum_is_seen(void **state)
{
	struct frame frame = parse(udp4_bad);

	(void)state;
	assert_true(frame.bad_udp_checksum);
	assert_int_equal(frame.kind, FRAME_UDP);
	frame = parse(udp4_badip);
	assert_true(frame.bad_ip_checksum);
	assert_false(frame.bad_udp_checksum);
}

static void a_checksum_that_cannot_be_checked_is_not_called_wrong(void **state)
{
	struct frame_context not_ready = {
		.vlan = -1, .has_ethernet = true, .checksum_not_ready = true};
	struct frame_context plain = {.vlan = -1, .has_ethernet = true};
	struct frame frame;

	(void)state;
	parse_with(udp4_bad, not_ready, 0, &frame);
	assert_good_datagram(&frame);
	parse_with(udp4_bad, plain, 1, &frame);
	assert_int_equal(frame.kind, FRAME_UDP);
	assert_false(frame.bad_udp_checksum || frame.bad_udp_length);
	frame = parse(frag_first);
	assert_false(frame.bad_udp_checksum || frame.bad_udp_length);
}

static void only_ipv4_may_do_without_a_checksum(void **state)
{
	struct frame frame = parse(udp4_nocsum);

	(void)state;
	assert_good_datagram(&frame);
	frame = parse(udp6_nocsum);
	assert_true(frame.bad_udp_checksum);
}

static void a_length_beyond_the_packet_is_seen(void **state)
{
	struct frame frame = parse(udp4_long);

	(void)state;
	assert_int_equal(frame.kind, FRAME_UDP);
	assert_true(frame.bad_udp_length);
	assert_false(frame.bad_udp_checksum);
}

static void the_first_fragment_has_ports_and_the_others_have_none(void **state)
{
	struct frame frame = parse(frag_first);

	(void)state;
	assert_int_equal(frame.kind, FRAME_FRAGMENT);
	assert_int_equal(frame.destination_port, 5004);
	assert_int_equal(frame.fragment_offset, 0);
	assert_true(frame.more_fragments);
	assert_int_equal(frame.identification, 0x1234);
	frame = parse(frag_later);
	assert_int_equal(frame.kind, FRAME_FRAGMENT);
	assert_int_equal(frame.destination_port, 0);
	assert_int_equal(frame.fragment_offset, 16);
	assert_false(frame.more_fragments);
	frame = parse(frag6_first);
	assert_int_equal(frame.kind, FRAME_FRAGMENT);
	assert_int_equal(frame.destination_port, 5004);
	assert_int_equal(frame.identification, 0xdeadbeef);
	frame = parse(frag6_later);
	assert_int_equal(frame.kind, FRAME_FRAGMENT);
	assert_int_equal(frame.destination_port, 0);
	assert_int_equal(frame.fragment_offset, 16);
}

static void assert_group_message(
	const char *hex, enum frame_kind kind, uint8_t version, const char *group, bool is_leave)
{
	struct frame frame = parse(hex);

	assert_int_equal(frame.kind, kind);
	assert_int_equal(frame.version, version);
	assert_int_equal(frame.record_count, group ? 1 : 0);
	if (group)
		assert_address(&frame.records[0].group, group);
	if (group)
		assert_int_equal(frame.records[0].is_leave, is_leave);
}

static void reports_of_all_versions_are_told(void **state)
{
	(void)state;
	assert_group_message(igmp1_report, FRAME_REPORT, 1, "239.1.1.1", false);
	assert_group_message(igmp2_report, FRAME_REPORT, 2, "239.1.1.1", false);
	assert_group_message(igmp2_leave, FRAME_REPORT, 2, "239.1.1.1", true);
	assert_group_message(mld1_report, FRAME_REPORT, 1, "ff15::1:1", false);
	assert_group_message(mld1_done, FRAME_REPORT, 1, "ff15::1:1", true);
	assert_group_message(mld2_report, FRAME_REPORT, 2, "ff15::1:1", false);
}

static void queries_of_all_versions_are_told(void **state)
{
	(void)state;
	assert_group_message(igmp1_query, FRAME_QUERY, 1, NULL, false);
	assert_group_message(igmp2_query, FRAME_QUERY, 2, NULL, false);
	assert_group_message(igmp3_query, FRAME_QUERY, 3, "239.1.1.1", false);
	assert_group_message(mld1_query, FRAME_QUERY, 1, NULL, false);
	assert_group_message(mld2_query, FRAME_QUERY, 2, "ff15::1:1", false);
}

static void a_report_has_a_record_for_each_group(void **state)
{
	struct frame frame = parse(igmp3_report);

	(void)state;
	assert_int_equal(frame.version, 3);
	assert_int_equal(frame.record_count, 3);
	assert_int_equal(frame.records[0].type, 4);
	assert_address(&frame.records[1].group, "232.1.1.1");
	assert_int_equal(frame.records[1].type, 5);
	assert_int_equal(frame.records[1].source_count, 2);
	assert_address(&frame.records[2].group, "239.2.2.2");
	assert_true(frame.records[2].is_leave);
	assert_false(frame.records[1].is_leave);
}

static void a_report_with_a_wrong_checksum_is_none(void **state)
{
	(void)state;
	assert_int_equal(parse(igmp_bad).kind, FRAME_OTHER);
	assert_int_equal(parse(arp).kind, FRAME_OTHER);
	assert_int_equal(parse(arp).source.family, AF_UNSPEC);
}

static void reports_of_linux_are_told(void **state)
{
	(void)state;
	assert_group_message(linux_igmp3, FRAME_REPORT, 3, "239.1.1.1", false);
	assert_group_message(linux_mld2, FRAME_REPORT, 2, "ff15::1:1", false);
}

static void no_frame_is_read_beyond_its_end(void **state)
{
	static const char *const all[] = {udp4, udp4_options, udp4_tagged, udp4_qinq, udp6,
		udp6_dstopts, frag_first, frag6_first, igmp2_query, igmp3_report, mld2_query,
		mld2_report};
	struct frame_context context = {.vlan = -1, .has_ethernet = true};
	struct frame frame;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		for (size_t cut = 1; cut <= strlen(all[i]) / 2; cut++) {
			parse_with(all[i], context, cut, &frame);
			assert_false(frame.bad_udp_checksum || frame.bad_udp_length);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_datagram_is_told_with_padding_and_options),
		cmocka_unit_test(a_datagram_of_ipv6_is_told_behind_extension_headers),
		cmocka_unit_test(the_outermost_tag_counts),
		cmocka_unit_test(a_link_without_ethernet_begins_with_ip),
		cmocka_unit_test(a_wrong_checksum_is_seen),
		cmocka_unit_test(a_checksum_that_cannot_be_checked_is_not_called_wrong),
		cmocka_unit_test(only_ipv4_may_do_without_a_checksum),
		cmocka_unit_test(a_length_beyond_the_packet_is_seen),
		cmocka_unit_test(the_first_fragment_has_ports_and_the_others_have_none),
		cmocka_unit_test(reports_of_all_versions_are_told),
		cmocka_unit_test(queries_of_all_versions_are_told),
		cmocka_unit_test(a_report_has_a_record_for_each_group),
		cmocka_unit_test(a_report_with_a_wrong_checksum_is_none),
		cmocka_unit_test(reports_of_linux_are_told),
		cmocka_unit_test(no_frame_is_read_beyond_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
