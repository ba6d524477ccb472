#include "ctl/doctor/gather.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "ctl/doctor/signs.h"

/* ---- Counters ---- */

static void gather_growth(const struct host *host, sa_family_t family, struct evidence *ret)
{
	for (enum counter counter = 0; counter < COUNTER_COUNT; counter++) {
		const char *name = counter_name(counter, family);

		if (name)
			ret->growth[counter] = kernel_counters_growth(
				&host->before, &host->after, name);
	}
}

static uint64_t grown(uint64_t before, uint64_t after)
{
	return after > before ? after - before : 0;
}

static struct link_statistics grown_statistics(
	const struct link_statistics *before, const struct link_statistics *after)
{
#define GROWN(member) .member = grown(before->member, after->member)
	return (struct link_statistics){
		GROWN(received),
		GROWN(received_errors),
		GROWN(received_dropped),
		GROWN(received_otherhost),
		GROWN(received_missed),
		GROWN(received_crc_errors),
		GROWN(received_fifo_errors),
		GROWN(received_length_errors),
		GROWN(multicast),
		GROWN(sent),
		GROWN(sent_errors),
		GROWN(sent_dropped),
		GROWN(carrier_errors),
	};
#undef GROWN
}

static void gather_link(const struct host *host, struct evidence *ret)
{
	const struct host_link *link = host_link(host, ret->subject->interface);

	if (!link)
		return;
	ret->link = link->after;
	ret->rp_filter_all = link->rp_filter_all;
	ret->statistics = grown_statistics(&link->before.statistics, &link->after.statistics);
}

/* ---- Senders ---- */

static bool contains(const struct subject_addresses *addresses, const struct address *address)
{
	for (size_t i = 0; i < addresses->count; i++)
		if (address_equal(&addresses->items[i], address))
			return true;
	return false;
}

static bool is_wanted(const struct subject_group *group, const struct address *address)
{
	return group->sources.count ? contains(&group->sources, address)
				    : !contains(&group->blocked, address);
}

static bool is_no_host(const struct address *address)
{
	return address_is_any(address) || address_is_multicast(address) ||
	       address_is_everyone(address) ||
	       (address->family == AF_INET && ntohl(address->v4.s_addr) >> 24 == IN_LOOPBACKNET);
}

static struct evidence_sender *find_sender(struct evidence *ret, const struct address *address)
{
	for (size_t i = 0; i < ret->sender_count; i++)
		if (address_equal(&ret->senders[i].address, address))
			return &ret->senders[i];
	return NULL;
}

static void add_sender(
	struct evidence *ret, const struct address *address, uint64_t datagrams, uint8_t ttl)
{
	struct evidence_sender *sender = find_sender(ret, address);

	if (sender) {
		sender->datagrams += datagrams;
		return;
	}
	if (ret->sender_count == EVIDENCE_SENDERS_MAX)
		return;
	sender = &ret->senders[ret->sender_count++];
	*sender = (struct evidence_sender){.address = *address,
		.datagrams = datagrams,
		.ttl = ttl,
		.is_wanted = is_wanted(ret->group, address),
		.verdict = VERDICT_UNKNOWN};
	if (ret->is_elsewhere)
		return;
	route_find(address, 0, &sender->back);
	sender->is_local = sender->back.is_local;
	/* What this host sends itself is not among what came in on the wire; but on lo. */
	sender->is_martian = (sender->is_local || is_no_host(address)) && datagrams &&
			     !(ret->link.flags & IFF_LOOPBACK);
	if (ret->subject->ifindex && ret->is_joined && !sender->is_local)
		sender->verdict = route_verdict(
			&ret->group->address, address, ret->subject->ifindex);
}

/* Those on the wire first: the others may be long gone. */
static void gather_senders(struct evidence *ret)
{
	const struct subject *subject = ret->subject;
	const struct wire_seen *wire = ret->wire;

	for (size_t i = 0; wire && i < wire->sender_count; i++)
		add_sender(ret, &wire->senders[i].address, wire->senders[i].datagrams,
			wire->senders[i].ttl);
	for (size_t i = 0; i < subject->sender_count; i++)
		add_sender(ret, &subject->senders[i].address, 0, subject->senders[i].ttl);
	for (size_t i = 0; i < ret->group->sources.count; i++)
		add_sender(ret, &ret->group->sources.items[i], 0, 0);
}

