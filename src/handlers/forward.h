/* Relaying datagrams by one way out of this host (net/udp_way.h), for the kinds that relay. While
 * the way cannot be had, for want of the interface, its carrier, an address or the port, datagrams
 * are dropped as absent: they never leave by another way. */
#pragma once

#include "handlers/handler.h"
#include "net/own_addresses.h"
#include "net/told.h"
#include "net/udp_way.h"

struct forward;

/* What the TTL or hop limit of a relayed datagram is. */
enum forward_ttl {
	FORWARD_TTL_HOST = 0, /* 64; as FORWARD_TTL_LESS to what is a broadcast address */
	FORWARD_TTL_LESS = -1, /* one less than received; one that came with 1 is dropped */
	FORWARD_TTL_MIN_1 = -2, /* one less than received, and at least 1 */
	/* 1 to 255: exactly that */
};

struct forward_options {
	struct udp_way way; /* its interface is copied */
	int ttl; /* enum forward_ttl */
	bool loop; /* programs of this host receive what is relayed to a group */
	bool keep_source; /* receivers see the address and port of the sender */
	struct told *told; /* senders whose TTL is too small, of all ways of the handler */
};

/* The names of what is counted in outcome.counted, NULL at the end. */
extern const char *const forward_counters[];

/* What is missing may come later, and is logged. Returns 0 or -ENOMEM. */
int forward_new(const struct forward_options *options, const struct handler_context *context,
	struct forward **ret);
void forward_free(struct forward *forward); /* accepts NULL */

/* Whether it was made for the interface of this name, alternative name or address. */
bool forward_is_by(const struct forward *forward, const char *interface);

/* Whether its interface is one to send on: there, up, with a carrier and an address. */
bool forward_has_link(const struct forward *forward);

/* Why it cannot send, as it was logged; NULL: nothing is known of that. */
const char *forward_error(const struct forward *forward);

/* What datagrams must carry, of enum need, for forward_send() and relayable_choose(). */
unsigned forward_needs(const struct forward_options *options);

/* Sends datagrams that may be relayed (handlers/relayable.h), BATCH_MAX at most, and says in
 * outcome what became of each. */
void forward_send(struct forward *forward, const struct datagram *datagrams, unsigned count,
	struct outcome *outcome);

/* Closes a socket whose interface or address has gone, and opens one that can be had now. The list
 * must stay where it is, and up to date. */
void forward_links_changed(struct forward *forward, const struct interface_list *interfaces);

/* Whether what has this source, an address of this host, may have been sent by one of these: all of
 * a daemon, which handler_context has. What does not come back to this host does not count, so that
 * a program that shares source_port is relayed. Accepts NULL. */
bool forwards_have_sent(const struct link *forwards, const union endpoint *source);

/* Whether one of these sends from the port, on an interface that has the address, also where that
 * does not come back by itself. Accepts NULL. */
bool forwards_send_from(
	const struct link *forwards, const union endpoint *source, const struct own_addresses *own);

/* Whether this host receives what one of these sends with the address of its sender. Accepts NULL.
 */
bool forwards_keep_sources(const struct link *forwards);
