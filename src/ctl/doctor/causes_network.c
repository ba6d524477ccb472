/* What comes but not as asked, and what does not come at all. */
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/doctor/fixes.h"
#include "ctl/doctor/rows.h"
#include "ctl/doctor/signs.h"

/* ---- Not as asked ---- */

static const struct evidence_sender *find_unwanted(const struct evidence *e)
{
	for (size_t i = 0; i < e->sender_count; i++)
		if (!e->senders[i].is_wanted && e->senders[i].datagrams)
			return &e->senders[i];
	return NULL;
}

static bool has_wanted(const struct evidence *e)
{
	for (size_t i = 0; i < e->sender_count; i++)
		if (e->senders[i].is_wanted && e->senders[i].datagrams)
			return true;
	return false;
}

enum certainty is_other_source(const struct evidence *e)
{
	return is_missed(e) && find_unwanted(e) && !has_wanted(e) ? CERTAINTY_CERTAIN
								  : CERTAINTY_NO;
}

void tell_other_source(const struct evidence *e, struct finding *f)
{
	char sender[INET6_ADDRSTRLEN], wanted[INET6_ADDRSTRLEN];
	const struct evidence_sender *other = find_unwanted(e);

	show_address(&other->address, sender);
	if (e->group->blocked.count)
		finding_say(f, "it comes from %s, which is in block_sources", sender);
	else
		finding_say(f, "it comes from %s, and only datagrams from %s%s are wanted", sender,
			show_address(&e->group->sources.items[0], wanted),
			e->group->sources.count > 1 ? " and others" : "");
	finding_string(f, "sender", sender);
	finding_number(f, "datagrams of that sender", other->datagrams);
	tell_counts(e, f);
}

/* As they are written in the configuration, but for one. */
static void list_addresses(
	const struct subject_addresses *addresses, const struct address *but, struct text *text)
{
	char string[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < addresses->count; i++)
		if (!address_equal(&addresses->items[i], but))
			text_printf(text, "%s\"%s\"", text->length ? ", " : "",
				show_address(&addresses->items[i], string));
}

void fix_other_source(const struct evidence *e, struct finding *f)
{
	AUTO_TEXT struct text list = {0};
	char sender[INET6_ADDRSTRLEN];
	const struct address *other = &find_unwanted(e)->address;
	const struct subject_group *group = e->group;

	show_address(other, sender);
	list_addresses(group->blocked.count ? &group->blocked : &group->sources, other, &list);
	if (!e->is_daemon)
		fix_key(e, f, "the source %s", sender);
	else if (!group->blocked.count)
		fix_key(e, f, "sources = [%s, \"%s\"];", text_string(&list), sender);
	else if (list.length)
		fix_key(e, f, "block_sources = [%s];", text_string(&list));
	else
		fix_key(e, f, "remove block_sources");
}

enum certainty is_source_counted(const struct evidence *e)
{
	bool is_ignored = (e->group->sources.count || e->group->blocked.count) &&
			  e->growth[COUNTER_IGNORED];
	bool is_hidden = e->group->hides_sources && e->probed >= SPARSE;

	return is_blind(e) && (is_ignored || is_hidden) ? CERTAINTY_LIKELY : CERTAINTY_NO;
}

void tell_source_counted(const struct evidence *e, struct finding *f)
{
	if (e->probed)
		finding_say(f, "a socket of mcastctl, which takes any sender, received it: maybe "
			       "the group's sources leave the sender out");
	else
		finding_say(f,
			"multicast came that no socket here wanted: another sender than the "
			"sources, one of block_sources, or another port than %u",
			e->group->port);
	if (e->probed)
		finding_number(f, "received by mcastctl", e->probed);
	finding_growth(f, e, COUNTER_IGNORED);
}

void fix_source_counted(const struct evidence *e, struct finding *f)
{
	(void)e, (void)f;
}

enum certainty is_other_port(const struct evidence *e)
{
	if (!is_missed(e) || !is_wire_silent(e) ||
		!(e->wire->other_port + e->wire->other_port_from_here))
		return CERTAINTY_NO;
	return e->other_port_is_used || e->wire->other_port < SPARSE ? CERTAINTY_LIKELY
								     : by_wire(e);
}