/* ---- The wire ---- */

/* What is seen below our interface is not elsewhere. */
static void find_below(const struct look *look, struct evidence *ret)
{
	struct link other;

	if (link_read(ret->elsewhere, &look->host.interfaces, &other) < 0 ||
		(strcmp(other.master, ret->link.name) && strcmp(ret->link.lower, other.name)))
		return;
	memcpy(ret->below, ret->elsewhere, sizeof(ret->below));
	ret->below_count = ret->elsewhere_count;
	*ret->elsewhere = '\0';
	ret->elsewhere_count = 0;
}

static void gather_sent(const struct look *look, struct evidence *ret)
{
	const struct interface_list *interfaces = &look->host.interfaces;

	for (size_t i = 0; i < interfaces->count; i++) {
		const struct wire_seen *seen = wire_seen(
			look->wire, ret->subject->group, interfaces->items[i].index);

		ret->sent_here += seen->from_here;
		if (seen->ttl_out > ret->ttl_here)
			ret->ttl_here = seen->ttl_out;
	}
}

static void gather_wire(const struct look *look, struct evidence *ret)
{
	unsigned ifindex = ret->subject->ifindex, elsewhere;

	if (!look->wire)
		return;
	elsewhere = ret->received ? 0 : wire_elsewhere(look->wire, ret->subject->group, ifindex);
	if (elsewhere && if_indextoname(elsewhere, ret->elsewhere)) {
		ret->elsewhere_count = wire_seen(look->wire, ret->subject->group, elsewhere)->in;
		find_below(look, ret);
	}
	ret->wire_missed = wire_missed(look->wire);
	gather_sent(look, ret);
	ret->wire = wire_seen(look->wire, ret->subject->group, ifindex);
	if (ret->wire->tagged)
		link_find_vlan(ret->subject->interface, ret->wire->vlan, ret->vlan_interface);
}

/* What our own sockets show, which take any sender on any interface. */
static void gather_probe(const struct look *look, struct evidence *ret)
{
	const char *interface = ret->subject->interface;
	const struct subject *here = probe_seen(&look->probe, ret->group, interface);
	const struct subject *elsewhere = probe_elsewhere(&look->probe, ret->group, interface);

	if (elsewhere && !*ret->elsewhere) {
		memcpy(ret->elsewhere, elsewhere->interface, sizeof(ret->elsewhere));
		ret->elsewhere_count = elsewhere->after.received;
		find_below(look, ret);
	}
	for (size_t i = 0; here && !ret->wire && i < here->sender_count; i++)
		add_sender(ret, &here->senders[i].address, here->senders[i].datagrams,
			here->senders[i].ttl);
	ret->probed = here ? here->after.received : 0;
}

/* ---- Sockets ---- */

static bool has_inode(const struct own_sockets *sockets, uint64_t inode)
{
	for (size_t i = 0; i < sockets->count; i++)
		if (sockets->items[i].inode == inode)
			return true;
	return false;
}

static bool is_ours(const struct look *look, const struct udp_socket *socket)
{
	return has_inode(&look->sockets, socket->inode) ||
	       has_inode(&look->probe.sockets, socket->inode);
}

static size_t count_joined(const struct look *look, const struct subject_group *group)
{
	size_t count = 0;

	for (size_t i = group->first; i < group->first + group->count; i++)
		count += look->subjects.items[i].state == SUBJECT_JOINED;
	return count;
}

/* Whether it has taken datagrams while we listened, also without reading them. */
static bool has_taken(const struct host *host, const struct udp_socket *socket)
{
	const struct udp_socket *before = host_socket_before(host, socket->inode);

	return before && (socket->queued > before->queued || socket->drops != before->drops);
}

/* Prefers a socket that is not the daemon's, as far as that can be told. */
static void name_rival(const struct look *look, const struct udp_socket *socket, bool is_same,
	struct evidence *ret)
{
	char own[32];

	snprintf(own, sizeof(own), "(pid %u)", look->daemon.pid);
	if (!*ret->rival || (is_same && strstr(ret->rival, own)))
		udp_socket_owner(socket, ret->rival, sizeof(ret->rival));
}

