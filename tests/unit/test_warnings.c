/* What a configuration is warned of, in which words; and what it is not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "config/config.h"

static int setup(void **state)
{
	struct errors errors = {0};

	return config_load(
		NULL, (const struct config_kind *const[]){NULL}, &errors, (struct config **)state);
}

static int teardown(void **state)
{
	config_free(*state);
	return 0;
}

/* Adds a group without checking it: "KEY=VALUE KEY=VALUE ...". */
static void add_group(struct config *config, const char *name, const char *settings)
{
	char copy[256], why[WHY_MAX], *rest = copy, *word;
	struct config_group group;

	strcpy(copy, settings);
	assert_int_equal(config_group_init(&group, name), 0);
	assert_int_equal(schema_set(&group_schema, &group, "port", "5004", why), 0);
	while ((word = strsep(&rest, " "))) {
		char *value = strchr(word, '=');

		*value++ = '\0';
		if (schema_set(&group_schema, &group, word, value, why) < 0)
			fail_msg("%s: %s", word, why);
	}
	assert_int_equal(config_add_group(config, &group), 0);
}

static void assert_no_warnings(struct config *config)
{
	config_find_warnings(config);
	if (config->warnings.count)
		fail_msg("%s", config->warnings.lines[0]);
	assert_int_equal(errors_total(&config->warnings), 0);
}

static void assert_warnings(struct config *config, const char *const *expected, size_t count)
{
	config_find_warnings(config);
	for (size_t i = 0; i < count; i++) {
		assert_true(i < config->warnings.count);
		assert_string_equal(config->warnings.lines[i], expected[i]);
	}
	assert_int_equal(errors_total(&config->warnings), count);
}

/* ---- One group: its keys, and the one warning after "group a: warning: " ---- */

/* clang-format off */
#define WARNINGS(X) \
	X(a_link_local_address, "address=224.0.0.100", \
		"224.0.0.100 never crosses a router; use 239.0.0.0/8 for a group that is to be routed") \
	X(a_link_local_address_with_a_ttl, "address=224.0.0.100 ttl=8", \
		"224.0.0.100 never crosses a router, not with ttl = 8 either; use 239.0.0.0/8 for a group that is to be routed") \
	X(a_link_local_address_of_ipv6, "address=ff02::4711", \
		"ff02::4711 never crosses a router; use ff15::/16 for a group that is to be routed") \
	X(a_link_local_scope_with_a_ttl, "address=ff12::1 ttl=2", \
		"ff12::1 never crosses a router, not with ttl = 2 either; use ff15::/16 for a group that is to be routed") \
	X(a_host_local_scope, "address=ff11::1", \
		"ff11::1 never leaves a host; use ff15::/16 for a group of several hosts") \
	X(a_reserved_scope, "address=ff10::1", \
		"ff10::1 has the reserved scope 0: hosts drop what is sent there; use ff15::/16") \
	X(a_protocol_without_udp, "address=224.0.0.18", \
		"224.0.0.18 is used by VRRP, which does not use UDP: nothing of it arrives at a port; tcpdump shows it") \
	X(a_protocol_without_udp_of_ipv6, "address=ff02::16 ttl=8", \
		"ff02::16 is used by MLDv2, which does not use UDP: nothing of it arrives at a port; tcpdump shows it") \
	X(ssm_without_sources, "address=232.1.2.3", \
		"232.1.2.3 is for source-specific multicast (SSM): networks deliver nothing there without a source; " \
		"name the senders, sources = [\"192.0.2.7\"];") \
	X(ssm_with_blocked_sources_only, "address=232.1.2.3 block_sources=192.0.2.66", \
		"232.1.2.3 is for source-specific multicast (SSM): networks deliver nothing there without a source; " \
		"name the senders, sources = [\"192.0.2.7\"];") \
	X(ssm_of_ipv6_without_sources, "address=ff3e::8000:1", \
		"ff3e::8000:1 is for source-specific multicast (SSM): networks deliver nothing there without a source; " \
		"name the senders, sources = [\"2001:db8::7\"];") \
	X(replies_at_a_port_of_others, "address=239.255.255.250 replies=true source_port=1900", \
		"replies with source_port = 1900 takes what is sent to that port of this host from other programs, " \
		"leave out one of the two") \
	X(an_interface_as_others_call_all_of_them, "address=239.1.2.3 interfaces=any", \
		"\"any\" is taken for the name of an interface; \"*\" means all that can do multicast") \
	X(a_unicast_or_broadcast_address, "address=198.51.100.255", \
		"198.51.100.255 is no unicast or broadcast address of this host now: the group waits until it is") \
	X(a_unicast_address_of_ipv6, "address=2001:db8::1", \
		"2001:db8::1 is no address of this host now: the group waits until it is") \
	X(a_link_local_address_of_another_host, "address=fe80::4711:4711:4711:4711", \
		"fe80::4711:4711:4711:4711 is no address of this host now: the group waits until it is")

