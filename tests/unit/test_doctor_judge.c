/* What is concluded from the evidence of one membership: each cause, from made-up evidence. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/doctor/judge.h"

/* One membership, and all that its evidence points to. */
struct scene {
	struct subject subject;
	struct subject_group group;
	struct address source;
	struct wire_seen wire;
	struct firewall firewall;
	struct firewall_chain chain;
	struct firewall_rule rule;
	struct evidence e;
};

#define SENT 20

static struct address parse(const char *string)
{
	struct address address;

	assert_int_equal(address_parse(string, &address), 0);
	return address;
}

/* All that was sent is received, as root sees it. */
static void set_up(struct scene *scene)
{
	*scene = (struct scene){0};
	scene->subject = (struct subject){.interface = "eth0", .ifindex = 2};
	scene->group = (struct subject_group){
		.name = (char *)"news", .address = parse("233.252.0.1"), .port = 5004};
	scene->wire = (struct wire_seen){.in = SENT, .ttl_min = 8, .ttl_max = 8, .reports_out = 1};
	scene->firewall = (struct firewall){
		.is_readable = true, .chains = &scene->chain, .rules = &scene->rule};
	scene->chain = (struct firewall_chain){.family = "inet",
		.table = "filter",
		.name = "input",
		.hook = HOOK_INPUT,
		.dropping_rules = 1};
	scene->rule = (struct firewall_rule){.table_chain = "input", .handle = 4};
	scene->e = (struct evidence){
		.subject = &scene->subject,
		.group = &scene->group,
		.is_daemon = true,
		.daemon_pid = 42,
		.listened_ns = 3000000000,
		.received = SENT,
		.is_joined = true,
		.wire = &scene->wire,
		.firewall = &scene->firewall,
		.link = {.exists = true,
			.name = "eth0",
			.flags = IFF_UP | IFF_MULTICAST | INTERFACE_LOWER_UP,
			.mtu = 1500,
			.has_ipv4 = true,
			.has_ipv6 = true},
		.senders = {{.address = parse("192.0.2.1"),
			.datagrams = SENT,
			.is_wanted = true,
			.verdict = VERDICT_TAKES,
			.back = {.exists = true, .interface = "eth0"}}},
		.sender_count = 1,
	};
}

/* Nothing is received of what is on the wire. */
static void lose(struct scene *scene)
{
	scene->e.received = 0;
}

/* Nothing is on the wire either. */
static void be_silent(struct scene *scene)
{
	scene->e.received = 0;
	scene->wire.in = 0;
	scene->e.sender_count = 0;
}

/* The same without privilege. */
static void be_blind(struct scene *scene)
{
	be_silent(scene);
	scene->e.wire = NULL;
	scene->e.firewall = NULL;
}

static void take_sources(struct scene *scene, const char *source)
{
	scene->source = parse(source);
	scene->group.sources.items = &scene->source;
	scene->group.sources.count = 1;
}

static void use_ipv6(struct scene *scene)
{
	scene->group.address = parse("ff15::1");
}

static void be_refused(struct scene *scene, int error, const char *why)
{
	be_silent(scene);
	scene->subject.state = SUBJECT_FAILED;
	scene->subject.error_number = error;
	scene->subject.error = (char *)why;
	scene->e.is_joined = false;
}

/* "rp-filter" is certain, "rp-filter?" likely; notes in parentheses. */
static void say(const struct judgement *judgement, char *ret, size_t size)
{
	size_t length = 0;

	*ret = '\0';
	for (size_t i = 0; i < judgement->count && length < size; i++) {
		const struct finding *finding = &judgement->findings[i];
		bool is_note = finding->cause->stage == STAGE_NOTE;

		length += (size_t)snprintf(ret + length, size - length, "%s%s%s%s%s", i ? " " : "",
			is_note ? "(" : "", finding->cause->name, finding->is_certain ? "" : "?",
			is_note ? ")" : "");
		assert_int_not_equal(finding->message.length, 0);
		assert_int_not_equal(finding->evidence.length, 0);
		assert_false(text_failed(&finding->fixes));
	}
}

static void expect(const struct scene *scene, const char *causes_found, enum verdict verdict)
{
	AUTO_JUDGEMENT struct judgement judgement;
	char found[256];

	judge(&scene->e, &judgement);
	say(&judgement, found, sizeof(found));
	assert_string_equal(found, causes_found);
	assert_int_equal(judgement.verdict, verdict);
}

/* ---- Healthy ---- */

static void what_arrives_is_healthy_whatever_the_host_counts(void **state)
{
	struct scene scene;

	(void)state;
	set_up(&scene);
	for (enum counter counter = 0; counter < COUNTER_COUNT; counter++)
		scene.e.growth[counter] = 1000;
	scene.e.other_drops = 1000;
	scene.e.link.sysctl.rp_filter = 1;
	scene.wire.other_port = scene.wire.tagged = 50;
	scene.e.statistics = (struct link_statistics){
		.received_dropped = 99, .received_otherhost = 99, .received_errors = 99};
	scene.e.grown_rule = &scene.rule;
	scene.e.grown_chain = &scene.chain;
	scene.e.grown_packets = 500;
	expect(&scene, "", VERDICT_DELIVERED);
	scene.e.wire = NULL;
	scene.e.firewall = NULL;
	expect(&scene, "", VERDICT_DELIVERED);
}