static void gather_other_ports(const struct look *look, struct evidence *ret)
{
	const struct udp_sockets *sockets = &look->host.sockets;

	for (size_t i = 0; ret->wire && i < sockets->count; i++)
		for (size_t j = 0; j < ret->wire->other_port_count; j++)
			ret->other_port_is_used |= sockets->items[i].port ==
							   ret->wire->other_ports[j] &&
						   address_equal(&sockets->items[i].address,
							   &ret->group->address);
}

/* Whether a socket here takes what is sent to the address and port. */
static bool is_bound(const struct look *look, const struct address *address, uint16_t port)
{
	const struct udp_sockets *sockets = &look->host.sockets;

	for (size_t i = 0; i < sockets->count; i++) {
		const struct address *bound = &sockets->items[i].address;

		if (sockets->items[i].port == port &&
			(address_equal(bound, address) ||
				(address_is_any(bound) && !address_is_multicast(address))))
			return true;
	}
	return false;
}

/* A router is sent what it forwards as if it were for itself. */
static bool is_for_here(const struct wire_other *other)
{
	struct route route = {0};

	if (address_is_multicast(&other->address) || other->is_broadcast)
		return true;
	route_find(&other->address, 0, &route);
	return route.is_local;
}

/* A group that is joined here, or an address with a socket, has its own programs; and one datagram
 * may be anything. */
static void gather_others(const struct look *look, struct evidence *ret)
{
	for (size_t i = 0; ret->wire && i < ret->wire->other_count; i++) {
		const struct wire_other *other = &ret->wire->others[i];
		uint64_t most = ret->other ? ret->other->datagrams : SPARSE - 1;

		if (other->datagrams > most &&
			!joined_contains(
				&look->host.joined, &other->address, ret->subject->ifindex) &&
			!is_bound(look, &other->address, ret->group->port) && is_for_here(other))
			ret->other = other;
	}
}

/* Of the daemon's own sockets only the number is known. */
static void gather_rivals(const struct look *look, struct evidence *ret)
{
	const struct udp_sockets *sockets = &look->host.sockets;
	size_t own = look->subjects.is_daemon ? count_joined(look, ret->group) : 0;

	for (size_t i = 0; i < sockets->count; i++) {
		const struct udp_socket *socket = &sockets->items[i];

		if (socket->port != ret->group->port || is_ours(look, socket))
			continue;
		ret->holders++;
		if (!address_equal(&socket->address, &ret->group->address))
			continue;
		ret->rivals++;
		ret->rival_takes |= has_taken(&look->host, socket);
	}
	ret->rivals = ret->rivals > own ? ret->rivals - own : 0;
	ret->rival_takes &= ret->rivals > 0;
	for (size_t i = 0; i < sockets->count && (ret->rivals || !own) && ret->holders; i++) {
		const struct udp_socket *socket = &sockets->items[i];
		bool is_same = address_equal(&socket->address, &ret->group->address);

		if (socket->port == ret->group->port && !is_ours(look, socket) &&
			(is_same || !ret->rivals))
			name_rival(look, socket, is_same, ret);
	}
}

/* All is received as it should: then nobody asks who else has the port. */
static bool is_clean(const struct evidence *e)
{
	return e->subject->state == SUBJECT_JOINED && e->received && !e->dropped &&
	       (!e->wire || e->wire->in <= e->received);
}

/* ---- Other memberships, handlers ---- */

static void gather_siblings(const struct look *look, struct evidence *ret)
{
	const struct subject_group *group = ret->group;

	for (size_t i = group->first; i < group->first + group->count; i++) {
		const struct subject *other = &look->subjects.items[i];

		if (other != ret->subject && other->after.received > other->before.received)
			ret->sibling = other->interface;
	}
}

/* A few that are alike may be chance: many a sender repeats itself. */
static const char *find_own_twin(const struct look *look, const struct evidence *e)
{
	const struct subject *subjects = look->subjects.items;

	for (size_t i = 0; i < look->sockets.count; i++) {
		const struct own_socket *socket = &look->sockets.items[i];
		size_t twin = &subjects[socket->subject] == e->subject ? socket->twin
								       : socket->subject;

		if (socket->twice >= 3 && socket->twice > e->received / 5 &&
			(&subjects[socket->subject] == e->subject ||
				&subjects[socket->twin] == e->subject))
			return subjects[twin].interface;
	}
	return NULL;
}

