/* What keeps a datagram from leaving. */
#include <errno.h>
#include <string.h>

#include "ctl/doctor/fixes.h"
#include "ctl/doctor/rows.h"
#include "ctl/doctor/signs.h"
#include "net/route_refusal.h"

static enum certainty certain_if(bool condition)
{
	return condition ? CERTAINTY_CERTAIN : CERTAINTY_NO;
}

/* A route of the type prohibit has the error of some firewalls, and a blackhole that of a mistake;
 * the firewall comes later. */
static bool is_of_route(const struct sending *sending)
{
	int error = sending->error;

	return error == -ENETUNREACH || error == -EHOSTUNREACH ||
	       (error && error == sending->route_error);
}

/* By a route, or by a rule of ip-rule(8), and not for want of one. */
static bool is_refused_by_route(const struct sending *sending)
{
	return sending->route_error && sending->route_error != -ENETUNREACH;
}

static const char *interface_of(const struct evidence *e)
{
	return *e->sending.interface ? e->sending.interface : e->subject->interface;
}

static void tell_error(const struct evidence *e, struct finding *f)
{
	if (e->sending.error)
		finding_string(
			f, "error", *e->sending.why ? e->sending.why : strerror(-e->sending.error));
	else if (e->sending.was_tried)
		finding_number(f, "sent", 1);
}

static const char *sending_error(const struct evidence *e)
{
	return e->subject->sending_error ? e->subject->sending_error : e->group->sending_error;
}

/* A group of an address of this host never sends: that is no news. */
static bool only_receives(const struct evidence *e)
{
	return is_unicast(e) && sending_error(e) && strstr(sending_error(e), "only receives");
}

enum certainty is_cannot_send(const struct evidence *e)
{
	return certain_if(e->subject->state == SUBJECT_JOINED && sending_error(e) &&
			  !only_receives(e) && !e->sending.was_tried);
}

void tell_cannot_send(const struct evidence *e, struct finding *f)
{
	finding_say(f, "nothing can be sent now: %s", sending_error(e));
	finding_string(f, "interface",
		e->subject->sending_error ? e->subject->interface
		: e->group->sending_interface ? e->group->sending_interface
					      : "that of the route");
}

void fix_cannot_send(const struct evidence *e, struct finding *f)
{
	begin_mcastctl(e, f);
	finding_fix(f, " doctor --send %s", e->group->name);
}

enum certainty is_sent(const struct evidence *e)
{
	return certain_if(e->was_sent && !e->sending.error && e->sending.ttl &&
			  e->sending.saw_wire && e->sending.on_wire && !is_send_no_address(e) &&
			  !is_send_other_interface(e));
}

void tell_sent(const struct evidence *e, struct finding *f)
{
	finding_say(
		f, "what was sent left %s: nothing on this host holds it back", interface_of(e));
	finding_number(f, "on the wire", e->sending.on_wire);
	if (e->sent_here)
		finding_number(f, "sent by programs of this host", e->sent_here);
	if (e->ttl_here)
		finding_number(f, "their TTL", e->ttl_here);
}

void fix_sent(const struct evidence *e, struct finding *f)
{
	char group[ENDPOINT_STRING_MAX];

	if (!e->received)
		finding_hint(f, "on the host that should receive: sudo mcastctl doctor %s%s",
			show_group(e, group), is_unicast(e) ? "" : "%NAME");
}

enum certainty is_send_no_route(const struct evidence *e)
{
	const struct sending *s = &e->sending;

	return certain_if(s->is_meant && !s->names_interface &&
			  (s->was_tried ? is_of_route(s) : !s->has_route));
}

void tell_send_no_route(const struct evidence *e, struct finding *f)
{
	finding_say(f, "nothing can be sent: no interface is named, and ");
	if (*e->sending.refusing)
		finding_say(f, "the route '%s' refuses it", e->sending.refusing);
	else if (is_refused_by_route(&e->sending))
		finding_say(f, "a route or a rule of this host refuses it");
	else
		finding_say(f, "the kernel has no route to the group");
	tell_error(e, f);
}