static void a_datagram_on_its_way_is_not_lost(void **state)
{
	struct scene scene;

	(void)state;
	set_up(&scene);
	scene.e.received = SENT - 2;
	expect(&scene, "", VERDICT_DELIVERED);
}

static void what_the_daemon_counts_elsewhere_is_not_lost(void **state)
{
	struct scene scene;

	(void)state;
	set_up(&scene);
	scene.e.received = SENT / 2;
	scene.e.others = SENT / 2;
	expect(&scene, "", VERDICT_DELIVERED);
}

static void another_interface_that_brings_the_group_is_enough(void **state)
{
	struct scene scene;

	(void)state;
	set_up(&scene);
	be_silent(&scene);
	scene.e.sibling = "eth1";
	expect(&scene, "", VERDICT_OPEN);
}

/* ---- Each cause ---- */

static void change_other_namespace(struct scene *s)
{
	lose(s);
	s->e.is_elsewhere = true;
	s->e.wire = NULL;
}

static void change_no_such_interface(struct scene *s)
{
	be_refused(s, -ENODEV, "there is no such interface");
	s->e.link = (struct link){0};
}

static void change_interface_down(struct scene *s)
{
	be_refused(s, 0, "the interface is down");
	s->e.link.flags &= ~(unsigned)IFF_UP;
}

static void change_ipv6_disabled(struct scene *s)
{
	use_ipv6(s);
	be_refused(s, 0, "IPv6 is disabled on the interface");
	s->e.link.sysctl.disable_ipv6 = true;
}

static void change_port_taken(struct scene *s)
{
	be_refused(s, -EADDRINUSE, "port 5004 is held by uid 0");
}

static void change_port_taken_of_the_daemon(struct scene *s)
{
	be_refused(s, 0, "port 5004 is held by uid 0, which does not share it (SO_REUSEADDR)");
}

static void change_too_many_memberships(struct scene *s)
{
	be_refused(s, -ENOBUFS, "joining: too many memberships");
}

static void change_cannot_join(struct scene *s)
{
	be_refused(s, -EACCES, "port 80 needs CAP_NET_BIND_SERVICE");
}

static void change_no_carrier(struct scene *s)
{
	be_silent(s);
	s->e.link.flags &= ~(unsigned)INTERFACE_LOWER_UP;
}

static void change_enslaved(struct scene *s)
{
	lose(s);
	strcpy(s->e.link.master, "br0");
	strcpy(s->e.link.master_kind, "bridge");
}

static void change_no_ipv4_address(struct scene *s)
{
	lose(s);
	s->e.link.has_ipv4 = false;
	s->e.link.sysctl.rp_filter = 2;
	s->e.growth[COUNTER_REVERSE_PATH] = SENT;
	s->e.senders[0].verdict = VERDICT_REFUSES;
	s->e.senders[0].back.exists = false;
}

static void change_vrf(struct scene *s)
{
	be_blind(s);
	strcpy(s->e.link.master, "red");
	strcpy(s->e.link.master_kind, "vrf");
}

static void change_rp_filter(struct scene *s)
{
	lose(s);
	s->e.link.sysctl.rp_filter = 1;
	s->e.senders[0].verdict = VERDICT_REFUSES;
	strcpy(s->e.senders[0].back.interface, "eth1");
	s->e.growth[COUNTER_REVERSE_PATH] = SENT;
}

static void change_rp_filter_loose(struct scene *s)
{
	change_rp_filter(s);
	s->e.link.sysctl.rp_filter = 2;
	s->e.senders[0].back.exists = false;
}

static void change_rp_filter_of_one_sender(struct scene *s)
{
	s->wire.in = 2 * SENT;
	s->e.link.sysctl.rp_filter = 1;
	s->e.senders[1] = s->e.senders[0];
	s->e.senders[1].address = parse("203.0.113.1");
	s->e.senders[1].verdict = VERDICT_REFUSES;
	s->e.senders[1].back.exists = false;
	s->e.sender_count = 2;
}

static void change_rp_filter_blind(struct scene *s)
{
	be_blind(s);
	s->e.link.sysctl.rp_filter = 1;
	s->e.growth[COUNTER_REVERSE_PATH] = SENT;
}

static void change_service_firewall(struct scene *s)
{
	lose(s);
	s->e.dropped = SENT;
	s->e.growth[COUNTER_UDP_ERRORS] = SENT;
}

static void change_receive_buffer(struct scene *s)
{
	s->e.received = SENT / 2;
	s->e.dropped = SENT / 2;
	s->e.growth[COUNTER_BUFFER_FULL] = SENT / 2;
}

static void change_both_drops(struct scene *s)
{
	s->wire.in = 40;
	s->e.received = 0;
	s->e.dropped = 40;
	s->e.growth[COUNTER_BUFFER_FULL] = 10;
}

static void change_ipsec(struct scene *s)
{
	change_service_firewall(s);
	s->e.growth[COUNTER_IPSEC_FIRST] = SENT;
}

static void change_bad_udp_checksum(struct scene *s)
{
	lose(s);
	s->wire.bad_udp_checksums = SENT;
}

static void change_bad_udp_checksum_blind(struct scene *s)
{
	be_blind(s);
	s->e.growth[COUNTER_UDP_CHECKSUM] = SENT;
}

static void change_bad_ip_checksum(struct scene *s)
{
	lose(s);
	s->wire.bad_ip_checksums = SENT;
}