static bool comes_before(const struct look *look, const struct evidence *e, const char *interface)
{
	for (size_t i = e->group->first; &look->subjects.items[i] != e->subject; i++)
		if (!strcmp(look->subjects.items[i].interface, interface))
			return true;
	return false;
}

/* The daemon drops the copies, as it is asked to; where nothing comes now, it did. */
static bool are_copies_dropped(const struct look *look, const struct subject_group *group)
{
	bool comes = false;

	for (size_t i = group->first; i < group->first + group->count; i++)
		comes |= look->subjects.items[i].after.received >
			 look->subjects.items[i].before.received;
	return comes ? group->duplicates > group->duplicates_before : group->duplicates;
}

/* Whether most of what comes in on one interface has come in on the other. */
static bool are_copies(struct wire *wire, const struct subject *one, const struct subject *other)
{
	const struct wire_seen *seen = wire_seen(wire, one->group, one->ifindex);

	return !strcmp(seen->duplicate_of, other->interface) && seen->duplicates > seen->in / 2;
}

/* What comes in here is received on another interface of the group, in the same network. */
static void gather_copies(const struct look *look, struct evidence *ret)
{
	const struct subject_group *group = ret->group;

	for (size_t i = group->first; look->wire && i < group->first + group->count; i++) {
		const struct subject *other = &look->subjects.items[i];

		if (other != ret->subject && other->after.received > other->before.received)
			ret->is_copy |= are_copies(look->wire, ret->subject, other) ||
					are_copies(look->wire, other, ret->subject);
	}
}

/* It is told at the first of the two. */
static void gather_twin(const struct look *look, struct evidence *ret)
{
	char *const *pair = ret->group->same_network;
	const char *interface = ret->subject->interface;

	if (pair[0] && pair[1] && !strcmp(pair[0], interface))
		ret->twin = pair[1];
	else if (pair[0] && pair[1] && !strcmp(pair[1], interface))
		ret->twin = pair[0];
	else
		ret->twin = find_own_twin(look, ret);
	if (ret->twin &&
		(comes_before(look, ret, ret->twin) || are_copies_dropped(look, ret->group)))
		ret->twin = NULL;
}

static void add_to_list(
	struct evidence_handler_list *list, const char *name, const char *why, uint64_t dropped)
{
	struct evidence_handler *items = list->items;
	size_t at = list->count < EVIDENCE_HANDLERS_MAX ? list->count++ : list->count;

	if (at == EVIDENCE_HANDLERS_MAX)
		list->left_out++;
	if (at == EVIDENCE_HANDLERS_MAX && items[--at].dropped >= dropped)
		return;
	for (; at && items[at - 1].dropped < dropped; at--)
		items[at] = items[at - 1];
	items[at] = (struct evidence_handler){name, why, dropped};
}

/* What a handler that fails has lost is lost for that. */
static void gather_drops(const struct handler_count *before, const struct handler_count *after,
	struct evidence_handlers *sum)
{
	uint64_t all = 0;
	const char *reason;
	json_t *count;

	json_object_foreach(after->dropped, reason, count)
	{
		bool is_lost = json_object_get(after->lost, reason);
		uint64_t dropped = grown(
			(uint64_t)json_integer_value(json_object_get(before->dropped, reason)),
			(uint64_t)json_integer_value(count));

		if (!dropped)
			continue;
		if (!is_lost)
			add_to_list(&sum->limiting, after->name, reason, dropped);
		else if (!after->error)
			add_to_list(&sum->losing, after->name, reason, dropped);
		else
			all += dropped;
	}
	if (after->error)
		add_to_list(&sum->failing, after->name, after->error, all);
}

static void gather_handlers(const struct look *look, struct evidence *ret)
{
	struct evidence_handlers *sum = &ret->handlers;

	for (size_t i = 0; i < ret->group->handlers.count; i++) {
		const char *name = ret->group->handlers.items[i];
		const struct handler_count *before = handler_counts_find(
			&look->handlers_before, name);
		const struct handler_count *after = handler_counts_find(&look->handlers, name);
		uint64_t filtered;

		if (!before || !after)
			continue;
		filtered = grown(before->filtered, after->filtered);
		sum->count++;
		sum->received += grown(before->received, after->received);
		sum->delivered += grown(before->delivered, after->delivered);
		sum->filtered += filtered;
		sum->is_shared |= after->is_shared;
		if (!sum->name || filtered)
			sum->name = after->name;
		gather_drops(before, after, sum);
	}
}