void tell_other_port(const struct evidence *e, struct finding *f)
{
	const struct wire_seen *wire = e->wire;

	finding_say(f, "the group is sent to %s", wire->other_port_count ? "port" : "another port");
	for (size_t i = 0; i < wire->other_port_count; i++)
		finding_say(f, "%s %u", i ? "," : "", wire->other_ports[i]);
	finding_say(f, ", not to port %u", e->group->port);
	finding_number(f, "to other ports", wire->other_port);
	if (wire->other_port_from_here)
		finding_number(f, "sent to other ports by this host", wire->other_port_from_here);
	finding_growth(f, e, COUNTER_IGNORED);
	tell_counts(e, f);
}

void fix_other_port(const struct evidence *e, struct finding *f)
{
	unsigned port = e->wire->other_port_count ? e->wire->other_ports[0] : 0;

	if (!port)
		finding_hint(f, "in the program on this host that sends: port %u", e->group->port);
	else if (e->is_daemon)
		fix_key(e, f, "port = %u;", port);
	else
		fix_key(e, f, "port %u", port);
}

/* It may be meant for others. */
enum certainty is_other_address(const struct evidence *e)
{
	return is_missed(e) && is_wire_silent(e) && e->other ? CERTAINTY_CERTAIN : CERTAINTY_NO;
}

void tell_other_address(const struct evidence *e, struct finding *f)
{
	const struct wire_other *other = e->other;
	char address[INET6_ADDRSTRLEN], sender[INET6_ADDRSTRLEN], group[INET6_ADDRSTRLEN];

	show_address(&other->address, address);
	finding_say(f, "to port %u, %s sends to %s%s, not to %s; maybe that is meant for others",
		e->group->port, show_address(&other->sender, sender), address,
		address_is_multicast(&other->address) ? "" : ", which is no group",
		address_is_any(&e->group->address) ? "an address of this host"
						   : show_address(&e->group->address, group));
	finding_string(f, "sent to", address);
	finding_number(f, "datagrams there", other->datagrams);
}

void fix_other_address(const struct evidence *e, struct finding *f)
{
	char address[INET6_ADDRSTRLEN], group[INET6_ADDRSTRLEN];

	if (!address_is_any(&e->group->address))
		finding_hint(f, "in the program that sends: the address %s",
			show_address(&e->group->address, group));
	show_address(&e->other->address, address);
	if (e->is_daemon)
		fix_key(e, f, "address = \"%s\";", address);
	else
		fix_key(e, f, "the address %s", address);
}

enum certainty is_port_counted(const struct evidence *e)
{
	return is_blind(e) && e->growth[COUNTER_IGNORED] ? CERTAINTY_LIKELY : CERTAINTY_NO;
}

void tell_port_counted(const struct evidence *e, struct finding *f)
{
	finding_say(f, "multicast came that no socket here wanted: maybe to another port than %u",
		e->group->port);
	finding_growth(f, e, COUNTER_IGNORED);
}

void fix_port_counted(const struct evidence *e, struct finding *f)
{
	(void)e, (void)f;
}

enum certainty is_vlan_tagged(const struct evidence *e)
{
	if (!is_missed(e) || !is_wire_silent(e))
		return CERTAINTY_NO;
	if (e->wire->tagged)
		return by_wire(e);
	return e->wire->other_port_tagged >= SPARSE ? CERTAINTY_LIKELY : CERTAINTY_NO;
}

void tell_vlan_tagged(const struct evidence *e, struct finding *f)
{
	finding_say(f, "it comes with the tag of VLAN %u", e->wire->vlan);
	if (*e->vlan_interface)
		finding_say(f, ", which is received on %s", e->vlan_interface);
	else
		finding_say(f, ", and this host has no interface for that");
	finding_number(f, "tagged", e->wire->tagged);
	if (e->wire->other_port_tagged)
		finding_number(f, "tagged, to other ports", e->wire->other_port_tagged);
	finding_number(f, "VLAN", e->wire->vlan);
	tell_counts(e, f);
}

void fix_vlan_tagged(const struct evidence *e, struct finding *f)
{
	char name[IF_NAMESIZE];

	if (!*e->vlan_interface) {
		snprintf(name, sizeof(name), "%.10s.%u", e->link.name, e->wire->vlan & 0xfffU);
		finding_fix(f, "ip link add link %s name %s type vlan id %u", e->link.name, name,
			e->wire->vlan);
		finding_fix(f, "ip link set dev %s up", name);
		if (is_v4(e))
			fix_address(e, f, name);
	}
	fix_interface(e, f, *e->vlan_interface ? e->vlan_interface : name);
}

enum certainty is_vlan_counted(const struct evidence *e)
{
	return is_blind(e) && e->statistics.received_otherhost >= SPARSE ? CERTAINTY_LIKELY
									 : CERTAINTY_NO;
}