void fix_send_no_route(const struct evidence *e, struct finding *f)
{
	char group[INET6_ADDRSTRLEN];

	if (!is_refused_by_route(&e->sending)) {
		finding_fix(f, "ip route add %s dev %s", is_v4(e) ? "224.0.0.0/4" : "ff00::/8",
			e->subject->interface);
		return;
	}
	if (*e->sending.refusing) {
		finding_begin(f, "ip route del ");
		finding_line(f, e->sending.refusing);
	} else {
		show_address(&e->group->address, group);
		finding_see(f,
			is_v4(e) ? "ip route get %s; ip rule"
				 : "ip -6 route get %s; ip -6 rule; ip -6 route",
			group);
	}
	if (e->is_daemon) {
		finding_hint(f, "or name the interface:");
		fix_key(e, f, "send_interface = \"%s\";", e->subject->interface);
	} else {
		finding_hint(f, "or, in the program that sends: name the interface %s",
			e->subject->interface);
	}
}

enum certainty is_send_firewall(const struct evidence *e)
{
	return certain_if(!is_send_no_route(e) &&
			  (e->sending.error == -EPERM || e->sending.error == -EACCES ||
				  (e->sending.error && e->sending.ipsec)));
}

void tell_send_firewall(const struct evidence *e, struct finding *f)
{
	const struct firewall_chain *chain = e->sending.ipsec ? NULL : find_chain(e, true);

	if (e->sending.ipsec) {
		finding_say(f, "a policy of IPsec drops what is sent: ip xfrm policy");
		finding_number(f, "dropped by IPsec", e->sending.ipsec);
		tell_error(e, f);
		return;
	}
	finding_say(f, "a firewall of this host refuses what is sent");
	if (chain)
		finding_say(f, ": the chain %s in the table %s %s may drop it", chain->name,
			chain->family, chain->table);
	tell_error(e, f);
	finding_number(f, "packets discarded on their way out", e->sending.out_dropped);
}

void fix_send_firewall(const struct evidence *e, struct finding *f)
{
	if (e->sending.ipsec) {
		finding_see(f, "ip xfrm policy; ip xfrm state");
		return;
	}
	if (e->firewall && !find_chain(e, true)) {
		finding_hint(f, "in the unit of the program that sends: IPAddressAllow=any");
		finding_see(f, "systemctl show -p IPAddressDeny -p IPAddressAllow mcastd");
	}
	fix_firewall(e, f, true);
}

enum certainty is_send_no_address(const struct evidence *e)
{
	const struct sending *s = &e->sending;

	return certain_if(s->is_meant && *s->interface &&
			  (s->error == -EADDRNOTAVAIL || (!s->has_address && !s->error)));
}

void tell_send_no_address(const struct evidence *e, struct finding *f)
{
	finding_say(f, "%s has no %s address to send from", interface_of(e),
		is_v4(e) ? "IPv4" : "IPv6");
	tell_error(e, f);
	finding_string(f, "interface", interface_of(e));
}

void fix_send_no_address(const struct evidence *e, struct finding *f)
{
	fix_address(e, f, interface_of(e));
}

enum certainty is_send_too_large(const struct evidence *e)
{
	return certain_if(e->sending.error == -EMSGSIZE);
}

void tell_send_too_large(const struct evidence *e, struct finding *f)
{
	finding_say(f, "what is sent is larger than the MTU of %u", e->link.mtu);
	tell_error(e, f);
}

void fix_send_too_large(const struct evidence *e, struct finding *f)
{
	finding_hint(f, "in the program that sends: at most %u bytes a datagram",
		e->link.mtu > 28 ? e->link.mtu - 28 : 0);
}

