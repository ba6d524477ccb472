/* What is received all the same, and notes that need no traffic. */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "ctl/doctor/fixes.h"
#include "ctl/doctor/rows.h"
#include "ctl/doctor/signs.h"

/* How long a querier may be silent: RFC 3376, 8.2. */
#define QUERY_INTERVAL_NS (125ull * 1000000000)

static int forced_version(const struct evidence *e)
{
	return is_v4(e) ? e->link.sysctl.force_igmp_version : e->link.sysctl.force_mld_version;
}

enum certainty is_forced_version(const struct evidence *e)
{
	int version = forced_version(e);

	return !e->is_elsewhere && e->group->sources.count && version &&
			       version < (is_v4(e) ? 3 : 2)
		       ? CERTAINTY_CERTAIN
		       : CERTAINTY_NO;
}

void tell_forced_version(const struct evidence *e, struct finding *f)
{
	finding_say(f,
		"%s version %d is forced on %s, which cannot report sources: routers and "
		"switches do not learn of them",
		is_v4(e) ? "IGMP" : "MLD", forced_version(e), e->link.name);
	finding_number(f, is_v4(e) ? "force_igmp_version" : "force_mld_version",
		(uint64_t)forced_version(e));
	if (e->wire && e->wire->report_version)
		finding_number(f, "version of our report", e->wire->report_version);
}

void fix_forced_version(const struct evidence *e, struct finding *f)
{
	const char *family = is_v4(e) ? "ipv4" : "ipv6";
	const char *key = is_v4(e) ? "force_igmp_version" : "force_mld_version";

	fix_sysctl(f, family, "all", key, 0);
	fix_sysctl(f, family, e->link.name, key, 0);
}

enum certainty is_same_network_twice(const struct evidence *e)
{
	return e->twin ? CERTAINTY_CERTAIN : CERTAINTY_NO;
}

void tell_same_network_twice(const struct evidence *e, struct finding *f)
{
	finding_say(f, "%s and %s are on one network%s: each datagram comes twice",
		e->subject->interface, e->twin,
		is_relayed(e) ? ", or another relay that keeps sources joins them" : "");
	finding_string(f, "also on", e->twin);
	if (e->wire && e->wire->duplicates)
		finding_number(f, "twice on the wire", e->wire->duplicates);
	tell_counts(e, f);
}

/* Other interfaces of the group stay, and a relay needs both. */
void fix_same_network_twice(const struct evidence *e, struct finding *f)
{
	if (is_relayed(e)) {
		fix_key(e, f, "duplicates = \"drop\";");
		return;
	}
	if (e->is_daemon && e->group->count > 2)
		fix_key(e, f, "interfaces without \"%s\"", e->twin);
	else if (e->is_daemon)
		fix_key(e, f, "interfaces = [\"%s\"];", e->subject->interface);
	else
		fix_interface(e, f, e->subject->interface);
	if (e->is_daemon)
		finding_hint(f, "or, to have both and one copy: duplicates = \"drop\";");
}

enum certainty is_mac_collision(const struct evidence *e)
{
	return e->wire && e->wire->collisions ? CERTAINTY_CERTAIN : CERTAINTY_NO;
}

void tell_mac_collision(const struct evidence *e, struct finding *f)
{
	char other[INET6_ADDRSTRLEN];

	finding_say(f,
		"the group %s has the same MAC address, so that this host gets its frames, "
		"too, and drops them",
		show_address(&e->wire->collision, other));
	finding_number(f, "frames of other groups", e->wire->collisions);
	finding_string(f, "other group", other);
}

void fix_mac_collision(const struct evidence *e, struct finding *f)
{
	if (is_v4(e))
		finding_hint(f, "another address for one of the two: 32 groups share a MAC "
				"address");
	else
		finding_hint(f, "another address for one of the two, with other last 32 bits");
}

/* ---- Handlers ---- */

enum certainty is_all_filtered(const struct evidence *e)
{
	const struct evidence_handlers *h = &e->handlers;

	if (!e->received || !h->count || !h->received || h->filtered < h->received)
		return CERTAINTY_NO;
	return h->is_shared ? CERTAINTY_LIKELY : CERTAINTY_CERTAIN;
}

void tell_all_filtered(const struct evidence *e, struct finding *f)
{
	finding_say(f,
		"the group receives, and the filters of its handlers let nothing through: "
		"%s",
		e->handlers.name);
	finding_number(f, "received by handlers", e->handlers.received);
	finding_number(f, "filtered", e->handlers.filtered);
}

void fix_all_filtered(const struct evidence *e, struct finding *f)
{
	finding_hint(f, "in the handler %s: change or remove filter", e->handlers.name);
	begin_mcastctl(e, f);
	finding_fix(f, " reload");
}