void tell_vlan_counted(const struct evidence *e, struct finding *f)
{
	finding_say(f, "frames came in on %s that are for nobody here: maybe with a VLAN tag",
		e->link.name);
	finding_number(f, "rx_otherhost", e->statistics.received_otherhost);
}

void fix_vlan_counted(const struct evidence *e, struct finding *f)
{
	(void)e, (void)f;
}

/* What is looped is counted as received multicast. */
static bool may_be_looped(const struct evidence *e)
{
	return e->growth[COUNTER_MULTICAST] >= e->wire->from_here;
}

enum certainty is_local_sender_no_loop(const struct evidence *e)
{
	/* Who asks what becomes of what is sent need not hear it here. */
	if (!is_missed(e) || !is_wire_silent(e) || !e->wire->from_here || e->sends)
		return CERTAINTY_NO;
	return may_be_looped(e) || e->wire->from_here < SPARSE ? CERTAINTY_LIKELY : by_wire(e);
}

void tell_local_sender_no_loop(const struct evidence *e, struct finding *f)
{
	finding_say(f, "a program on this host sends it, and does not want it looped back to this "
		       "host (IP_MULTICAST_LOOP)");
	if (may_be_looped(e))
		finding_say(f, "; or a firewall of this host drops the copy");
	finding_number(f, "sent by this host", e->wire->from_here);
	finding_growth(f, e, COUNTER_MULTICAST);
	tell_counts(e, f);
}

void fix_local_sender_no_loop(const struct evidence *e, struct finding *f)
{
	finding_hint(f, "in the program that sends, %s to 1; where that is mcastd: loop = true;",
		is_v4(e) ? "IP_MULTICAST_LOOP" : "IPV6_MULTICAST_LOOP");
	if (may_be_looped(e) && find_chain(e, false))
		fix_firewall(e, f, false);
}

enum certainty is_other_interface(const struct evidence *e)
{
	if (!is_missed(e) || !*e->elsewhere || (e->wire && !is_wire_silent(e)))
		return CERTAINTY_NO;
	return e->elsewhere_count < SPARSE ? CERTAINTY_LIKELY : by_wire(e);
}

void tell_other_interface(const struct evidence *e, struct finding *f)
{
	finding_say(f, "it comes in on %s, not on %s", e->elsewhere, e->subject->interface);
	finding_string(f, "seen on", e->elsewhere);
	if (e->elsewhere_count)
		finding_number(f, "datagrams there", e->elsewhere_count);
	tell_counts(e, f);
}

void fix_other_interface(const struct evidence *e, struct finding *f)
{
	fix_interface(e, f, e->elsewhere);
}

/* ---- The interface drops ---- */

static uint64_t count_errors(const struct evidence *e)
{
	const struct link_statistics *s = &e->statistics;

	return s->received_errors + s->received_dropped + s->received_missed +
	       s->received_fifo_errors;
}

enum certainty is_interface_drops(const struct evidence *e)
{
	return is_missed(e) && (is_wire_silent(e) || !e->wire) && count_errors(e) >= SPARSE
		       ? CERTAINTY_LIKELY
		       : CERTAINTY_NO;
}

void tell_interface_drops(const struct evidence *e, struct finding *f)
{
	const struct {
		const char *name;
		uint64_t count;
	} counts[] = {{"rx_dropped", e->statistics.received_dropped},
		{"rx_errors", e->statistics.received_errors},
		{"rx_missed", e->statistics.received_missed},
		{"rx_fifo_errors", e->statistics.received_fifo_errors},
		{"rx_crc_errors", e->statistics.received_crc_errors},
		{"rx_length_errors", e->statistics.received_length_errors}};

	if (e->link.has_xdp)
		finding_say(f, "%s drops frames, maybe by its XDP program", e->link.name);
	else
		finding_say(f,
			"%s drops frames before they are on the wire: larger than its MTU of %u, "
			"damaged, or too fast",
			e->link.name, e->link.mtu);
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		if (counts[i].count)
			finding_number(f, counts[i].name, counts[i].count);
	finding_number(f, "MTU", e->link.mtu);
}

void fix_interface_drops(const struct evidence *e, struct finding *f)
{
	if (e->link.has_xdp)
		finding_see(f, "bpftool net show dev %s", e->link.name);
	finding_fix(f, "ip link set dev %s mtu %u", e->link.name, e->link.mtu < 1500 ? 1500 : 9000);
	finding_see(f, "ethtool -S %s", e->link.name);
}

/* ---- It does not come ---- */