enum certainty is_send_refused(const struct evidence *e)
{
	return certain_if(e->sending.error && !is_send_no_route(e) && !is_send_firewall(e) &&
			  !is_send_no_address(e) && !is_send_too_large(e) && !is_send_dropped(e));
}

void tell_send_refused(const struct evidence *e, struct finding *f)
{
	finding_say(f, "nothing can be sent: %s",
		*e->sending.why ? e->sending.why : strerror(-e->sending.error));
	if (e->sending.is_forbidden)
		finding_string(f, "user", e->sending.user);
	else
		finding_string(f, "error", strerror(-e->sending.error));
}

void fix_send_refused(const struct evidence *e, struct finding *f)
{
	if (e->sending.is_forbidden)
		fix_key(e, f, "allow_send: add \"user:%s\"", e->sending.user);
	else if (e->sending.error == -ENODEV)
		fix_key(e, f, "send_interface = \"NAME\";");
	else if (e->sending.error == -ENETDOWN)
		finding_fix(f, "ip link set dev %s up", interface_of(e));
	else if (e->sending.error == -ENETUNREACH && !is_v4(e))
		finding_fix(f, "ip -6 route add " ROUTE_MULTICAST6 "%s", interface_of(e));
}

enum certainty is_send_ttl(const struct evidence *e)
{
	return certain_if(e->sending.is_meant && e->sending.ttl == 0);
}

void tell_send_ttl(const struct evidence *e, struct finding *f)
{
	finding_say(f, "with a TTL of 0 nothing leaves this host");
	tell_error(e, f);
}

void fix_send_ttl(const struct evidence *e, struct finding *f)
{
	fix_key(e, f, "ttl = 1;");
}

enum certainty is_send_other_interface(const struct evidence *e)
{
	const struct sending *s = &e->sending;

	if (!s->is_meant || !*s->interface || s->error)
		return CERTAINTY_NO;
	if (!s->is_received_there)
		return CERTAINTY_CERTAIN;
	return s->is_only_one && !s->names_interface ? CERTAINTY_LIKELY : CERTAINTY_NO;
}

void tell_send_other_interface(const struct evidence *e, struct finding *f)
{
	finding_say(f, "what is sent leaves by %s only%s%s%s", e->sending.interface,
		e->sending.names_interface ? "" : ", where the kernel's route leads",
		e->sending.is_received_there ? "" : ", and not by ",
		e->sending.is_received_there ? "" : e->subject->interface);
	finding_string(f, "leaves by", e->sending.interface);
}

void fix_send_other_interface(const struct evidence *e, struct finding *f)
{
	if (e->is_daemon)
		fix_key(e, f, "send_interface = \"%s\";", e->subject->interface);
	else
		finding_hint(f, "in the program that sends: name the interface %s",
			e->subject->interface);
}

enum certainty is_send_dropped(const struct evidence *e)
{
	const struct sending *s = &e->sending;

	/* The socket has IP_RECVERR, so that the kernel tells what is dropped on its way. */
	if (s->error == -ENOBUFS)
		return CERTAINTY_CERTAIN;
	return certain_if(s->ttl != 0 && s->was_tried && !s->error && s->saw_wire && !s->on_wire &&
			  !s->stayed_here);
}

void tell_send_dropped(const struct evidence *e, struct finding *f)
{
	finding_say(f,
		"the kernel took what was sent, and it did not leave %s: a firewall at the "
		"hook egress or postrouting, or the queue",
		interface_of(e));
	if (e->sending.saw_wire)
		finding_number(f, "on the wire", e->sending.on_wire);
	finding_number(f, "packets discarded on their way out", e->sending.out_dropped);
	finding_number(f, "errors of the send buffer", e->sending.send_buffer);
}

void fix_send_dropped(const struct evidence *e, struct finding *f)
{
	fix_send_firewall(e, f);
	finding_see(f, "tc -s qdisc show dev %s", interface_of(e));
}
