/* What keeps a group from being joined, and interfaces that receive nothing as they are. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/doctor/fixes.h"
#include "ctl/doctor/rows.h"
#include "ctl/doctor/signs.h"

/* Of linux/if.h, which does not go together with net/if.h. */
#define OPERSTATE_DOWN 2
#define OPERSTATE_LOWER_DOWN 3

static bool is_refused(const struct evidence *e)
{
	return e->subject->state != SUBJECT_JOINED;
}

static bool error_says(const struct evidence *e, const char *words)
{
	return e->subject->error && strstr(e->subject->error, words);
}

static enum certainty certain_if(bool condition)
{
	return condition ? CERTAINTY_CERTAIN : CERTAINTY_NO;
}

/* ---- The view ---- */

enum certainty is_other_namespace(const struct evidence *e)
{
	return certain_if(e->is_elsewhere && !e->received);
}

void tell_other_namespace(const struct evidence *e, struct finding *f)
{
	finding_say(f, "mcastd is in another network namespace than this mcastctl: what is told "
		       "here is only what mcastd itself counts");
	finding_number(f, "mcastd's process", e->daemon_pid);
	finding_number(f, "received", e->received);
}

void fix_other_namespace(const struct evidence *e, struct finding *f)
{
	finding_begin(f, "nsenter -t %u -n ", e->daemon_pid);
	begin_mcastctl(e, f);
	finding_fix(f, " doctor %s", e->group->name);
}

/* ---- Cannot be joined ---- */

/* Of unicast, there is nothing to join on where the address is not. */
enum certainty is_address_gone(const struct evidence *e)
{
	return certain_if(!e->is_elsewhere && is_refused(e) && is_unicast(e) &&
			  (e->subject->error_number == -EADDRNOTAVAIL ||
				  error_says(e, "no interface has this address") ||
				  error_says(e, "is neither an address of this host")));
}

void tell_address_gone(const struct evidence *e, struct finding *f)
{
	char address[INET6_ADDRSTRLEN];

	show_address(&e->group->address, address);
	finding_say(f, "this host does not have the address %s now", address);
	finding_string(f, "address", address);
}

void fix_address_gone(const struct evidence *e, struct finding *f)
{
	char address[INET6_ADDRSTRLEN];

	finding_hint(f, "with the length of its network: ip addr add %s/LENGTH dev NAME",
		show_address(&e->group->address, address));
	if (e->is_daemon)
		finding_hint(
			f, "or, in the group %s: an address that this host has", e->group->name);
	finding_see(f, "ip -br addr");
}

enum certainty is_no_such_interface(const struct evidence *e)
{
	return certain_if(
		!e->is_elsewhere && !e->link.exists && is_refused(e) && !is_address_gone(e));
}

static bool is_named_by_address(const struct evidence *e)
{
	struct address address;

	return address_parse(e->subject->interface, &address) == 0;
}

void tell_no_such_interface(const struct evidence *e, struct finding *f)
{
	if (is_named_by_address(e))
		finding_say(f, "no interface of this host has the address %s now",
			e->subject->interface);
	else if (e->subject->error && strpbrk(e->subject->interface, "*?["))
		finding_say(f, "%s: %s", e->subject->interface, e->subject->error);
	else
		finding_say(f, "this host has no interface %s now", e->subject->interface);
	finding_string(f, "interface", e->subject->interface);
}

void fix_no_such_interface(const struct evidence *e, struct finding *f)
{
	if (!is_named_by_address(e)) {
		fix_interface(e, f, "NAME");
		finding_see(f, "ip -br link");
		return;
	}
	finding_hint(f, "with the length of its network: ip addr add %s/LENGTH dev NAME",
		e->subject->interface);
	if (e->is_daemon) {
		finding_hint(f, "or name the interface:");
		fix_key(e, f, "interfaces = [\"NAME\"];");
	} else {
		finding_hint(f, "or, in the program that receives: join on NAME");
	}
	finding_see(f, "ip -br addr");
}

enum certainty is_port_taken(const struct evidence *e)
{
	return certain_if(is_refused(e) &&
			  (e->subject->error_number == -EADDRINUSE || error_says(e, "is held")));
}

void tell_port_taken(const struct evidence *e, struct finding *f)
{
	finding_say(f, "another program has port %u and does not share it", e->group->port);
	if (*e->rival)
		finding_say(f, ": %s", e->rival);
	finding_number(f, "other sockets on the port", e->holders);
}