/* clang-format on */

#define WARNING_TEST(name, settings, expected)                      \
	static void name(void **state)                              \
	{                                                           \
		const char *line = "group a: warning: " expected;   \
                                                                    \
		add_group(*state, "a", settings);                   \
		assert_warnings(*state, (const char *[]){line}, 1); \
	}

WARNINGS(WARNING_TEST)

/* ---- Nothing to warn of ---- */

static void good_groups_have_no_warnings(void **state)
{
	static const char *const good[] = {"address=233.252.0.1 ttl=255 dscp=46 source_port=5004",
		"address=239.255.255.250 replies=true", "address=224.0.1.129 ttl=8",
		"address=232.1.2.3 sources=192.0.2.7", "address=231.255.255.255",
		"address=ff15::1 ttl=64", "address=ff12::2", "address=ff3e::9 sources=2001:db8::7",
		"address=ff3e:30:2001:db8::a", /* RFC 3306: by the network's prefix, not SSM */
		"address=ff3e:1000::b"}; /* RFC 7371: its flags */

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		add_group(*state, "a", good[i]);
	assert_no_warnings(*state);
}

/* mDNS is sent with 255 (RFC 6762, section 11), and meant for its link. */
static void protocols_on_udp_that_stay_on_their_link_have_no_warnings(void **state)
{
	static const char *const good[] = {"address=224.0.0.251 ttl=255 source_port=5353",
		"address=ff02::fb ttl=255", "address=224.0.0.252", "address=ff02::1:3 ttl=2",
		"address=ff02::c", "address=224.0.0.107", "address=ff02::6b"};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		add_group(*state, "a", good[i]);
	assert_no_warnings(*state);
}

static void addresses_that_every_host_has_are_no_surprise(void **state)
{
	static const char *const good[] = {"address=0.0.0.0 port=5005",
		"address=::", "address=255.255.255.255", "address=127.0.0.1"};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		add_group(*state, "a", good[i]);
	assert_no_warnings(*state);
}

static void keys_for_sending_to_a_broadcast_address_have_an_effect(void **state)
{
	add_group(*state, "a", "address=255.255.255.255 dscp=46 replies=true send_interface=eth0");
	assert_no_warnings(*state);
}

/* It may become a broadcast address. */
static void keys_for_sending_to_what_is_no_address_yet_may_have_an_effect(void **state)
{
	static const char *const expected[] = {
		"group a: warning: 198.51.100.255 is no unicast or broadcast address of this host "
		"now: the group waits until it is"};

	add_group(*state, "a", "address=198.51.100.255 dscp=46 replies=true send_interface=eth0");
	assert_warnings(*state, expected, 1);
}

static void keys_for_sending_to_an_address_of_this_host_have_none(void **state)
{
	static const char *const keys[] = {
		"dscp", "send_interface", "source_address", "source_port", "replies", "inputs"};
	struct config *config = *state;
	char expected[160];

	add_group(config, "a",
		"address=127.0.0.1 dscp=46 send_interface=eth0 source_address=192.0.2.1 "
		"source_port=1 replies=true inputs=hq");
	config_find_warnings(config);
	assert_int_equal(errors_total(&config->warnings), ARRAY_SIZE(keys));
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		snprintf(expected, sizeof(expected),
			"group a: warning: %s has no effect: 127.0.0.1 is an address of this host, "
			"and nothing is sent to it",
			keys[i]);
		assert_string_equal(config->warnings.lines[i], expected);
	}
}