static void change_bad_ip_checksum_blind(struct scene *s)
{
	be_blind(s);
	s->e.growth[COUNTER_IP_CHECKSUM] = SENT;
}

static void change_bad_length(struct scene *s)
{
	lose(s);
	s->wire.bad_lengths = SENT;
}

static void change_bad_length_blind(struct scene *s)
{
	be_blind(s);
	s->e.growth[COUNTER_UDP_ERRORS] = SENT;
}

static void change_fragments_missing(struct scene *s)
{
	lose(s);
	s->wire.first_fragments = s->wire.incomplete = SENT;
}

static void change_fragments_missing_blind(struct scene *s)
{
	be_blind(s);
	s->e.growth[COUNTER_FRAGMENTS] = SENT;
}

static void change_no_memory_for_fragments(struct scene *s)
{
	lose(s);
	s->wire.first_fragments = s->wire.later_fragments = SENT;
	s->e.growth[COUNTER_REASSEMBLY_FAILED] = SENT;
}

static void change_shared_port(struct scene *s)
{
	s->e.received = SENT / 2;
	s->e.rivals = 1;
	s->e.growth[COUNTER_UDP_RECEIVED] = SENT;
}

static void change_shared_port_blind(struct scene *s)
{
	be_blind(s);
	s->e.rivals = 1;
	s->e.growth[COUNTER_UDP_RECEIVED] = SENT;
}

static void change_host_firewall(struct scene *s)
{
	lose(s);
	s->e.grown_rule = &s->rule;
	s->e.grown_chain = &s->chain;
	s->e.grown_packets = SENT;
	s->firewall.chain_count = 1;
}

static void change_host_firewall_uncounted(struct scene *s)
{
	lose(s);
	s->firewall.chain_count = 1;
}

static void change_host_firewall_missed(struct scene *s)
{
	change_host_firewall(s);
	s->e.wire_missed = 5;
}

static void change_host_firewall_blind(struct scene *s)
{
	be_blind(s);
	s->e.growth[COUNTER_MULTICAST] = SENT;
}

static void change_martian(struct scene *s)
{
	lose(s);
	s->e.senders[0].is_local = s->e.senders[0].is_martian = true;
}

static void change_address_gone(struct scene *s)
{
	be_refused(s, 0, "no interface has this address");
	s->group.address = parse("192.0.2.2");
	s->e.link = (struct link){0};
}

static void change_other_source(struct scene *s)
{
	lose(s);
	take_sources(s, "192.0.2.7");
	s->e.senders[0].is_wanted = false;
	s->e.senders[0].verdict = VERDICT_REFUSES;
}

static void change_blocked_source(struct scene *s)
{
	lose(s);
	s->source = parse("192.0.2.1");
	s->group.blocked.items = &s->source;
	s->group.blocked.count = 1;
	s->e.senders[0].is_wanted = false;
	s->e.senders[0].verdict = VERDICT_REFUSES;
}

static void change_other_source_blind(struct scene *s)
{
	be_blind(s);
	take_sources(s, "192.0.2.7");
	s->e.growth[COUNTER_IGNORED] = SENT;
}

static void change_other_port(struct scene *s)
{
	be_silent(s);
	s->wire.other_port = SENT;
	s->wire.other_port_count = 1;
	s->wire.other_ports[0] = 5005;
}

static void change_other_port_that_is_used(struct scene *s)
{
	change_other_port(s);
	s->e.other_port_is_used = true;
	s->e.has_old_querier = true;
}

static void change_other_address(struct scene *s)
{
	static struct wire_other other = {
		.address = {AF_INET, {.v4 = {0x6302fce9}}}, .datagrams = SENT};

	be_silent(s);
	s->e.other = &other;
}

static void change_other_port_blind(struct scene *s)
{
	be_blind(s);
	s->e.growth[COUNTER_IGNORED] = SENT;
}

static void change_vlan_tagged(struct scene *s)
{
	be_silent(s);
	s->wire.tagged = SENT;
	s->wire.vlan = 5;
}

static void change_vlan_tagged_blind(struct scene *s)
{
	be_blind(s);
	s->e.statistics.received_otherhost = SENT;
}

static void change_local_sender(struct scene *s)
{
	be_silent(s);
	s->wire.from_here = SENT;
}

static void change_other_interface(struct scene *s)
{
	be_silent(s);
	strcpy(s->e.elsewhere, "eth1");
	s->e.elsewhere_count = SENT;
}

static void change_other_interface_blind(struct scene *s)
{
	be_blind(s);
	strcpy(s->e.elsewhere, "eth1");
	s->e.elsewhere_count = SENT;
}

static void change_interface_drops(struct scene *s)
{
	be_silent(s);
	s->e.statistics.received_dropped = SENT;
}

static void change_switch_forgot(struct scene *s)
{
	s->e.was_refreshed = true;
	s->e.after_refresh = SENT;
}

static void change_switch_forgot_sparse(struct scene *s)
{
	s->e.was_refreshed = true;
	s->e.after_refresh = 1;
}

static void change_report_blocked(struct scene *s)
{
	be_silent(s);
	s->wire.reports_out = 0;
	s->e.was_refreshed = true;
	s->chain.hook = HOOK_OUTPUT;
	s->firewall.chain_count = 1;
	s->e.growth[COUNTER_OUT_REQUESTS] = 2;
}