void fix_port_taken(const struct evidence *e, struct finding *f)
{
	finding_hint(f, "end that program, or have it set SO_REUSEADDR before it binds");
	fix_reload(e, f);
	finding_see(f, "ss -lunp sport = :%u", e->group->port);
}

enum certainty is_too_many_memberships(const struct evidence *e)
{
	int r = e->subject->error_number;

	return certain_if(is_refused(e) &&
			  (r == -ENOBUFS || r == -ENOMEM || error_says(e, "too many memberships") ||
				  error_says(e, "sources a group") || error_says(e, "optmem_max")));
}

/* A group has either, and the kernel has one limit for both. */
static size_t count_sources(const struct evidence *e)
{
	return e->group->sources.count + e->group->blocked.count;
}

/* The sysctl that limits it. */
static const char *limit_of(const struct evidence *e)
{
	if (error_says(e, "optmem_max"))
		return "net.core.optmem_max";
	if (count_sources(e))
		return is_v4(e) ? "net.ipv4.igmp_max_msf" : "net.ipv6.mld_max_msf";
	return "net.ipv4.igmp_max_memberships";
}

static size_t larger_limit(const struct evidence *e)
{
	if (error_says(e, "optmem_max"))
		return 1048576;
	if (count_sources(e))
		return count_sources(e) < 64 ? 64 : count_sources(e);
	return 1000;
}

void tell_too_many_memberships(const struct evidence *e, struct finding *f)
{
	finding_say(f,
		"the kernel takes no more memberships, or sources: the sysctl %s is too small",
		limit_of(e));
	finding_string(f, "sysctl", limit_of(e));
	if (count_sources(e))
		finding_number(f, "sources", count_sources(e));
}

void fix_too_many_memberships(const struct evidence *e, struct finding *f)
{
	finding_fix(f, "sysctl -w %s=%zu", limit_of(e), larger_limit(e));
	fix_reload(e, f);
}

static bool has_link_obstacle(const struct evidence *e)
{
	return !e->is_elsewhere && (!e->link.exists || !(e->link.flags & IFF_UP) ||
					   (!is_v4(e) && e->link.sysctl.disable_ipv6));
}

enum certainty is_cannot_join(const struct evidence *e)
{
	return certain_if(is_refused(e) && !has_link_obstacle(e) && !is_address_gone(e) &&
			  !is_port_taken(e) && !is_too_many_memberships(e));
}

void tell_cannot_join(const struct evidence *e, struct finding *f)
{
	const char *why = e->subject->error;

	finding_say(f, "%s", why ? why : strerror(-e->subject->error_number));
	finding_string(f, "error", why ? why : strerror(-e->subject->error_number));
}

void fix_cannot_join(const struct evidence *e, struct finding *f)
{
	if (e->is_daemon)
		finding_see(f, "journalctl -u mcastd --grep=%s", e->group->name);
}

/* ---- The interface ---- */

enum certainty is_interface_down(const struct evidence *e)
{
	return certain_if(
		!e->is_elsewhere && e->link.exists && !(e->link.flags & IFF_UP) && !e->received);
}

void tell_interface_down(const struct evidence *e, struct finding *f)
{
	finding_say(f, "the interface %s is down", e->link.name);
	finding_string(f, "state", "down");
}

void fix_interface_down(const struct evidence *e, struct finding *f)
{
	finding_fix(f, "ip link set dev %s up", e->link.name);
}

static bool is_kind_with_ports(const char *kind)
{
	static const char *const kinds[] = {"bridge", "bond", "team", "openvswitch", "ovs"};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kind, kinds[i]))
			return true;
	return false;
}

enum certainty is_no_carrier(const struct evidence *e)
{
	bool is_up = e->link.exists && e->link.flags & IFF_UP;

	return certain_if(
		!e->is_elsewhere && is_up && !e->received &&
		(!(e->link.flags & INTERFACE_LOWER_UP) || e->link.operstate == OPERSTATE_DOWN ||
			e->link.operstate == OPERSTATE_LOWER_DOWN));
}

static bool is_bridge(const struct evidence *e)
{
	return !strcmp(e->link.kind, "bridge");
}

/* Its carrier is that of its ports, which ip(8) adds. */
static bool has_ports(const struct evidence *e)
{
	return is_bridge(e) || !strcmp(e->link.kind, "bond") || !strcmp(e->link.kind, "team");
}

