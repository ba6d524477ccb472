/* What is lost between the wire and the socket. */
#include <inttypes.h>
#include <string.h>

#include "ctl/doctor/fixes.h"
#include "ctl/doctor/rows.h"
#include "ctl/doctor/signs.h"

/* ---- The way back ---- */

enum certainty is_rp_filter(const struct evidence *e)
{
	const struct evidence_sender *refused = find_refused(e);

	/* With it, everything would be received twice. */
	if (!refused || (e->is_copy && !e->received))
		return CERTAINTY_NO;
	/* With the wire it is known whether that sender sends at all. */
	if (e->wire)
		return refused->datagrams ? CERTAINTY_CERTAIN : CERTAINTY_NO;
	if (!is_missed(e))
		return CERTAINTY_NO;
	return e->growth[COUNTER_REVERSE_PATH] || e->group->sources.count == 1 ? CERTAINTY_CERTAIN
									       : CERTAINTY_LIKELY;
}

void tell_rp_filter(const struct evidence *e, struct finding *f)
{
	const struct evidence_sender *refused = find_refused(e);
	char source[INET6_ADDRSTRLEN], group[INET6_ADDRSTRLEN];

	show_address(&refused->address, source);
	show_address(&e->group->address, group);
	if (refused->back.exists)
		finding_say(f,
			"reverse path filter: the route to %s leads out of %s, not %s, and "
			"rp_filter %d (strict) refuses what it sends",
			source, refused->back.interface, e->link.name, e->link.sysctl.rp_filter);
	else if (*refused->back.refusing)
		finding_say(f,
			"reverse path filter: the route '%s' refuses the way back to %s, and "
			"rp_filter %d what it sends",
			refused->back.refusing, source, e->link.sysctl.rp_filter);
	else
		finding_say(f,
			"reverse path filter: this host has no route to %s, and rp_filter %d (%s) "
			"refuses what it sends",
			source, e->link.sysctl.rp_filter,
			e->link.sysctl.rp_filter == 1 ? "strict" : "loose");
	finding_string(f, "the kernel refuses", source);
	finding_number(f, "rp_filter", (uint64_t)e->link.sysctl.rp_filter);
	finding_growth(f, e, COUNTER_REVERSE_PATH);
	tell_counts(e, f);
}

/* The larger of the two values counts. Loose (2) is enough where there is any route. */
static void fix_check(const struct evidence *e, struct finding *f, int value)
{
	if (value < e->rp_filter_all)
		fix_sysctl(f, "ipv4", "all", "rp_filter", value);
	fix_sysctl(f, "ipv4", e->link.name, "rp_filter", value);
}

void fix_rp_filter(const struct evidence *e, struct finding *f)
{
	const struct evidence_sender *refused = find_refused(e);
	char source[INET6_ADDRSTRLEN];

	if (*refused->back.refusing) {
		finding_begin(f, "ip route del ");
		finding_line(f, refused->back.refusing);
		return;
	}
	show_address(&refused->address, source);
	fix_check(e, f, refused->back.exists ? 2 : 0);
	finding_hint(f, "or: ip route add %s/32 dev %s", source, e->link.name);
}

enum certainty is_rp_filter_counted(const struct evidence *e)
{
	return is_v4(e) && is_blind(e) && e->growth[COUNTER_REVERSE_PATH] &&
			       e->link.sysctl.rp_filter
		       ? CERTAINTY_LIKELY
		       : CERTAINTY_NO;
}

void tell_rp_filter_counted(const struct evidence *e, struct finding *f)
{
	finding_say(f,
		"reverse path filter: the kernel has refused datagrams whose senders it has "
		"no route to by the interface that they came in on, and rp_filter of %s is %d",
		e->link.name, e->link.sysctl.rp_filter);
	finding_number(f, "rp_filter", (uint64_t)e->link.sysctl.rp_filter);
	finding_growth(f, e, COUNTER_REVERSE_PATH);
}

void fix_rp_filter_counted(const struct evidence *e, struct finding *f)
{
	fix_check(e, f, 0);
	finding_hint(f, "or, with the sender's network: ip route add NETWORK dev %s", e->link.name);
}

/* ---- Drops at the socket ---- */

enum certainty is_receive_buffer(const struct evidence *e)
{
	uint64_t full = dropped_for_room(e);