/* Of README, "Where loss is shown". */
static const struct drop_reason {
	const char *name, *meaning, *key; /* key: what to do with it */
} reasons[] = {
	{"rate", "its rate is less than what comes", "a larger rate"},
	{"strip", "they have no header of RTP, which it takes away", "remove strip"},
	{"queue", "its queue is full", "a larger queue"},
	{"io", "the disk or the network refuses", NULL},
	{"busy", "the queue of its interface is full", NULL},
	{"absent", "the other program or the interface is not there", NULL},
	{"size", "the datagrams are larger than it takes", NULL},
	{"ttl", "the TTL is used up", "set ttl"},
	{"loop", "they come from where they would go", NULL},
};

static const struct drop_reason *find_reason(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(reasons); i++)
		if (!strcmp(reasons[i].name, name))
			return &reasons[i];
	return NULL;
}

static void see_handlers(
	const struct evidence *e, struct finding *f, const struct evidence_handler_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		finding_begin(f, "# see: ");
		begin_mcastctl(e, f);
		finding_fix(f, " handlers %s", list->items[i].name);
	}
}

static void say_left_out(struct finding *f, const struct evidence_handler_list *list)
{
	if (list->left_out)
		finding_say(f, "; and %zu more", list->left_out);
}

enum certainty is_handler_fails(const struct evidence *e)
{
	return e->received && e->handlers.failing.count ? CERTAINTY_CERTAIN : CERTAINTY_NO;
}

void tell_handler_fails(const struct evidence *e, struct finding *f)
{
	const struct evidence_handler_list *list = &e->handlers.failing;

	for (size_t i = 0; i < list->count; i++)
		finding_say(f, "%s the handler %s delivers nothing: %s",
			i ? ";" : "the group receives, and", list->items[i].name,
			list->items[i].why);
	say_left_out(f, list);
	finding_number(f, "received by handlers", e->handlers.received);
	finding_number(f, "delivered by handlers", e->handlers.delivered);
}

void fix_handler_fails(const struct evidence *e, struct finding *f)
{
	see_handlers(e, f, &e->handlers.failing);
}

static enum certainty is_dropping(
	const struct evidence *e, const struct evidence_handler_list *list)
{
	if (!e->received || !list->count)
		return CERTAINTY_NO;
	return e->handlers.is_shared ? CERTAINTY_LIKELY : CERTAINTY_CERTAIN;
}

/* The numbers are of the reason for which most was dropped. */
static void tell_dropping(
	const struct evidence *e, struct finding *f, const struct evidence_handler_list *list)
{
	uint64_t dropped = 0;

	for (size_t i = 0; i < list->count; i++) {
		const struct evidence_handler *item = &list->items[i];
		const struct drop_reason *reason = find_reason(item->why);

		finding_say(f, "%s the handler %s drops: %s", i ? ";" : "the group receives, and",
			item->name, reason ? reason->meaning : item->why);
		dropped += strcmp(item->why, list->items[0].why) ? 0 : item->dropped;
	}
	say_left_out(f, list);
	finding_number(f, "received by handlers", e->handlers.received);
	finding_number(f, "dropped by handlers", dropped);
	finding_string(f, "reason", list->items[0].why);
}

static void fix_dropping(
	const struct evidence *e, struct finding *f, const struct evidence_handler_list *list)
{
	bool has_key = false;

	for (size_t i = 0; i < list->count; i++) {
		const struct drop_reason *reason = find_reason(list->items[i].why);

		if (!reason || !reason->key)
			continue;
		finding_hint(f, "in the handler %s: %s", list->items[i].name, reason->key);
		has_key = true;
	}
	if (has_key) {
		begin_mcastctl(e, f);
		finding_fix(f, " reload");
	}
	see_handlers(e, f, list);
}

enum certainty is_handler_drops(const struct evidence *e)
{
	return is_dropping(e, &e->handlers.losing);
}

void tell_handler_drops(const struct evidence *e, struct finding *f)
{
	tell_dropping(e, f, &e->handlers.losing);
}

void fix_handler_drops(const struct evidence *e, struct finding *f)
{
	fix_dropping(e, f, &e->handlers.losing);
}

enum certainty is_handler_limits(const struct evidence *e)
{
	return is_dropping(e, &e->handlers.limiting);
}

void tell_handler_limits(const struct evidence *e, struct finding *f)
{
	tell_dropping(e, f, &e->handlers.limiting);
}

void fix_handler_limits(const struct evidence *e, struct finding *f)
{
	fix_dropping(e, f, &e->handlers.limiting);
}

/* ---- Notes ---- */

enum certainty is_ssm_without_sources(const struct evidence *e)
{
	const struct address *address = &e->group->address;
	bool is_ssm = has_prefix(e, "232.0.0.0/8") ||
		      (address->family == AF_INET6 && address->v6.s6_addr[0] == 0xff &&
			      address->v6.s6_addr[1] >> 4 == 3 && !address->v6.s6_addr[2] &&
			      !address->v6.s6_addr[3]);

	return is_ssm && !e->group->sources.count && !e->group->hides_sources ? CERTAINTY_CERTAIN
									      : CERTAINTY_NO;
}