/* The network can know of us: a report was seen, or this group is never reported. */
static bool is_reported(const struct evidence *e)
{
	bool was_due = (e->was_refreshed || e->was_joined_now) && !has_older_querier(e);

	return e->wire->reports_out || was_due || is_never_reported(e);
}

/* A sender on this host would look the same. */
static bool is_sending_dropped(const struct evidence *e)
{
	return e->growth[COUNTER_OUT_DROPPED] >= SPARSE || e->grown_out_packets >= SPARSE;
}

/* Before the wire is seen; or there is another likely cause. */
static bool may_be_dropped_here(const struct evidence *e)
{
	return e->link.has_xdp || !strcmp(e->link.kind, "bridge") || *e->below ||
	       e->wire->other_port_tagged || e->statistics.received_otherhost >= SPARSE ||
	       is_interface_drops(e) || is_report_blocked(e) || is_refresh_impossible(e) ||
	       is_unanswered(e) || is_no_ipv4_address(e) || is_vrf(e) || is_sending_dropped(e);
}

enum certainty is_not_on_wire(const struct evidence *e)
{
	if (!is_missed(e) || !is_wire_silent(e) || is_pausing(e) || e->was_sent ||
		e->wire->from_here || e->wire->other_port_from_here)
		return CERTAINTY_NO;
	return is_reported(e) && !is_unicast(e) && !may_be_dropped_here(e) ? by_wire(e)
									   : CERTAINTY_LIKELY;
}

/* The daemon knows, also where it is long ago. */
static void tell_last_received(const struct evidence *e, struct finding *f)
{
	if (e->is_daemon)
		finding_string(f, "last received",
			e->subject->last_received ? e->subject->last_received : "never");
}

void tell_not_on_wire(const struct evidence *e, struct finding *f)
{
	char querier[INET6_ADDRSTRLEN];
	const struct wire_seen *wire = e->wire;

	finding_say(f, "nothing comes in on the wire%s: no sender, %s, or a firewall elsewhere",
		may_be_dropped_here(e) || !is_reported(e) || is_unicast(e)
			? ""
			: ", and nothing on this host drops it",
		is_unicast(e) ? "another address" : "a TTL too small, no multicast router");
	if (e->link.has_xdp)
		finding_say(
			f, "; or the XDP program that is attached to %s drops it", e->link.name);
	if (is_sending_dropped(e))
		finding_say(f, "; or the sender is on this host, which drops what is sent");
	finding_number(f, "on the wire", 0);
	finding_growth(f, e, COUNTER_OUT_DROPPED);
	if (!is_unicast(e)) {
		finding_number(f, "reports sent", wire->reports_out);
		finding_number(f, "reported again", e->was_refreshed);
	}
	tell_last_received(e, f);
	if (!is_unicast(e))
		finding_number(f, "queries heard", wire->queries);
	if (wire->queries && !is_unicast(e))
		finding_string(f, "querier", show_address(&wire->querier, querier));
	if (e->wire_missed)
		finding_number(f, "frames not seen", e->wire_missed);
}

void fix_not_on_wire(const struct evidence *e, struct finding *f)
{
	char group[ENDPOINT_STRING_MAX];

	show_group(e, group);
	if (e->link.has_xdp)
		finding_see(f, "bpftool net show dev %s", e->link.name);
	if (!is_unicast(e))
		finding_hint(f, "on the sender's host: mcastctl doctor --send %s%%NAME", group);
	else if (!address_is_any(&e->group->address))
		finding_hint(f, "on the sender's host: mcastctl doctor --send %s", group);
	else
		finding_hint(f,
			"on the sender's host, with an address of this one: mcastctl doctor --send "
			"ADDRESS:%u",
			e->group->port);
	if (is_sending_dropped(e))
		fix_firewall(e, f, true);
}

enum certainty is_host_or_network(const struct evidence *e)
{
	return is_blind(e) && !is_pausing(e) && !e->was_sent ? CERTAINTY_LIKELY : CERTAINTY_NO;
}

void tell_host_or_network(const struct evidence *e, struct finding *f)
{
	finding_say(f, "nothing comes; whether it is on the wire only root can see");
	if (e->link.has_xdp)
		finding_say(f, ", unless the XDP program that is attached to %s drops it",
			e->link.name);
	finding_number(f, "reported again", e->was_refreshed);
	tell_last_received(e, f);
	tell_counts(e, f);
}

void fix_host_or_network(const struct evidence *e, struct finding *f)
{
	fix_by_root(e, f);
}
