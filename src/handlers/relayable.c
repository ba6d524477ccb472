#include "handlers/relayable.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"
#include "data/loop_guard.h"
#include "data/notice.h"
#include "handlers/forward.h"
#include "net/interface.h"
#include "net/reverse_path.h"

/* Whose an address is. */
enum owner {
	OWNER_OTHER, /* another host's */
	OWNER_THIS, /* this host's, where it may come from: the interface's, or on lo any */
	OWNER_ELSEWHERE, /* another interface's of this host */
};

struct relayable {
	const char *name; /* of the handler */
	struct loop_guard *guard;
	struct notice_sink *notices;
	const struct link *forwards;
	bool to_host;
	struct reverse_path *paths; /* NULL: no source is kept */
	struct log_limit unrouted;
	struct {
		struct interface_address *items; /* of this host, sorted by address */
		size_t count;
	} own;
	unsigned loopback; /* the index of lo */
};

static int compare_own(const void *a, const void *b)
{
	const struct interface_address *left = a, *right = b;

	return address_compare(&left->address, &right->address);
}

void relayable_links_changed(struct relayable *relayable, const struct interface_list *interfaces)
{
	relayable->own.count = 0;
	for (size_t i = 0; i < interfaces->addresses.count; i++)
		array_add(&relayable->own, interfaces->addresses.items[i]);
	if (relayable->own.count)
		qsort(relayable->own.items, relayable->own.count, sizeof(*relayable->own.items),
			compare_own);
	relayable->loopback = 0;
	for (size_t i = 0; i < interfaces->count; i++)
		if (interfaces->items[i].flags & IFF_LOOPBACK)
			relayable->loopback = interfaces->items[i].index;
	if (relayable->paths)
		reverse_path_forget(relayable->paths);
}

void relayable_free(struct relayable *relayable)
{
	if (!relayable)
		return;
	reverse_path_free(relayable->paths);
	free(relayable->own.items);
	free(relayable);
}

/* Where the interfaces cannot be read, all senders are other hosts until they change. */
int relayable_new(const struct handler_context *context, bool to_host, bool keeps_source,
	struct relayable **ret)
{
	CLEANUP(interface_list_clear) struct interface_list interfaces = {0};
	struct relayable *relayable = calloc(1, sizeof(*relayable));

	if (!relayable)
		return -ENOMEM;
	relayable->name = context->name;
	relayable->guard = context->guard;
	relayable->notices = context->notices;
	relayable->forwards = context->forwards;
	relayable->to_host = to_host;
	if (keeps_source && !(relayable->paths = reverse_path_new())) {
		relayable_free(relayable);
		return -ENOMEM;
	}
	if (interface_list_read(&interfaces) >= 0)
		relayable_links_changed(relayable, &interfaces);
	*ret = relayable;
	return 0;
}

/* Several interfaces may have one address: link-local ones of VLANs are an example. What arrives on
 * lo, or at a socket of all interfaces (ifindex 0), may have any address of this host. */
static enum owner owner_of(
	const struct relayable *relayable, const struct address *source, unsigned ifindex)
{
	struct interface_address key = {.address = *source};
	bool anywhere = !ifindex || ifindex == relayable->loopback;
	enum owner owner = OWNER_OTHER;
	size_t i = lower_bound(&key, relayable->own.items, relayable->own.count,
		sizeof(*relayable->own.items), compare_own);

	for (; i < relayable->own.count && address_equal(&relayable->own.items[i].address, source);
		i++) {
		if (anywhere || relayable->own.items[i].ifindex == ifindex)
			return OWNER_THIS;
		owner = OWNER_ELSEWHERE;
	}
	return owner;
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

/* A source that does not belong to the network, where it is to be kept. */
static void report_unrouted(
	struct relayable *relayable, const struct batch *batch, const struct address *source)
{
	char text[INET6_ADDRSTRLEN];

	address_format(source, text);
	if (log_limit_pass(&relayable->unrouted))
		log_warning(
			"handler %s: %s cannot be kept as the source: no route to it leads out of "
			"%s, where it came in (ip route get %s); dropped as loop",
			relayable->name, text, batch->origin->interface, text);
}

/* Whether what this sender sends may be relayed, as far as its address and port tell. */
static bool is_relayed(struct relayable *relayable, const struct batch *batch,
	const union endpoint *sender, const struct address *source, uint64_t now)
{
	unsigned ifindex = batch->origin->ifindex;
	enum owner owner = owner_of(relayable, source, ifindex);

	if (owner == OWNER_ELSEWHERE ||
		(owner == OWNER_THIS && forwards_have_sent(relayable->forwards, sender)))
		return false;
	if (!relayable->paths || reverse_path_leads_to(relayable->paths, source, ifindex, now))
		return true;
	report_unrouted(relayable, batch, source);
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

unsigned relayable_choose(struct relayable *relayable, const struct batch *batch,
	struct datagram ret[static BATCH_MAX], struct outcome *outcome)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC_COARSE);
	union endpoint sender = {0}; /* the last one: those of a batch are mostly equal */
	struct address source = {0};
	bool relays = false;
	unsigned count = 0;

	for (unsigned i = 0; i < batch->count; i++) {
		const struct datagram *datagram = &batch->datagrams[i];

		if (memcmp(&datagram->source, &sender, sizeof(sender))) {
			sender = datagram->source;
			source = endpoint_address(&sender);
			relays = is_relayed(relayable, batch, &sender, &source, now);
		}
		if (relays && may_relay(relayable, batch, datagram, &source, now))
			ret[count++] = *datagram;
	}
	outcome->dropped[DROP_LOOP] += batch->count - count;
	return count;
}