static bool relay_to_a_group(const void *settings, struct config_relay *ret)
{
	(void)settings;
	*ret = (struct config_relay){.port = 5004};
	return address_parse("233.252.0.9", &ret->address) == 0;
}

static bool relay_to_a_host(const void *settings, struct config_relay *ret)
{
	(void)settings;
	*ret = (struct config_relay){.port = 5004};
	return address_parse("192.0.2.9", &ret->address) == 0;
}

static void unicast_that_is_relayed_to_a_group_is_warned_of(void **state)
{
	static const struct config_kind kind = {.name = "relay", .relays = relay_to_a_group};
	static const char *const expected[] = {
		"group a: warning: \"out\" sends to a network what anybody on these interfaces "
		"sends to 127.0.0.1; name the senders, sources = [\"192.0.2.7\"];"};
	static const struct config_kind unicast = {.name = "host", .relays = relay_to_a_host};
	struct config *config = *state;
	struct config_handler *filtered;
	char why[WHY_MAX];

	assert_non_null(config_add_handler(config, "out", &kind));
	assert_non_null(config_add_handler(config, "host", &unicast));
	filtered = config_add_handler(config, "filtered", &kind);
	assert_non_null(filtered);
	assert_int_equal(
		schema_set(&filter_schema, &filtered->filter, "filter.sources", "192.0.2.7", why),
		0);
	add_group(config, "a", "address=127.0.0.1 interfaces=lo handlers=out");
	add_group(config, "b", "address=127.0.0.2 sources=192.0.2.7 handlers=out");
	add_group(config, "c", "address=255.255.255.255 handlers=out");
	add_group(config, "d", "address=233.252.0.1 handlers=out");
	add_group(config, "e", "address=127.0.0.1 port=5005 handlers=host");
	add_group(config, "f", "address=127.0.0.1 port=5006 handlers=filtered");
	assert_warnings(config, expected, 1);
}

static void a_filter_that_no_sender_of_the_group_passes_is_warned_of(void **state)
{
	static const struct config_kind kind = {.name = "kind"};
	static const char *const expected[] = {
		"group a: warning: \"six\" gets nothing of this group: no sender that its "
		"filter.sources names is of the group's family; leave it out, or name others"};
	struct config *config = *state;
	struct config_handler *six = config_add_handler(config, "six", &kind);
	char why[WHY_MAX];

	assert_non_null(six);
	assert_int_equal(
		schema_set(&filter_schema, &six->filter, "filter.sources", "2001:db8::/32", why),
		0);
	add_group(config, "a", "address=233.252.0.1 handlers=six");
	add_group(config, "b", "address=ff15::1 handlers=six");
	assert_warnings(config, expected, 1);
}

static bool keeps_source(const void *settings)
{
	(void)settings;
	return true;
}

static bool keeps_no_source(const void *settings)
{
	(void)settings;
	return false;
}

static int64_t sends_from_any_port(const void *settings)
{
	(void)settings;
	return 0;
}

static int64_t sends_from_5353(const void *settings)
{
	(void)settings;
	return 5353;
}

#define SEARCHES(group, protocol, fix)                                                           \
	"group " group ": warning: \"own\" sends " protocol " searches from an address of this " \
	"host, and the answers do not come back to who searches; " fix
#define KEEP "set keep_source = true in it"
#define LINK_LOCAL(address)                                                                    \
	"keep_source does not help, as who searches at " address " has a link-local address: " \
	"relay the searches of IPv4"