	if (!e->dropped || (e->is_elsewhere ? 0 : !full))
		return e->dropped && e->is_elsewhere ? CERTAINTY_LIKELY : CERTAINTY_NO;
	return e->is_elsewhere || e->other_drops ? CERTAINTY_LIKELY : CERTAINTY_CERTAIN;
}

void tell_receive_buffer(const struct evidence *e, struct finding *f)
{
	finding_say(f, "the socket's receive buffer was full");
	if (e->subject->receive_buffer)
		finding_number(f, "receive buffer in bytes", e->subject->receive_buffer);
	finding_growth(f, e, COUNTER_BUFFER_FULL);
	finding_growth(f, e, COUNTER_MEMORY);
	tell_counts(e, f);
}

/* More than was granted, and what the kernel would grant. */
void fix_receive_buffer(const struct evidence *e, struct finding *f)
{
	uint64_t wanted = e->subject->receive_buffer * 4;

	if (wanted < 4 << 20)
		wanted = 4 << 20;
	if (!e->is_elsewhere && e->link.receive_buffer_max < wanted)
		finding_fix(f, "sysctl -w net.core.rmem_max=%" PRIu64, wanted);
	fix_key(e, f, "receive_buffer = \"%" PRIu64 "M\";", wanted >> 20);
}

enum certainty is_service_firewall(const struct evidence *e)
{
	uint64_t policy = e->dropped - dropped_for_room(e), damaged;
	bool is_full = e->growth[COUNTER_BUFFER_FULL] || e->growth[COUNTER_MEMORY];

	damaged = e->growth[COUNTER_UDP_CHECKSUM] + blocked_by_ipsec(e);
	if (e->is_elsewhere || policy <= damaged)
		return CERTAINTY_NO;
	if (blocked_by_ipsec(e) || !is_many(policy, e->dropped))
		return CERTAINTY_LIKELY;
	return !is_full || !e->other_drops ? CERTAINTY_CERTAIN : CERTAINTY_LIKELY;
}

void tell_service_firewall(const struct evidence *e, struct finding *f)
{
	finding_say(f,
		"a BPF program at the %s or at the socket drops it, not a full buffer: "
		"systemd's IPAddressDeny= works like that",
		e->is_daemon ? "service's cgroup" : "cgroup");
	finding_growth(f, e, COUNTER_UDP_ERRORS);
	finding_number(f, "for a full buffer", dropped_for_room(e));
	tell_counts(e, f);
}

void fix_service_firewall(const struct evidence *e, struct finding *f)
{
	if (!e->is_daemon) {
		finding_hint(f, "in the unit of the program that receives: IPAddressAllow=any");
		return;
	}
	finding_fix(f, "systemctl set-property --runtime mcastd IPAddressAllow=any");
	finding_see(f, "systemctl show -p IPAddressDeny -p IPAddressAllow mcastd");
}

/* ---- Damaged ---- */

static enum certainty is_damaged(const struct evidence *e, uint64_t count)
{
	if (!e->wire || !count || e->is_elsewhere)
		return CERTAINTY_NO;
	return is_missed(e) || is_many(count, e->wire->in) ? CERTAINTY_CERTAIN : CERTAINTY_NO;
}

static enum certainty is_counted(const struct evidence *e, uint64_t count)
{
	return is_blind(e) && count ? CERTAINTY_LIKELY : CERTAINTY_NO;
}

enum certainty is_bad_udp_checksum(const struct evidence *e)
{
	return is_damaged(e, e->wire ? e->wire->bad_udp_checksums : 0);
}

static const char *show_sender(const struct evidence *e, char buffer[static INET6_ADDRSTRLEN])
{
	return e->sender_count ? show_address(&e->senders[0].address, buffer) : "SENDER";
}

void tell_bad_udp_checksum(const struct evidence *e, struct finding *f)
{
	char sender[INET6_ADDRSTRLEN];

	finding_say(f, "the UDP checksum of what %s sends is wrong", show_sender(e, sender));
	finding_number(f, "with a wrong UDP checksum", e->wire->bad_udp_checksums);
	finding_growth(f, e, COUNTER_UDP_CHECKSUM);
	tell_counts(e, f);
}

void fix_bad_udp_checksum(const struct evidence *e, struct finding *f)
{
	char sender[INET6_ADDRSTRLEN];

	finding_hint(f, "on %s: ethtool -K NAME tx off", show_sender(e, sender));
}