static void change_report_blocked_before_an_older_querier(struct scene *s)
{
	be_silent(s);
	s->wire.reports_out = 0;
	s->wire.queries = s->wire.unanswered = 2;
	s->wire.query_version = 2;
	s->e.has_old_querier = true;
}

static void change_another_host_answers(struct scene *s)
{
	change_report_blocked_before_an_older_querier(s);
	s->wire.reports_of_others = 1;
}

static void change_queries_blocked(struct scene *s)
{
	change_switch_forgot(s);
	s->wire.queries = s->wire.unanswered = 2;
}

static void change_queries_of_an_older_querier_blocked(struct scene *s)
{
	be_silent(s);
	s->wire.queries = s->wire.unanswered = 2;
	s->wire.query_version = 2;
}

static void change_refresh_impossible(struct scene *s)
{
	be_blind(s);
	s->e.refresh_impossible = "another program has joined it there, too";
}

static void change_sending_dropped(struct scene *s)
{
	be_silent(s);
	s->e.growth[COUNTER_OUT_DROPPED] = SENT;
}

/* It is never reported. */
static void change_interface_local(struct scene *s)
{
	be_silent(s);
	s->group.address = parse("ff01::1");
	s->wire.reports_out = 0;
	s->e.was_refreshed = true;
}

static void change_unicast(struct scene *s)
{
	be_silent(s);
	s->group.address = parse("192.0.2.2");
	s->wire.reports_out = 0;
	s->e.was_joined_now = true;
}

static void change_not_on_wire_missed(struct scene *s)
{
	be_silent(s);
	s->e.wire_missed = 5;
}

static void change_forced_version(struct scene *s)
{
	take_sources(s, "192.0.2.1");
	s->e.link.sysctl.force_igmp_version = 2;
}

static void change_same_network_twice(struct scene *s)
{
	s->e.twin = "eth1";
}

static void change_mac_collision(struct scene *s)
{
	s->wire.collisions = SENT;
	s->wire.collision = parse("234.252.0.1");
}

static void change_handler_drops(struct scene *s)
{
	s->e.handlers = (struct evidence_handlers){.count = 1, .received = SENT, .name = "lines"};
	s->e.handlers.losing = (struct evidence_handler_list){
		.items = {{"lines", "queue", 5}}, .count = 1};
}

static void change_handler_limits(struct scene *s)
{
	s->e.handlers = (struct evidence_handlers){.count = 1, .received = SENT, .name = "lines"};
	s->e.handlers.limiting = (struct evidence_handler_list){
		.items = {{"lines", "rate", 5}}, .count = 1};
}

static void change_all_filtered(struct scene *s)
{
	s->e.handlers = (struct evidence_handlers){
		.count = 1, .received = SENT, .filtered = SENT, .name = "lines"};
}

static void change_all_filtered_of_several_groups(struct scene *s)
{
	change_all_filtered(s);
	s->e.handlers.is_shared = true;
}

/* ---- Sending ---- */

static void send_one(struct scene *s)
{
	s->e.sending = (struct sending){.is_meant = true,
		.was_tried = true,
		.has_route = true,
		.names_interface = true,
		.is_received_there = true,
		.interface = "eth0",
		.has_address = true,
		.ttl = 8,
		.on_wire = 1,
		.saw_wire = true};
	s->e.sends = s->e.was_sent = true;
}

static void change_sent_with_a_larger_ttl(struct scene *s)
{
	send_one(s);
	s->e.is_daemon = false;
	s->e.sending.ttl = 1;
	s->e.ttl_here = 8;
}

static void change_sent_without_loop(struct scene *s)
{
	change_local_sender(s);
	send_one(s);
}

static void change_sent_and_nobody_sends(struct scene *s)
{
	be_silent(s);
	send_one(s);
}

static void change_send_no_route(struct scene *s)
{
	send_one(s);
	s->e.sending.names_interface = s->e.sending.has_route = false;
	s->e.sending.error = -ENETUNREACH;
	*s->e.sending.interface = '\0';
}

static void change_send_firewall(struct scene *s)
{
	send_one(s);
	s->e.sending.error = -EPERM;
}

static void change_send_no_address(struct scene *s)
{
	send_one(s);
	s->e.sending.has_address = false;
}

static void change_send_too_large(struct scene *s)
{
	send_one(s);
	s->e.sending.error = -EMSGSIZE;
}

static void change_send_refused(struct scene *s)
{
	send_one(s);
	s->e.sending.error = -EOPNOTSUPP;
	strcpy(s->e.sending.why, "you may not send to it");
}

static void change_send_ttl(struct scene *s)
{
	send_one(s);
	s->e.sending.ttl = 0;
	s->e.sending.on_wire = 0;
}

static void change_send_other_interface(struct scene *s)
{
	send_one(s);
	strcpy(s->e.sending.interface, "eth1");
	s->e.sending.is_received_there = false;
}

static void change_send_dropped(struct scene *s)
{
	send_one(s);
	s->e.sending.on_wire = 0;
}

static void change_send_dropped_told(struct scene *s)
{
	send_one(s);
	s->e.sending.error = -ENOBUFS;
	s->e.sending.saw_wire = false;
}

/* ---- Notes ---- */

static void change_ssm_without_sources(struct scene *s)
{
	s->group.address = parse("232.1.1.1");
}