/* ---- The firewall ---- */

/* A rule is blamed only where it is sure that packets pass its chain. */
static bool may_drop_in(const void *evidence, const struct firewall_chain *chain)
{
	return !chain->has_more_devices && chain_may_drop(evidence, chain, false);
}

static bool may_drop_out(const void *evidence, const struct firewall_chain *chain)
{
	return !chain->has_more_devices && chain_may_drop(evidence, chain, true);
}

/* Chains of the other family and of other interfaces have drops of their own. */
static void gather_firewall(const struct host *host, struct evidence *ret)
{
	const struct firewall *before = &host->firewall_before, *after = &host->firewall;

	if (!after->is_readable)
		return;
	ret->firewall = after;
	ret->grown_rule = firewall_grown(before, after, may_drop_in, ret, &ret->grown_packets);
	if (ret->grown_rule)
		ret->grown_chain = &after->chains[ret->grown_rule->chain];
	ret->grown_out_rule = firewall_grown(
		before, after, may_drop_out, ret, &ret->grown_out_packets);
	if (ret->grown_out_rule)
		ret->grown_out_chain = &after->chains[ret->grown_out_rule->chain];
}

/* ---- All ---- */

static void gather_pause(struct evidence *ret)
{
	uint64_t now_ns = clock_ns(CLOCK_REALTIME), heard_ns = ret->subject->heard_ns;

	ret->pause_ns = ret->subject->pause_ns;
	ret->quiet_ns = heard_ns && now_ns > heard_ns ? now_ns - heard_ns : 0;
}

static void gather_refresh(const struct look *look, struct evidence *ret)
{
	const struct subject *subject = ret->subject;

	ret->was_refreshed = subject->was_refreshed;
	ret->refresh_impossible = subject->refresh_impossible;
	ret->was_joined_now = subject->is_ours_alone;
	if (subject->was_refreshed && subject->quiet_received == subject->before.received)
		ret->after_refresh = grown(subject->quiet_received, subject->after.received);
	ret->has_old_querier = joined_is_older(
		&look->host.joined, &ret->group->address, subject->ifindex);
}

void gather(const struct look *look, size_t subject, struct evidence *ret)
{
	const struct subjects *subjects = &look->subjects;

	*ret = (struct evidence){
		.subject = &subjects->items[subject],
		.group = &subjects->groups.items[subjects->items[subject].group],
		.is_daemon = subjects->is_daemon,
		.is_elsewhere = look->daemon.is_elsewhere,
		.daemon_pid = look->daemon.pid,
		.configuration = look->daemon.configuration,
		.socket = strcmp(look->session->socket, SESSION_SOCKET_DEFAULT)
				  ? look->session->socket
				  : NULL,
		.sends = look->options->sends,
		.listened_ns = look->listened_ns,
	};
	if (subject == ret->group->first)
		ret->sending = look->sending;
	ret->was_sent = look->sending.was_tried && !look->sending.error && look->sending.ttl &&
			!look->sending.stayed_here &&
			(look->sending.on_wire || !look->sending.saw_wire);
	ret->received = grown(ret->subject->before.received, ret->subject->after.received);
	ret->dropped = grown(ret->subject->before.dropped, ret->subject->after.dropped);
	ret->others = grown(ret->group->others_before, ret->group->others);
	ret->is_joined = joined_contains(
				 &look->host.joined, &ret->group->address, ret->subject->ifindex) ||
			 ret->subject->is_ours_alone;
	gather_pause(ret);
	gather_siblings(look, ret);
	gather_twin(look, ret);
	ret->same_mac = ret->group->same_mac;
	gather_handlers(look, ret);
	gather_refresh(look, ret);
	if (!ret->is_elsewhere) {
		gather_growth(&look->host, ret->group->address.family, ret);
		gather_link(&look->host, ret);
		gather_copies(look, ret);
		gather_wire(look, ret);
		if (!is_clean(ret)) {
			gather_other_ports(look, ret);
			gather_others(look, ret);
			gather_rivals(look, ret);
			ret->other_drops = host_other_drops(
				&look->host, &ret->group->address, ret->group->port);
		}
		gather_firewall(&look->host, ret);
	}
	gather_senders(ret);
	if (!ret->is_elsewhere)
		gather_probe(look, ret);
}