enum certainty is_udp_checksum_counted(const struct evidence *e)
{
	return is_counted(e, e->growth[COUNTER_UDP_CHECKSUM]);
}

void tell_udp_checksum_counted(const struct evidence *e, struct finding *f)
{
	finding_say(f, "datagrams with a wrong UDP checksum came in");
	finding_growth(f, e, COUNTER_UDP_CHECKSUM);
}

void fix_udp_checksum_counted(const struct evidence *e, struct finding *f)
{
	fix_bad_udp_checksum(e, f);
}

enum certainty is_bad_ip_checksum(const struct evidence *e)
{
	return is_damaged(e, e->wire ? e->wire->bad_ip_checksums : 0);
}

void tell_bad_ip_checksum(const struct evidence *e, struct finding *f)
{
	char sender[INET6_ADDRSTRLEN];

	finding_say(f, "the checksum of the IP header of what %s sends is wrong",
		show_sender(e, sender));
	finding_number(f, "with a wrong IP checksum", e->wire->bad_ip_checksums);
	finding_growth(f, e, COUNTER_IP_CHECKSUM);
	tell_counts(e, f);
}

void fix_bad_ip_checksum(const struct evidence *e, struct finding *f)
{
	fix_bad_udp_checksum(e, f);
}

enum certainty is_ip_checksum_counted(const struct evidence *e)
{
	return is_counted(e, e->growth[COUNTER_IP_CHECKSUM]);
}

void tell_ip_checksum_counted(const struct evidence *e, struct finding *f)
{
	finding_say(f, "packets with a wrong checksum of the IP header came in");
	finding_growth(f, e, COUNTER_IP_CHECKSUM);
	finding_growth(f, e, COUNTER_IP_HEADER);
}

void fix_ip_checksum_counted(const struct evidence *e, struct finding *f)
{
	fix_bad_udp_checksum(e, f);
}

enum certainty is_bad_length(const struct evidence *e)
{
	return is_damaged(e, e->wire ? e->wire->bad_lengths : 0);
}

void tell_bad_length(const struct evidence *e, struct finding *f)
{
	char sender[INET6_ADDRSTRLEN];

	finding_say(f, "the headers of what %s sends claim more bytes than there are",
		show_sender(e, sender));
	finding_number(f, "with a wrong length", e->wire->bad_lengths);
	finding_growth(f, e, COUNTER_UDP_ERRORS);
	finding_growth(f, e, COUNTER_TRUNCATED);
	tell_counts(e, f);
}

void fix_bad_length(const struct evidence *e, struct finding *f)
{
	char sender[INET6_ADDRSTRLEN];

	finding_hint(f, "the program on %s, or a device between, makes broken headers",
		show_sender(e, sender));
}

/* A short UDP packet is an error like any other, so it is what is left. */
enum certainty is_length_counted(const struct evidence *e)
{
	uint64_t errors = e->growth[COUNTER_UDP_ERRORS];
	uint64_t others = e->growth[COUNTER_UDP_CHECKSUM] + e->growth[COUNTER_BUFFER_FULL] +
			  e->growth[COUNTER_MEMORY] + e->other_drops;

	return is_counted(e, e->growth[COUNTER_TRUNCATED] + (errors > others));
}

void tell_length_counted(const struct evidence *e, struct finding *f)
{
	finding_say(f, "datagrams whose headers claim more bytes than there are came in");
	finding_growth(f, e, COUNTER_UDP_ERRORS);
	finding_growth(f, e, COUNTER_TRUNCATED);
}

void fix_length_counted(const struct evidence *e, struct finding *f)
{
	fix_bad_length(e, f);
}

/* ---- Fragments ---- */

/* All came, and the kernel had no room to put them together. */
static bool are_fragments_dropped(const struct evidence *e)
{
	return missing(e) && e->wire->later_fragments && e->growth[COUNTER_REASSEMBLY_FAILED];
}

enum certainty is_fragments_missing(const struct evidence *e)
{
	enum certainty certainty = is_damaged(e, e->wire ? e->wire->incomplete : 0);

	return certainty == CERTAINTY_NO && are_fragments_dropped(e) ? CERTAINTY_LIKELY : certainty;
}