static void change_hidden_sources(struct scene *s)
{
	change_ssm_without_sources(s);
	s->group.hides_sources = true;
}

static void change_local_block(struct scene *s)
{
	s->group.address = parse("224.0.0.200");
}

static void change_reserved_scope(struct scene *s)
{
	s->group.address = parse("ff10::1");
}

static void change_shared_mac(struct scene *s)
{
	s->e.same_mac = "sports";
}

static void change_ttl_one(struct scene *s)
{
	send_one(s);
	s->e.sending.ttl = 1;
}

static void change_cannot_send(struct scene *scene)
{
	scene->subject.sending_error = (char *)"no address to send from";
}

static void change_cannot_send_on_another(struct scene *scene)
{
	scene->group.sending_error = (char *)"there is no interface eth7";
}

static void change_handler_fails(struct scene *scene)
{
	scene->e.handlers = (struct evidence_handlers){.count = 1,
		.received = SENT,
		.delivered = SENT,
		.name = "out",
		.failing = {.items = {{"out", "exited with status 1", 0}}, .count = 1}};
}

static void change_rarely_sent(struct scene *s)
{
	be_silent(s);
	s->subject.last_received = (char *)"2026-11-24T19:33:19Z";
	s->e.quiet_ns = 4000000000;
	s->e.pause_ns = 10000000000;
}

static void change_quiet_for_too_long(struct scene *s)
{
	change_rarely_sent(s);
	s->e.quiet_ns = 11000000000;
}

static void change_no_querier(struct scene *s)
{
	s->e.listened_ns = 130000000000;
}