void tell_no_carrier(const struct evidence *e, struct finding *f)
{
	if (has_ports(e))
		finding_say(f, "the %s %s has no carrier: it has no port, or none of them %s",
			e->link.kind, e->link.name,
			is_bridge(e) ? "is up, or forwards yet" : "is up");
	else
		finding_say(f,
			"the interface %s has no carrier: no cable, or the other end is down",
			e->link.name);
	finding_string(f, "state", "no carrier");
	if (*e->link.lower)
		finding_string(f, "lower interface", e->link.lower);
}

void fix_no_carrier(const struct evidence *e, struct finding *f)
{
	if (has_ports(e)) {
		finding_hint(f, "for each port: ip link set dev NAME master %s up", e->link.name);
		if (is_bridge(e))
			finding_hint(f,
				"with spanning tree a port forwards after twice the forward_delay, "
				"30 s by default");
		finding_see(f, "ip -d link show master %s", e->link.name);
		return;
	}
	finding_hint(f, "plug in the cable, or set the other end up");
	finding_see(f, "ip link show dev %s", *e->link.lower ? e->link.lower : e->link.name);
}

static bool is_port_of_switch(const struct evidence *e)
{
	return *e->link.master && is_kind_with_ports(e->link.master_kind);
}

enum certainty is_enslaved(const struct evidence *e)
{
	return certain_if(!e->is_elsewhere && is_port_of_switch(e) && !e->received);
}

void tell_enslaved(const struct evidence *e, struct finding *f)
{
	finding_say(f, "%s is a port of the %s %s, which takes all of its frames", e->link.name,
		e->link.master_kind, e->link.master);
	finding_string(f, "master", e->link.master);
	tell_counts(e, f);
}

void fix_enslaved(const struct evidence *e, struct finding *f)
{
	fix_interface(e, f, e->link.master);
}

enum certainty is_ipv6_disabled(const struct evidence *e)
{
	return certain_if(!e->is_elsewhere && e->link.exists && !is_v4(e) && !e->received &&
			  e->link.sysctl.disable_ipv6);
}

void tell_ipv6_disabled(const struct evidence *e, struct finding *f)
{
	finding_say(f, "IPv6 is disabled on %s", e->link.name);
	finding_number(f, "disable_ipv6", 1);
}

void fix_ipv6_disabled(const struct evidence *e, struct finding *f)
{
	fix_sysctl(f, "ipv6", e->link.name, "disable_ipv6", 0);
}

/* Without the check of the way back an interface without an address receives. */
enum certainty is_no_ipv4_address(const struct evidence *e)
{
	bool holds = e->link.exists && is_v4(e) && is_missed(e) && !e->link.has_ipv4 &&
		     !is_port_of_switch(e) && !(e->link.flags & IFF_LOOPBACK);
	bool is_checked = e->link.sysctl.rp_filter &&
			  (e->growth[COUNTER_REVERSE_PATH] || find_refused(e));

	if (!holds)
		return CERTAINTY_NO;
	return is_checked ? CERTAINTY_CERTAIN : CERTAINTY_LIKELY;
}

void tell_no_ipv4_address(const struct evidence *e, struct finding *f)
{
	finding_say(f, "%s has no IPv4 address", e->link.name);
	if (e->link.sysctl.rp_filter)
		finding_say(f, ", and rp_filter is %d: the kernel refuses all that comes in there",
			e->link.sysctl.rp_filter);
	else
		finding_say(f, ": its reports leave from 0.0.0.0, which switches may ignore");
	finding_number(f, "rp_filter", (uint64_t)e->link.sysctl.rp_filter);
	finding_growth(f, e, COUNTER_REVERSE_PATH);
	tell_counts(e, f);
}

void fix_no_ipv4_address(const struct evidence *e, struct finding *f)
{
	fix_address(e, f, e->link.name);
}

enum certainty is_vrf(const struct evidence *e)
{
	return !e->is_elsewhere && is_missed(e) && *e->link.master &&
			       !strcmp(e->link.master_kind, "vrf")
		       ? CERTAINTY_LIKELY
		       : CERTAINTY_NO;
}

void tell_vrf(const struct evidence *e, struct finding *f)
{
	finding_say(f, "%s is in the VRF %s: a socket outside of it receives nothing there",
		e->link.name, e->link.master);
	finding_string(f, "vrf", e->link.master);
	tell_counts(e, f);
}

void fix_vrf(const struct evidence *e, struct finding *f)
{
	(void)e;
	finding_fix(f, "sysctl -w net.ipv4.udp_l3mdev_accept=1");
}