void tell_fragments_missing(const struct evidence *e, struct finding *f)
{
	if (!e->wire->incomplete)
		finding_say(f, "the datagrams come in fragments, and the kernel does not put them "
			       "together");
	else
		finding_say(f, "the datagrams come in fragments, and not all of them arrive");
	finding_number(f, "first fragments", e->wire->first_fragments);
	finding_number(f, "later fragments", e->wire->later_fragments);
	finding_number(f, "incomplete datagrams", e->wire->incomplete);
	finding_growth(f, e, COUNTER_FRAGMENTS);
	finding_growth(f, e, COUNTER_REASSEMBLY_FAILED);
	tell_counts(e, f);
}

void fix_fragments_missing(const struct evidence *e, struct finding *f)
{
	unsigned headers = is_v4(e) ? 28 : 48;

	if (e->wire && !e->wire->incomplete)
		finding_fix(f, "sysctl -w net.%s=4194304",
			is_v4(e) ? "ipv4.ipfrag_high_thresh" : "ipv6.ip6frag_high_thresh");
	if (e->link.mtu > headers)
		finding_hint(
			f, "at the sender: a payload of %u bytes at most", e->link.mtu - headers);
}

enum certainty is_fragments_counted(const struct evidence *e)
{
	uint64_t fragments = e->growth[COUNTER_FRAGMENTS];

	return is_counted(e, e->growth[COUNTER_REASSEMBLY_FAILED] +
				     (fragments && !e->growth[COUNTER_REASSEMBLED]));
}

void tell_fragments_counted(const struct evidence *e, struct finding *f)
{
	finding_say(f, "fragments came in that do not make whole datagrams");
	finding_growth(f, e, COUNTER_FRAGMENTS);
	finding_growth(f, e, COUNTER_REASSEMBLED);
	finding_growth(f, e, COUNTER_REASSEMBLY_FAILED);
}

void fix_fragments_counted(const struct evidence *e, struct finding *f)
{
	fix_fragments_missing(e, f);
}

/* ---- Another socket ---- */

/* Somebody on this host has got them: has read as many, or has them in its queue. */
static bool was_read_here(const struct evidence *e)
{
	uint64_t lost = missing(e), read = e->growth[COUNTER_UDP_RECEIVED];

	return lost && (read >= e->received + lost || e->rival_takes);
}

enum certainty is_shared_port(const struct evidence *e)
{
	return e->rivals && !e->is_elsewhere && was_read_here(e) ? CERTAINTY_LIKELY : CERTAINTY_NO;
}

void tell_shared_port(const struct evidence *e, struct finding *f)
{
	finding_say(
		f, "another socket on the same address and port gets them instead: %s", e->rival);
	finding_number(f, "other sockets", e->rivals);
	finding_growth(f, e, COUNTER_UDP_RECEIVED);
	tell_counts(e, f);
}

void fix_shared_port(const struct evidence *e, struct finding *f)
{
	finding_hint(f, "end that program, or have it set SO_REUSEADDR and not SO_REUSEPORT");
	finding_see(f, "ss -lunpe sport = :%u", e->group->port);
}

enum certainty is_shared_port_counted(const struct evidence *e)
{
	return e->rivals && is_counted(e, e->growth[COUNTER_UDP_RECEIVED]) ? CERTAINTY_LIKELY
									   : CERTAINTY_NO;
}

void tell_shared_port_counted(const struct evidence *e, struct finding *f)
{
	tell_shared_port(e, f);
}

void fix_shared_port_counted(const struct evidence *e, struct finding *f)
{
	fix_shared_port(e, f);
}

/* ---- The sender's address ---- */

enum certainty is_sender_address(const struct evidence *e)
{
	return is_missed(e) && !missing(e) && find_martian(e) ? CERTAINTY_LIKELY : CERTAINTY_NO;
}

void tell_sender_address(const struct evidence *e, struct finding *f)
{
	const struct evidence_sender *martian = find_martian(e);
	char sender[INET6_ADDRSTRLEN];

	show_address(&martian->address, sender);
	if (!martian->is_local)
		finding_say(f, "the kernel refuses the sender %s, which is an address of no host",
			sender);
	else if (e->sent_here)
		finding_say(f,
			"the kernel refuses the sender %s: what this host sends comes back to it",
			sender);
	else
		finding_say(f,
			"two hosts have %s: it comes in from the network, and the kernel refuses "
			"it, as it is an address of this host",
			sender);
	finding_string(f, "sender", sender);
	finding_number(f, "sent by this host", e->sent_here);
	tell_counts(e, f);
}