static const struct row {
	void (*change)(struct scene *scene);
	const char *causes;
	enum verdict verdict;
} rows[] = {
	{change_other_namespace, "other-namespace", VERDICT_OPEN},
	{change_no_such_interface, "no-such-interface", VERDICT_NOT_JOINED},
	{change_interface_down, "interface-down", VERDICT_NOT_JOINED},
	{change_ipv6_disabled, "ipv6-disabled", VERDICT_NOT_JOINED},
	{change_port_taken, "port-taken", VERDICT_NOT_JOINED},
	{change_port_taken_of_the_daemon, "port-taken", VERDICT_NOT_JOINED},
	{change_too_many_memberships, "too-many-memberships", VERDICT_NOT_JOINED},
	{change_cannot_join, "cannot-join", VERDICT_NOT_JOINED},
	{change_no_carrier, "no-carrier", VERDICT_NETWORK},
	{change_enslaved, "enslaved", VERDICT_HOST},
	{change_no_ipv4_address, "no-ipv4-address", VERDICT_HOST},
	{change_vrf, "vrf?", VERDICT_OPEN},
	{change_rp_filter, "rp-filter", VERDICT_HOST},
	{change_rp_filter_loose, "rp-filter", VERDICT_HOST},
	{change_rp_filter_of_one_sender, "rp-filter", VERDICT_HOST},
	{change_rp_filter_blind, "rp-filter?", VERDICT_OPEN},
	{change_service_firewall, "service-firewall", VERDICT_HOST},
	{change_receive_buffer, "receive-buffer", VERDICT_HOST},
	{change_both_drops, "service-firewall receive-buffer", VERDICT_HOST},
	{change_ipsec, "host-firewall?", VERDICT_HOST},
	{change_bad_udp_checksum, "bad-udp-checksum", VERDICT_HOST},
	{change_bad_udp_checksum_blind, "bad-udp-checksum?", VERDICT_OPEN},
	{change_bad_ip_checksum, "bad-ip-checksum", VERDICT_HOST},
	{change_bad_ip_checksum_blind, "bad-ip-checksum?", VERDICT_OPEN},
	{change_bad_length, "bad-length", VERDICT_HOST},
	{change_bad_length_blind, "bad-length?", VERDICT_OPEN},
	{change_fragments_missing, "fragments-missing", VERDICT_NETWORK},
	{change_fragments_missing_blind, "fragments-missing?", VERDICT_OPEN},
	{change_no_memory_for_fragments, "fragments-missing?", VERDICT_NETWORK},
	{change_shared_port, "shared-port?", VERDICT_HOST},
	{change_shared_port_blind, "shared-port?", VERDICT_OPEN},
	{change_host_firewall, "host-firewall", VERDICT_HOST},
	{change_host_firewall_missed, "host-firewall", VERDICT_HOST},
	{change_host_firewall_uncounted, "host-firewall?", VERDICT_HOST},
	{change_host_firewall_blind, "host-firewall?", VERDICT_OPEN},
	{change_martian, "sender-address?", VERDICT_HOST},
	{change_address_gone, "address-gone", VERDICT_NOT_JOINED},
	{change_other_source, "other-source", VERDICT_HOST},
	{change_blocked_source, "other-source", VERDICT_HOST},
	{change_other_source_blind, "other-source?", VERDICT_OPEN},
	{change_other_port, "other-port", VERDICT_HOST},
	{change_other_port_that_is_used, "other-port? not-on-wire", VERDICT_HOST},
	{change_other_port_blind, "other-port?", VERDICT_OPEN},
	{change_other_address, "not-on-wire (other-address)", VERDICT_NETWORK},
	{change_vlan_tagged, "vlan-tagged", VERDICT_HOST},
	{change_vlan_tagged_blind, "vlan-tagged?", VERDICT_OPEN},
	{change_local_sender, "local-sender-no-loop", VERDICT_HOST},
	{change_other_interface, "other-interface", VERDICT_HOST},
	{change_other_interface_blind, "other-interface", VERDICT_HOST},
	{change_interface_drops, "interface-drops?", VERDICT_HOST},
	{change_switch_forgot, "switch-forgot?", VERDICT_NETWORK},
	{change_switch_forgot_sparse, "switch-forgot?", VERDICT_NETWORK},
	{change_report_blocked, "report-blocked", VERDICT_HOST},
	{change_report_blocked_before_an_older_querier, "report-blocked?", VERDICT_HOST},
	{change_another_host_answers, "not-on-wire?", VERDICT_NETWORK},
	{change_queries_blocked, "queries-blocked?", VERDICT_HOST},
	{change_queries_of_an_older_querier_blocked, "queries-blocked?", VERDICT_HOST},
	{change_refresh_impossible, "refresh-impossible?", VERDICT_OPEN},
	{be_silent, "not-on-wire", VERDICT_NETWORK},
	{change_sending_dropped, "not-on-wire?", VERDICT_NETWORK},
	{change_interface_local, "not-on-wire (local-block)", VERDICT_NETWORK},
	{change_unicast, "not-on-wire?", VERDICT_NETWORK},
	{change_not_on_wire_missed, "not-on-wire?", VERDICT_NETWORK},
	{be_blind, "host-or-network?", VERDICT_OPEN},
	{change_forced_version, "forced-igmp-version", VERDICT_DELIVERED},
	{change_same_network_twice, "same-network-twice", VERDICT_DELIVERED},
	{change_mac_collision, "mac-collision", VERDICT_DELIVERED},
	{change_handler_drops, "handler-drops", VERDICT_DELIVERED},
	{change_handler_limits, "handler-limits", VERDICT_DELIVERED},
	{change_all_filtered, "all-filtered", VERDICT_DELIVERED},
	{change_all_filtered_of_several_groups, "all-filtered?", VERDICT_DELIVERED},
	{send_one, "(sent)", VERDICT_DELIVERED},
	{change_sent_with_a_larger_ttl, "(sent)", VERDICT_DELIVERED},
	{change_sent_without_loop, "(sent)", VERDICT_OPEN},
	{change_sent_and_nobody_sends, "(sent)", VERDICT_OPEN},
	{change_send_no_route, "send-no-route", VERDICT_DELIVERED},
	{change_send_firewall, "send-firewall", VERDICT_DELIVERED},
	{change_send_no_address, "send-no-address", VERDICT_DELIVERED},
	{change_send_too_large, "send-too-large", VERDICT_DELIVERED},
	{change_send_refused, "send-refused", VERDICT_DELIVERED},
	{change_send_ttl, "send-ttl", VERDICT_DELIVERED},
	{change_send_other_interface, "send-other-interface", VERDICT_DELIVERED},
	{change_send_dropped, "send-dropped", VERDICT_DELIVERED},
	{change_send_dropped_told, "send-dropped", VERDICT_DELIVERED},
	{change_ssm_without_sources, "(ssm-without-sources)", VERDICT_DELIVERED},
	{change_hidden_sources, "", VERDICT_DELIVERED},
	{change_local_block, "(local-block)", VERDICT_DELIVERED},
	{change_reserved_scope, "(local-block)", VERDICT_DELIVERED},
	{change_shared_mac, "(shared-mac)", VERDICT_DELIVERED},
	{change_ttl_one, "(sent) (ttl-one)", VERDICT_DELIVERED},
	{change_cannot_send, "(cannot-send)", VERDICT_DELIVERED},
	{change_cannot_send_on_another, "(cannot-send)", VERDICT_DELIVERED},
	{change_handler_fails, "handler-fails", VERDICT_DELIVERED},
	{change_rarely_sent, "(rarely-sent)", VERDICT_OPEN},
	{change_quiet_for_too_long, "not-on-wire", VERDICT_NETWORK},
	{change_no_querier, "(no-querier)", VERDICT_DELIVERED},
};

static void each_cause_is_told_by_its_evidence(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct scene scene;

		set_up(&scene);
		rows[i].change(&scene);
		expect(&scene, rows[i].causes, rows[i].verdict);
	}
}

static void each_cause_has_a_scene_here(void **state)
{
	(void)state;
	for (const struct cause *cause = causes; cause->name; cause++) {
		bool found = false;

		for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
			found |= strstr(rows[i].causes, cause->name) != NULL;
		if (!found)
			fail_msg("no scene has %s", cause->name);
	}
}

/* ---- What is told ---- */

static const struct finding *first(const struct judgement *judgement)
{
	assert_int_not_equal(judgement->count, 0);
	return &judgement->findings[0];
}

static void names_from_elsewhere_are_escaped(void **state)
{
	AUTO_JUDGEMENT struct judgement judgement;
	struct scene scene;

	(void)state;
	set_up(&scene);
	be_refused(&scene, 0, "no \x1b[2J such thing");
	judge(&scene.e, &judgement);
	assert_string_equal(
		text_string((struct text *)&first(&judgement)->message), "no \\x1b[2J such thing");
}