void tell_ssm_without_sources(const struct evidence *e, struct finding *f)
{
	char group[INET6_ADDRSTRLEN];

	finding_say(f,
		"%s is for source-specific multicast, and no source is named: routers do "
		"not forward it to us",
		show_address(&e->group->address, group));
	finding_number(f, "sources", 0);
}

void fix_ssm_without_sources(const struct evidence *e, struct finding *f)
{
	fix_key(e, f, e->is_daemon ? "sources = [\"SENDER\"];" : "join with the sender's address");
}

/* A relay passes it on where no router does. */
enum certainty is_local_block(const struct evidence *e)
{
	if (!is_in_local_block(e) ||
		(is_relayed(e) && !is_interface_local(e) && !has_reserved_scope(e)))
		return CERTAINTY_NO;
	return CERTAINTY_CERTAIN;
}

void tell_local_block(const struct evidence *e, struct finding *f)
{
	char group[INET6_ADDRSTRLEN];

	show_address(&e->group->address, group);
	if (is_interface_local(e))
		finding_say(f, "%s has interface-local scope: it never leaves a host", group);
	else if (has_reserved_scope(e))
		finding_say(f, "%s has the reserved scope 0: hosts drop what is sent there", group);
	else
		finding_say(f,
			"%s is of the local control block: no router forwards it, switches send it "
			"to all ports, and it is never reported",
			group);
	finding_string(f, "address", group);
}

static bool is_of_mdns(const struct evidence *e)
{
	return is_v4(e) && e->group->address.v4.s_addr == htonl(0xe00000fb);
}

/* A protocol's own address cannot be another one. */
void fix_local_block(const struct evidence *e, struct finding *f)
{
	if (is_of_mdns(e))
		finding_hint(f,
			"mDNS has no other address; a host of both networks passes it on with "
			"relay: { ttl = 255; source_port = 5353; };");
	else
		fix_key(e, f, "address: one of %s", is_v4(e) ? "239.0.0.0/8" : "ff15::/16");
}

enum certainty is_shared_mac(const struct evidence *e)
{
	return e->same_mac ? CERTAINTY_CERTAIN : CERTAINTY_NO;
}

void tell_shared_mac(const struct evidence *e, struct finding *f)
{
	finding_say(f,
		"the group %s has the same MAC address: switches send both to whoever wants "
		"one",
		e->same_mac);
	finding_string(f, "other group", e->same_mac);
}

void fix_shared_mac(const struct evidence *e, struct finding *f)
{
	fix_mac_collision(e, f);
}

/* What a program sends here tells more than the datagram of the doctor, but for that of a group. */
enum certainty is_ttl_one(const struct evidence *e)
{
	int ttl = e->ttl_here && !e->is_daemon ? e->ttl_here : e->sending.ttl;

	return e->sending.is_meant && ttl == 1 ? CERTAINTY_CERTAIN : CERTAINTY_NO;
}

void tell_ttl_one(const struct evidence *e, struct finding *f)
{
	(void)e;
	finding_say(f, "it is sent with a TTL of 1: no router forwards it");
	finding_number(f, "TTL", 1);
}

void fix_ttl_one(const struct evidence *e, struct finding *f)
{
	if (e->is_daemon)
		fix_key(e, f, "ttl = 16;");
	else
		finding_hint(f,
			"in the program that sends: %s of 16, where receivers are behind routers",
			is_v4(e) ? "IP_MULTICAST_TTL" : "IPV6_MULTICAST_HOPS");
}

enum certainty is_rarely_sent(const struct evidence *e)
{
	return e->subject->state == SUBJECT_JOINED && is_pausing(e) ? CERTAINTY_CERTAIN
								    : CERTAINTY_NO;
}

static uint64_t in_seconds(uint64_t ns)
{
	return (uint64_t)((ns + NS_PER_S - 1) / NS_PER_S);
}

void tell_rarely_sent(const struct evidence *e, struct finding *f)
{
	finding_say(f,
		"the last datagram came %" PRIu64 " s ago, and it may be quiet for %" PRIu64
		" s: nothing is missing yet",
		in_seconds(e->quiet_ns), in_seconds(e->pause_ns));
	finding_string(f, "last received", e->subject->last_received);
}

void fix_rarely_sent(const struct evidence *e, struct finding *f)
{
	begin_mcastctl(e, f);
	finding_fix(f, " doctor %s --wait %" PRIu64 "s", e->group->name, in_seconds(e->pause_ns));
}

enum certainty is_no_querier(const struct evidence *e)
{
	return e->wire && !e->wire->queries && e->listened_ns > QUERY_INTERVAL_NS
		       ? CERTAINTY_CERTAIN
		       : CERTAINTY_NO;
}

void tell_no_querier(const struct evidence *e, struct finding *f)
{
	finding_say(f,
		"nobody has asked for groups: switches that snoop forget this host after 260 "
		"s");
	finding_number(f, "seconds", e->listened_ns / 1000000000);
	finding_number(f, "queries heard", 0);
}

void fix_no_querier(const struct evidence *e, struct finding *f)
{
	fix_regularly(e, f);
	finding_hint(f, "better: a querier in the network, such as the switch's own");
}