static void searches_that_are_relayed_with_an_own_source_are_warned_of(void **state)
{
	static const struct config_kind own = {.name = "own",
						.keeps_source = keeps_no_source,
						.source_port = sends_from_5353},
					kept = {.name = "kept", .keeps_source = keeps_source},
					none = {.name = "none"};
	static const char *const expected[] = {SEARCHES("ssdp", "SSDP", KEEP),
		SEARCHES("wsd", "WS-Discovery", KEEP),
		SEARCHES("ssdp6", "SSDP", LINK_LOCAL("ff02::c")), SEARCHES("names", "LLMNR", KEEP),
		SEARCHES("names6", "LLMNR", LINK_LOCAL("ff02::1:3")),
		SEARCHES("things", "CoAP", KEEP), SEARCHES("things6", "CoAP", KEEP)};
	struct config *config = *state;

	assert_non_null(config_add_handler(config, "own", &own));
	assert_non_null(config_add_handler(config, "kept", &kept));
	assert_non_null(config_add_handler(config, "none", &none));
	add_group(config, "ssdp", "address=239.255.255.250 port=1900 handlers=own handlers=kept");
	add_group(config, "wsd", "address=ff15::d port=3702 handlers=none handlers=own");
	add_group(config, "ssdp6", "address=ff02::c port=1900 handlers=own");
	add_group(config, "names", "address=224.0.0.252 port=5355 handlers=own handlers=kept");
	add_group(config, "names6", "address=ff02::1:3 port=5355 handlers=own");
	add_group(config, "things", "address=224.0.1.187 port=5683 handlers=own");
	add_group(config, "things6", "address=ff05::fd port=5683 handlers=own handlers=kept");
	add_group(config, "mdns", "address=224.0.0.251 port=5353 handlers=own");
	add_group(config, "other", "address=239.1.2.3 port=5683 handlers=own");
	assert_warnings(config, expected, 7);
}

static void sources_that_mean_nothing_in_another_network_are_warned_of(void **state)
{
	static const struct config_kind kept = {.name = "kept", .keeps_source = keeps_source};
	static const char *const expected[] = {
		"group mdns: warning: \"kept\" keeps the sources of 224.0.0.251, and mDNS ignores "
		"questions that come from another network; set source_port = 5353 in it instead of "
		"keep_source",
		"group link: warning: \"kept\" cannot keep the sources of ff02::1:3: they are "
		"link-local addresses, which mean nothing in another network and are dropped as "
		"loop; relay a group of IPv4 or of a larger scope, or set keep_source = false in "
		"it"};
	struct config *config = *state;

	assert_non_null(config_add_handler(config, "kept", &kept));
	add_group(config, "mdns", "address=224.0.0.251 port=5353 handlers=kept");
	add_group(config, "link", "address=ff02::1:3 handlers=kept");
	add_group(config, "site", "address=ff05::115 handlers=kept");
	assert_warnings(config, expected, 2);
}

static void ssm_that_is_relayed_with_an_own_source_is_warned_of(void **state)
{
	static const struct key keys[1];
	static const struct config_kind relay = {.name = "relay",
						.block = {keys, 1, 0},
						.keeps_source = keeps_no_source,
						.source_port = sends_from_any_port},
					udp = {.name = "udp",
						.keeps_source = keeps_no_source,
						.source_port = sends_from_any_port};
	static const char *const expected[] = {
		"group ssm: warning: \"own\" sends what is relayed of 232.1.2.3 from an address of "
		"this host, and receivers of SSM get only what comes from the sender that they "
		"name; set keep_source = true in it, or have them name this host"};
	struct config *config = *state;

	assert_non_null(config_add_handler(config, "own", &relay));
	assert_non_null(config_add_handler(config, "udp", &udp));
	add_group(config, "ssm", "address=232.1.2.3 sources=192.0.2.7 handlers=own handlers=udp");
	add_group(config, "any", "address=233.252.0.1 handlers=own");
	assert_warnings(config, expected, 1);
}