static void both_sysctls_are_named_where_the_larger_one_counts(void **state)
{
	AUTO_JUDGEMENT struct judgement judgement;
	struct scene scene;

	(void)state;
	set_up(&scene);
	change_rp_filter_loose(&scene);
	scene.e.rp_filter_all = 2;
	judge(&scene.e, &judgement);
	assert_string_equal(text_string((struct text *)&first(&judgement)->fixes),
		"sysctl -w net.ipv4.conf.all.rp_filter=0\n"
		"sysctl -w net.ipv4.conf.eth0.rp_filter=0\n"
		"# or: ip route add 192.0.2.1/32 dev eth0\n");
}

static void evidence_has_numbers_for_people_and_programs(void **state)
{
	AUTO_JUDGEMENT struct judgement judgement;
	struct scene scene;

	(void)state;
	set_up(&scene);
	change_rp_filter(&scene);
	judge(&scene.e, &judgement);
	assert_string_equal(text_string((struct text *)&first(&judgement)->evidence),
		"the kernel refuses 192.0.2.1; rp_filter 1; TcpExt.IPReversePathFilter +20; "
		"on the wire 20; received 0");
	assert_string_equal(text_string((struct text *)&first(&judgement)->members),
		"\"the kernel refuses\":\"192.0.2.1\",\"rp_filter\":1,"
		"\"TcpExt.IPReversePathFilter\":20,\"on the wire\":20,\"received\":0");
}

/* ---- What is pasted ---- */

/* What others may choose: interfaces (dev_valid_name() of the kernel takes these), groups of
 * whatever listens at the socket, sockets, files, tables and chains. */
static const char evil[] = "a;b$(c)`d`'\"";

static void be_evil(struct scene *scene)
{
	snprintf(scene->subject.interface, sizeof(scene->subject.interface), "%s", evil);
	snprintf(scene->e.link.name, sizeof(scene->e.link.name), "%s", evil);
	snprintf(scene->e.link.master, sizeof(scene->e.link.master), "%s", evil);
	snprintf(scene->e.link.lower, sizeof(scene->e.link.lower), "%s", evil);
	snprintf(scene->e.elsewhere, sizeof(scene->e.elsewhere), "%s", evil);
	snprintf(scene->e.vlan_interface, sizeof(scene->e.vlan_interface), "%s", evil);
	snprintf(scene->e.sending.interface, sizeof(scene->e.sending.interface), "%s", evil);
	snprintf(scene->chain.table, sizeof(scene->chain.table), "%s", evil);
	snprintf(scene->chain.name, sizeof(scene->chain.name), "%s", evil);
	scene->group.name = (char *)evil;
	scene->e.configuration = scene->e.socket = evil;
	scene->e.handlers.name = evil;
	scene->e.handlers.failing.items[0].name = evil;
	scene->e.handlers.losing.items[0].name = evil;
	scene->e.handlers.limiting.items[0].name = evil;
}

/* What a shell would run, if it is pasted: also what stands behind "# or: ". But for what belongs
 * into the configuration. */
static void assert_no_command_of_others(const char *lines)
{
	static const char quoted[] = "'a;b$(c)`d`'\\''\"'";

	for (const char *at = lines; (at = strstr(at, "a;b$(c)")); at++) {
		const char *line = at;

		while (line > lines && line[-1] != '\n')
			line--;
		if (!strncmp(line, "# in the group", 14) || !strncmp(line, "# in the program", 16))
			continue;
		if (at == lines || strncmp(at - 1, quoted, strlen(quoted)) != 0)
			fail_msg("not quoted: %s", lines);
	}
}

static void names_of_others_do_not_become_commands(void **state)
{
	(void)state;
	for (size_t i = 0; i < 4 * ARRAY_SIZE(rows); i++) {
		AUTO_JUDGEMENT struct judgement judgement;
		struct scene scene;

		set_up(&scene);
		rows[i / 4].change(&scene);
		be_evil(&scene);
		scene.e.is_daemon = i & 1;
		scene.e.wire = i & 2 ? scene.e.wire : NULL;
		judge(&scene.e, &judgement);
		for (size_t j = 0; j < judgement.count; j++)
			assert_no_command_of_others(text_string(&judgement.findings[j].fixes));
	}
}

static void each_line_that_can_be_run_has_no_placeholder(void **state)
{
	static const char *const placeholders[] = {"ADDRESS", "NAME", "UNIT", "LENGTH", "SENDER"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO_JUDGEMENT struct judgement judgement;
		struct scene scene;

		set_up(&scene);
		rows[i].change(&scene);
		judge(&scene.e, &judgement);
		for (size_t j = 0; j < judgement.count; j++) {
			char *lines = strdup(text_string(&judgement.findings[j].fixes)),
			     *rest = lines;

			for (char *line; (line = strsep(&rest, "\n"));)
				for (size_t k = 0; k < ARRAY_SIZE(placeholders); k++)
					if (*line != '#' && strstr(line, placeholders[k]))
						fail_msg("a placeholder in: %s", line);
			free(lines);
		}
	}
}

static const char *first_fix(struct scene *scene, struct judgement *ret)
{
	judge(&scene->e, ret);
	return text_string((struct text *)&first(ret)->fixes);
}

static void a_dot_in_the_name_of_an_interface_is_a_slash_for_sysctl(void **state)
{
	AUTO_JUDGEMENT struct judgement judgement;
	struct scene scene;

	(void)state;
	set_up(&scene);
	change_rp_filter_loose(&scene);
	strcpy(scene.e.link.name, "eth0.100");
	assert_string_equal(first_fix(&scene, &judgement),
		"sysctl -w net.ipv4.conf.eth0/100.rp_filter=0\n"
		"# or: ip route add 192.0.2.1/32 dev eth0.100\n");
}

