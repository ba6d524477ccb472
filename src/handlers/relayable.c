#include "handlers/relayable.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "data/loop_guard.h"
#include "data/notice.h"
#include "handlers/forward.h"
#include "net/own_addresses.h"
#include "net/reverse_path.h"
#include "net/spoof.h"
#include "net/told.h"

struct relayable {
	const char *name; /* of the handler */
	struct loop_guard *guard;
	struct notice_sink *notices;
	const struct link *forwards;
	const struct own_addresses *own;
	bool to_host;
	bool keeps_source;
	struct reverse_path *paths; /* NULL: no route was needed yet */
	struct told told; /* who is dropped, and why */
};

void relayable_links_changed(struct relayable *relayable)
{
	if (relayable->paths)
		reverse_path_forget(relayable->paths);
}

void relayable_free(struct relayable *relayable)
{
	if (!relayable)
		return;
	reverse_path_free(relayable->paths);
	free(relayable);
}

int relayable_new(const struct handler_context *context, bool to_host, bool keeps_source,
	struct relayable **ret)
{
	struct relayable *relayable = calloc(1, sizeof(*relayable));

	if (!relayable)
		return -ENOMEM;
	relayable->name = context->name;
	relayable->guard = context->guard;
	relayable->notices = context->notices;
	relayable->forwards = context->forwards;
	relayable->own = context->own_addresses;
	relayable->to_host = to_host;
	relayable->keeps_source = keeps_source;
	if (keeps_source && !context->spoof)
		log_warning("handler %s: " SPOOF_FIX "; datagrams are dropped", context->name);
	*ret = relayable;
	return 0;
}

/* The guard tells an address once a minute at most. Without a taker of notices it is logged here.
 */
static void report_ring(
	struct relayable *relayable, const struct batch *batch, const struct address *source)
{
	const struct origin *origin = batch->origin;
	char address[INET6_ADDRSTRLEN], text[512];

	snprintf(text, sizeof(text),
		"handler %s: a ring of relays: %s sends back on %s what was relayed; its copies "
		"are dropped as loop (a ring of other relays goes on: limit it with rate)",
		relayable->name, address_format(source, address), origin->interface);
	if (!relayable->notices)
		log_warning("%s", text);
	notice_send(relayable->notices, &(struct notice){.kind = NOTICE_RELAY_LOOP,
						.group = origin->group,
						.interface = origin->interface,
						.handler = relayable->name,
						.source = source,
						.level = LOG_WARNING,
						.text = text});
}

/* A copy that two networks have brought back which are connected elsewhere as well, or another host
 * that has the address of this one. */
static void report_elsewhere(struct relayable *relayable, const struct batch *batch,
	const struct address *source, uint64_t now)
{
	char text[INET6_ADDRSTRLEN];

	if (told_is_new(&relayable->told, source, now))
		log_warning(
			"handler %s: %s, which came in on %s, is the address of another interface "
			"of this host: the two networks are joined elsewhere as well, a program "
			"here sends from it, or another host has it, too; dropped as loop",
			relayable->name, address_format(source, text), batch->origin->interface);
}

/* A source that does not belong to the network. */
static void report_unrouted(struct relayable *relayable, const struct batch *batch,
	const struct address *source, uint64_t now)
{
	const char *interface = batch->origin->interface;
	char text[INET6_ADDRSTRLEN];

	if (!told_is_new(&relayable->told, source, now))
		return;
	address_format(source, text);
	if (relayable->keeps_source)
		log_warning(
			"handler %s: %s, which came in on %s, cannot be kept as the source: it is "
			"of this host, link-local, or not routed out of there (ip route get %s); "
			"dropped as loop",
			relayable->name, text, interface, text);
	else
		log_warning(
			"handler %s: %s, which came in on %s, is of the network of another "
			"interface: a router or a relay has brought it, or it has a wrong address; "
			"where it belongs there, add a route (ip route add %s dev %s); dropped as "
			"loop",
			relayable->name, text, interface, text, interface);
}

/* Whether the kernel's route to the source is the interface. Without memory: no. */
static bool is_routed_by(
	struct relayable *relayable, const struct address *source, unsigned ifindex, uint64_t now)
{
	if (!relayable->paths && !(relayable->paths = reverse_path_new()))
		return false;
	return reverse_path_leads_to(relayable->paths, source, ifindex, now);
}

/* Whether it has come from another interface of this host. A link-local address is of one link: a
 * host of this one may have it as well, as fe80::1. Then the port tells what the daemon has sent,
 * and what other programs have, the loop guard. */
static bool is_from_elsewhere(const struct relayable *relayable, enum owner owner,
	const union endpoint *sender, const struct address *source)
{
	return owner == OWNER_ELSEWHERE &&
	       (!address_is_link_local(source) ||
		       forwards_send_from(relayable->forwards, sender, relayable->own));
}

/* Whether what this sender sends may be relayed, as far as its address and port tell. */
static bool is_relayed(struct relayable *relayable, const struct batch *batch,
	const union endpoint *sender, const struct address *source, uint64_t now)
{
	unsigned ifindex = batch->origin->ifindex;
	enum owner owner = own_addresses_find(relayable->own, source, ifindex);

	if (owner == OWNER_THIS && forwards_have_sent(relayable->forwards, sender))
		return false;
	if (is_from_elsewhere(relayable, owner, sender, source)) {
		report_elsewhere(relayable, batch, source, now);
		return false;
	}
	if (!relayable->keeps_source && owner != OWNER_ELSEWHERE_ON_LINK)
		return true;
	if (is_routed_by(relayable, source, ifindex, now))
		return true;
	report_unrouted(relayable, batch, source, now);
	return false;
}

static bool may_relay(struct relayable *relayable, const struct batch *batch,
	const struct datagram *datagram, const struct address *source, uint64_t now)
{
	enum loop_verdict verdict;

	if (datagram->is_own && !relayable->to_host)
		return false;
	verdict = loop_guard_judge(
		relayable->guard, datagram->payload, datagram->size, source, now);
	if (verdict == LOOP_FOUND)
		report_ring(relayable, batch, source);
	return verdict == LOOP_NONE;
}

/* Nothing is copied before one is left out, which is rare. */
const struct datagram *relayable_choose(struct relayable *relayable, const struct batch *batch,
	struct datagram room[static BATCH_MAX], unsigned *ret_count, struct outcome *outcome)
{
	const struct datagram *first = batch->datagrams, *end = first + batch->count;
	uint64_t now = clock_ns(CLOCK_MONOTONIC_COARSE);
	union endpoint sender = {0}; /* the last one: those of a batch are mostly equal */
	struct address source = {0};
	struct datagram *next = NULL; /* in room; NULL: all could be relayed so far */
	bool relays = false;

	for (const struct datagram *datagram = first; datagram < end; datagram++) {
		bool is_new = !datagram->is_returned;

		if (is_new && !endpoint_is_same(&datagram->source, &sender)) {
			sender = datagram->source;
			source = endpoint_address(&sender);
			relays = is_relayed(relayable, batch, &sender, &source, now);
		}
		if (!is_new || !relays || !may_relay(relayable, batch, datagram, &source, now)) {
			if (!next)
				next = mempcpy(
					room, first, (size_t)(datagram - first) * sizeof(*room));
		} else if (next) {
			*next++ = *datagram;
		}
	}
	*ret_count = next ? (unsigned)(next - room) : batch->count;
	outcome->dropped[DROP_LOOP] += batch->count - *ret_count;
	return next ? room : first;
}