static void mdns_that_is_relayed_from_another_port_is_warned_of(void **state)
{
	static const struct config_kind any = {.name = "any",
						.keeps_source = keeps_no_source,
						.source_port = sends_from_any_port},
					fixed = {.name = "fixed",
						.keeps_source = keeps_no_source,
						.source_port = sends_from_5353},
					none = {.name = "none"};
	static const char *const expected[] = {
		"group mdns: warning: \"any\" sends what is relayed of 224.0.0.251 from a port of "
		"its own, and mDNS ignores answers that are not from port 5353; set source_port = "
		"5353 in it",
		"group mdns6: warning: \"any\" sends what is relayed of ff02::fb from a port of "
		"its "
		"own, and mDNS ignores answers that are not from port 5353; set source_port = 5353 "
		"in it"};
	struct config *config = *state;

	assert_non_null(config_add_handler(config, "any", &any));
	assert_non_null(config_add_handler(config, "fixed", &fixed));
	assert_non_null(config_add_handler(config, "none", &none));
	add_group(config, "mdns", "address=224.0.0.251 port=5353 handlers=any handlers=fixed");
	add_group(config, "mdns6", "address=ff02::fb port=5353 handlers=none handlers=any");
	add_group(config, "other", "address=224.0.0.251 port=5354 handlers=any");
	assert_warnings(config, expected, 2);
}

/* ---- MAC addresses ---- */

static void addresses_with_one_mac_address_are_named_once(void **state)
{
	static const char *const expected[] = {
		"group b: warning: 233.252.0.1 and 225.124.0.1 of group c share the MAC address "
		"01:00:5e:7c:00:01: network cards and switches cannot tell them apart, use an "
		"address with other low 23 bits"};

	add_group(*state, "a", "address=233.252.0.2");
	add_group(*state, "lower", "address=233.1.0.1");
	add_group(*state, "b", "address=233.252.0.1");
	add_group(*state, "c", "address=225.124.0.1");
	add_group(*state, "b2", "address=233.252.0.1 port=5005");
	assert_warnings(*state, expected, 1);
}

static void addresses_of_ipv6_with_one_mac_address_are_named(void **state)
{
	static const char *const expected[] = {
		"group b: warning: ff18::dead:beef and ff15::dead:beef of group a share the MAC "
		"address 33:33:de:ad:be:ef: network cards and switches cannot tell them apart, use "
		"an address with other low 32 bits"};

	add_group(*state, "a", "address=ff15::dead:beef");
	add_group(*state, "b", "address=ff18::dead:beef");
	assert_warnings(*state, expected, 1);
}

static void groups_on_interfaces_of_their_own_may_share_a_mac_address(void **state)
{
	add_group(*state, "a", "address=233.252.0.1 interfaces=eth0 interfaces=eth1");
	add_group(*state, "b", "address=225.124.0.1 interfaces=eth2");
	assert_no_warnings(*state);
}

static void groups_that_may_meet_on_an_interface_are_named(void **state)
{
	struct config *config = *state;

	add_group(config, "a", "address=233.252.0.1 interfaces=eth0");
	add_group(config, "b", "address=225.124.0.1");
	add_group(config, "c", "address=234.124.0.1 interfaces=eth0");
	add_group(config, "d", "address=235.124.0.1 interfaces=eth*");
	add_group(config, "e", "address=236.124.0.1 interfaces=!eth1");
	add_group(config, "f", "address=237.252.0.1 interfaces=eth2 interfaces=eth0");
	config_find_warnings(config);
	assert_int_equal(errors_total(&config->warnings), 5);
}

static void unicast_addresses_have_no_multicast_mac_address(void **state)
{
	add_group(*state, "a", "address=127.1.2.3");
	add_group(*state, "b", "address=225.1.2.3");
	assert_no_warnings(*state);
}

static void unicast_groups_of_which_only_one_can_be_joined_are_named(void **state)
{
	static const char *const expected[] = {
		"group b: warning: group a receives what is sent to port 5004 of this address, "
		"and only one of them can be joined; leave one out, or name other interfaces",
		"group d: warning: group c receives what is sent to port 5005 of this address, "
		"and only one of them can be joined; leave one out, or name other interfaces",
		"group f: warning: group e receives what is sent to port 5006 of this address, "
		"and only one of them can be joined; leave one out, or name other interfaces",
		"group h: warning: group e receives what is sent to port 5006 of this address, "
		"and only one of them can be joined; leave one out, or name other interfaces"};
	struct config *config = *state;

	add_group(config, "a", "address=0.0.0.0");
	add_group(config, "b", "address=127.0.0.1");
	add_group(config, "c", "address=127.0.0.1 port=5005 sources=127.0.0.2");
	add_group(config, "d", "address=127.0.0.1 port=5005 sources=127.0.0.3");
	add_group(config, "e", "address=0.0.0.0 port=5006 interfaces=eth0");
	add_group(config, "f", "address=127.0.0.1 port=5006");
	add_group(config, "g", "address=127.0.0.2 port=5006 interfaces=eth1");
	add_group(config, "h", "address=127.0.0.3 port=5006 interfaces=eth0");
	assert_warnings(config, expected, 4);
}