static void a_command_names_the_socket_that_was_asked(void **state)
{
	AUTO_JUDGEMENT struct judgement judgement;
	struct scene scene;

	(void)state;
	set_up(&scene);
	change_other_port(&scene);
	scene.e.socket = "/run/my mcastd.sock";
	assert_string_equal(first_fix(&scene, &judgement),
		"# in the group news of the configuration: port = 5005;\n"
		"mcastctl -s '/run/my mcastd.sock' reload\n");
}

#define IN_NEWS "# in the group news of the configuration: "
#define RELOAD "mcastctl reload\n"
#define OR_ONE_COPY "# or, to have both and one copy: duplicates = \"drop\";\n"

static void other_interfaces_of_a_group_stay_where_two_are_on_one_network(void **state)
{
	AUTO_JUDGEMENT struct judgement two, three;
	struct scene scene;

	(void)state;
	set_up(&scene);
	change_same_network_twice(&scene);
	scene.group.count = 2;
	assert_string_equal(
		first_fix(&scene, &two), IN_NEWS "interfaces = [\"eth0\"];\n" RELOAD OR_ONE_COPY);
	scene.group.count = 3;
	assert_string_equal(first_fix(&scene, &three),
		IN_NEWS "interfaces without \"eth1\"\n" RELOAD OR_ONE_COPY);
}

static void other_interfaces_of_a_group_stay_where_one_is_a_port(void **state)
{
	AUTO_JUDGEMENT struct judgement judgement;
	struct scene scene;

	(void)state;
	set_up(&scene);
	change_enslaved(&scene);
	scene.group.count = 2;
	assert_string_equal(first_fix(&scene, &judgement),
		IN_NEWS "interfaces with \"br0\" in place of \"eth0\"\n" RELOAD);
}

static void make_relay(struct scene *scene)
{
	static char *names[] = {"news.relay"};

	scene->group.handlers.items = names;
	scene->group.handlers.count = 1;
}

static void a_relay_keeps_both_interfaces_of_one_network(void **state)
{
	AUTO_JUDGEMENT struct judgement judgement;
	struct scene scene;

	(void)state;
	set_up(&scene);
	change_same_network_twice(&scene);
	make_relay(&scene);
	scene.group.count = 2;
	assert_string_equal(
		first_fix(&scene, &judgement), IN_NEWS "duplicates = \"drop\";\n" RELOAD);
}

static void what_a_relay_passes_on_needs_no_router(void **state)
{
	AUTO_JUDGEMENT struct judgement judgement;
	struct scene scene;

	(void)state;
	set_up(&scene);
	change_local_block(&scene);
	make_relay(&scene);
	judge(&scene.e, &judgement);
	assert_int_equal(judgement.count, 0);
}

static void what_hosts_drop_no_relay_passes_on(void **state)
{
	AUTO_JUDGEMENT struct judgement judgement;
	struct scene scene;

	(void)state;
	set_up(&scene);
	scene.group.address = parse("ff10::1");
	make_relay(&scene);
	judge(&scene.e, &judgement);
	assert_string_equal(text_string(&judgement.findings[0].message),
		"ff10::1 has the reserved scope 0: hosts drop what is sent there");
}

static void a_protocol_keeps_its_address(void **state)
{
	AUTO_JUDGEMENT struct judgement judgement;
	struct scene scene;

	(void)state;
	set_up(&scene);
	scene.group.address = parse("224.0.0.251");
	assert_string_equal(first_fix(&scene, &judgement),
		"# mDNS has no other address; a host of both networks passes it on with "
		"relay: { ttl = 255; source_port = 5353; };\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_arrives_is_healthy_whatever_the_host_counts),
		cmocka_unit_test(a_datagram_on_its_way_is_not_lost),
		cmocka_unit_test(what_the_daemon_counts_elsewhere_is_not_lost),
		cmocka_unit_test(another_interface_that_brings_the_group_is_enough),
		cmocka_unit_test(each_cause_is_told_by_its_evidence),
		cmocka_unit_test(each_cause_has_a_scene_here),
		cmocka_unit_test(names_from_elsewhere_are_escaped),
		cmocka_unit_test(both_sysctls_are_named_where_the_larger_one_counts),
		cmocka_unit_test(evidence_has_numbers_for_people_and_programs),
		cmocka_unit_test(names_of_others_do_not_become_commands),
		cmocka_unit_test(each_line_that_can_be_run_has_no_placeholder),
		cmocka_unit_test(a_dot_in_the_name_of_an_interface_is_a_slash_for_sysctl),
		cmocka_unit_test(a_command_names_the_socket_that_was_asked),
		cmocka_unit_test(other_interfaces_of_a_group_stay_where_two_are_on_one_network),
		cmocka_unit_test(other_interfaces_of_a_group_stay_where_one_is_a_port),
		cmocka_unit_test(a_relay_keeps_both_interfaces_of_one_network),
		cmocka_unit_test(what_a_relay_passes_on_needs_no_router),
		cmocka_unit_test(what_hosts_drop_no_relay_passes_on),
		cmocka_unit_test(a_protocol_keeps_its_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