void fix_sender_address(const struct evidence *e, struct finding *f)
{
	const struct evidence_sender *martian = find_martian(e);
	char sender[INET6_ADDRSTRLEN];

	show_address(&martian->address, sender);
	if (!martian->is_local) {
		finding_hint(f,
			"at the sender, which sends from %s: ip addr add ADDRESS/LENGTH dev NAME",
			sender);
	} else if (e->sent_here && is_v4(e)) {
		fix_sysctl(f, "ipv4", e->link.name, "accept_local", 1);
		finding_hint(f, "or: receive it where it is sent, which needs no cable");
	} else {
		finding_hint(f, "take it from one of the two hosts: ip addr del %s/LENGTH dev NAME",
			sender);
	}
	finding_see(f, "ip -br addr");
}

/* ---- The firewall ---- */

enum certainty is_host_firewall(const struct evidence *e)
{
	uint64_t lost = e->is_elsewhere ? 0 : missing(e);

	if (is_missed(e) && !lost && is_wire_silent(e))
		lost = e->below_count;
	if (!lost)
		lost = e->dropped ? blocked_by_ipsec(e) : 0;
	if (!lost || is_shared_port(e) || are_fragments_dropped(e) ||
		(e->wire && lost <= e->wire->incomplete))
		return CERTAINTY_NO;
	/* Only a counter proves it: most hosts have chains that may drop something. */
	if (e->grown_rule && e->grown_packets >= lost && lost >= SPARSE)
		return CERTAINTY_CERTAIN;
	return CERTAINTY_LIKELY;
}

static void tell_translation(struct finding *f, const struct firewall_translation *rule)
{
	finding_say(f,
		"; or the rule with handle %" PRIu64
		" in the chain %s of the table %s %s (%s) sends it to another address or port",
		rule->handle, rule->chain, rule->family, rule->table, rule->what);
}

void tell_host_firewall(const struct evidence *e, struct finding *f)
{
	if (blocked_by_ipsec(e)) {
		finding_say(f, "a policy of IPsec drops it: ip xfrm policy");
	} else if (*e->below) {
		finding_say(f,
			"it comes in on %s and does not get from there to %s: a firewall of this "
			"host drops it",
			e->below, e->link.name);
		tell_chain(e, f, false);
	} else {
		finding_say(f, "a firewall of this host drops it");
		tell_chain(e, f, false);
	}
	if (!blocked_by_ipsec(e) && !e->grown_rule && find_translation(e))
		tell_translation(f, find_translation(e));
	if (missing(e) && e->wire->later_fragments) {
		finding_say(f, "; it comes in fragments, of which only the first has a port");
		finding_number(f, "later fragments", e->wire->later_fragments);
	}
	if (*e->below)
		finding_number(f, "on the wire below", e->below_count);
	for (enum counter i = COUNTER_IPSEC_FIRST; i <= COUNTER_IPSEC_LAST; i++)
		finding_growth(f, e, i);
	finding_growth(f, e, COUNTER_MULTICAST);
	tell_counts(e, f);
}

void fix_host_firewall(const struct evidence *e, struct finding *f)
{
	if (blocked_by_ipsec(e))
		finding_see(f, "ip xfrm policy; ip xfrm state");
	else
		fix_firewall(e, f, false);
	if (*e->below)
		finding_see(f, "ip -d link show dev %s", e->link.name);
}

/* More multicast got past the first hooks than anybody read, or nobody wanted. What is not UDP is
 * among it, too, so some is nothing. */
enum certainty is_firewall_counted(const struct evidence *e)
{
	uint64_t passed = e->growth[COUNTER_MULTICAST];
	uint64_t known = e->growth[COUNTER_UDP_RECEIVED] + e->growth[COUNTER_IGNORED] +
			 e->growth[COUNTER_UDP_ERRORS];

	return is_blind(e) && passed > known + SPARSE ? CERTAINTY_LIKELY : CERTAINTY_NO;
}

void tell_firewall_counted(const struct evidence *e, struct finding *f)
{
	finding_say(f, "a firewall of this host drops multicast: more came in than reached any "
		       "socket");
	finding_growth(f, e, COUNTER_MULTICAST);
	finding_growth(f, e, COUNTER_UDP_RECEIVED);
}

void fix_firewall_counted(const struct evidence *e, struct finding *f)
{
	(void)e, (void)f; /* only root sees which chain it is */
}