static void unicast_groups_that_can_all_be_joined_have_no_warnings(void **state)
{
	add_group(*state, "a", "address=0.0.0.0 interfaces=eth0");
	add_group(*state, "b", "address=127.0.0.1 interfaces=lo");
	add_group(*state, "c", "address=127.0.0.1 port=5005");
	add_group(*state, "d", "address=127.0.0.2 port=5005");
	add_group(*state, "e", "address=:: port=5004");
	add_group(*state, "f", "address=255.255.255.255");
	assert_no_warnings(*state);
}

/* Quadratic, it would take minutes. */
static void ten_thousand_groups_are_compared_at_once(void **state)
{
	clock_t before;

	for (int i = 0; i < 10000; i++) {
		char name[16], settings[64];

		snprintf(name, sizeof(name), "g%d", i);
		snprintf(settings, sizeof(settings), "address=%d.1.1.1 port=%d",
			i < 5000 ? 225 : 239, i + 1);
		add_group(*state, name, settings);
	}
	before = clock();
	config_find_warnings(*state);
	assert_true(clock() - before < CLOCKS_PER_SEC);
	assert_int_equal(errors_total(&((struct config *)*state)->warnings), 1);
}

/* ---- Places ---- */

static void a_warning_names_the_place_of_its_group(void **state)
{
	static const char *const expected[] = {
		"D/mcastd.conf:7: groups.a: warning: ff01::1 never leaves a host; use ff15::/16 "
		"for a group of several hosts"};
	struct config *config = *state;

	add_group(config, "a", "address=ff01::1");
	config->groups[0].place = (struct place){"D/mcastd.conf", 7};
	assert_warnings(config, expected, 1);
}

static void warnings_beyond_the_limit_are_counted(void **state)
{
	struct config *config = *state;

	for (int i = 0; i < ERRORS_MAX + 7; i++)
		add_group(config, "a", "address=224.0.0.18");
	config_find_warnings(config);
	assert_int_equal(config->warnings.count, ERRORS_MAX);
	assert_int_equal(config->warnings.omitted, 7);
}

static void a_mode_beside_lists_of_users_has_no_effect(void **state)
{
	struct config *config = *state;
	struct config_group *group;

	add_group(config, "a", "address=233.252.0.1 socket_mode=0600");
	group = &config->groups[0];
	*group->allow_receive.items = (struct principal){PRINCIPAL_USER, 0};
	assert_no_warnings(config);
	*group->allow_send.items = (struct principal){PRINCIPAL_USER, 0};
	config_find_warnings(config);
	assert_int_equal(config->warnings.count, 1);
	assert_non_null(
		strstr(config->warnings.lines[0], "socket_mode and socket_group have no effect, as "
						  "no list of who may has \"socket\"; remove them, "
						  "or add it to allow_receive"));
}

static void a_mode_of_events_beside_a_list_of_users_has_no_effect(void **state)
{
	struct config_group *events = &((struct config *)*state)->events;

	events->socket_mode = 0600;
	assert_no_warnings(*state);
	*events->allow_receive.items = (struct principal){PRINCIPAL_USER, 0};
	config_find_warnings(*state);
	assert_int_equal(((struct config *)*state)->warnings.count, 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown),
#define WARNING_ROW(name, settings, expected) TEST(name)

/* ---- The HTTP server ---- */

static void listen_on(struct config *config, const char *address)
{
	char why[WHY_MAX];

	assert_int_equal(schema_set(&http_schema, &config->http, "listen", address, why), 0);
}

static void an_http_server_for_this_host_has_no_warnings(void **state)
{
	listen_on(*state, "127.0.0.1:9184");
	listen_on(*state, "127.1.2.3:9184");
	listen_on(*state, "[::1]:9184");
	listen_on(*state, "/run/mcastd/http.sock");
	assert_no_warnings(*state);
}

static void an_http_server_for_other_hosts_is_warned_of(void **state)
{
	listen_on(*state, "0.0.0.0:9184");
	assert_warnings(*state,
		(const char *[]){
			"http: listen: warning: \"0.0.0.0:9184\" can be reached from other "
			"hosts, without a password and unencrypted; use 127.0.0.1, or a "
			"proxy in front of it"},
		1);
}

static void an_http_server_at_no_address_of_this_host_is_warned_of(void **state)
{
	struct config *config = *state;

	listen_on(config, "198.51.100.7:9184");
	config_find_warnings(config);
	assert_int_equal(errors_total(&config->warnings), 2);
	assert_non_null(strstr(config->warnings.lines[1], "is no address of this host now"));
}

/* A configuration whose group a has a socket, with a path of this many bytes. */
static void add_socket(struct config *config, size_t length)
{
	size_t size = length - strlen("/groups/a");

	free(config->run_directory);
	config->run_directory = calloc(1, size + 1);
	assert_non_null(config->run_directory);
	memset(config->run_directory, '/', size);
	add_group(config, "a", "address=239.0.0.1 socket=true");
}

static void a_stream_socket_whose_path_fits_is_not_warned_of(void **state)
{
	add_socket(*state, 100);
	assert_no_warnings(*state);
}

static void a_stream_socket_whose_path_is_too_long_is_warned_of(void **state)
{
	add_socket(*state, 101);
	assert_warnings(*state,
		(const char *const[]){
			"group a: warning: it has no socket a.stream: that path would have 108 "
			"bytes, and may have 107: shorten the name or run_directory"},
		1);
}

/* clang-format off */
int main(void)
{
	const struct CMUnitTest tests[] = {
		WARNINGS(WARNING_ROW)
		TEST(good_groups_have_no_warnings)
		TEST(protocols_on_udp_that_stay_on_their_link_have_no_warnings)
		TEST(addresses_that_every_host_has_are_no_surprise)
		TEST(keys_for_sending_to_a_broadcast_address_have_an_effect)
		TEST(keys_for_sending_to_what_is_no_address_yet_may_have_an_effect)
		TEST(keys_for_sending_to_an_address_of_this_host_have_none)
		TEST(unicast_that_is_relayed_to_a_group_is_warned_of)
		TEST(a_filter_that_no_sender_of_the_group_passes_is_warned_of)
		TEST(searches_that_are_relayed_with_an_own_source_are_warned_of)
		TEST(sources_that_mean_nothing_in_another_network_are_warned_of)
		TEST(ssm_that_is_relayed_with_an_own_source_is_warned_of)
		TEST(mdns_that_is_relayed_from_another_port_is_warned_of)
		TEST(addresses_with_one_mac_address_are_named_once)
		TEST(addresses_of_ipv6_with_one_mac_address_are_named)
		TEST(groups_on_interfaces_of_their_own_may_share_a_mac_address)
		TEST(groups_that_may_meet_on_an_interface_are_named)
		TEST(unicast_addresses_have_no_multicast_mac_address)
		TEST(unicast_groups_of_which_only_one_can_be_joined_are_named)
		TEST(unicast_groups_that_can_all_be_joined_have_no_warnings)
		TEST(ten_thousand_groups_are_compared_at_once)
		TEST(a_mode_beside_lists_of_users_has_no_effect)
		TEST(a_mode_of_events_beside_a_list_of_users_has_no_effect)
		TEST(a_warning_names_the_place_of_its_group)
		TEST(warnings_beyond_the_limit_are_counted)
		TEST(an_http_server_for_this_host_has_no_warnings)
		TEST(an_http_server_for_other_hosts_is_warned_of)
		TEST(an_http_server_at_no_address_of_this_host_is_warned_of)
		TEST(a_stream_socket_whose_path_fits_is_not_warned_of)
		TEST(a_stream_socket_whose_path_is_too_long_is_warned_of)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
