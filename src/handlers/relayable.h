/* Which datagrams may be relayed: none that this daemon has sent itself, none of an address that
 * belongs to another interface of this host or to its network, none that a ring of relays brings
 * back (data/loop_guard.h); and to keep its source, none whose source the kernel's route does not
 * lead back to. All others are dropped as loops. */
#pragma once

#include "handlers/handler.h"

struct relayable;

/* to_host: where it goes is a host, to which a group's own datagrams are relayed as well. Returns 0
 * or -ENOMEM. */
int relayable_new(const struct handler_context *context, bool to_host, bool keeps_source,
	struct relayable **ret);
void relayable_free(struct relayable *relayable); /* accepts NULL */

/* Returns those of the batch that may be relayed, which lie in the batch or in room, and their
 * number. The others are added to outcome. Needs the sources. */
const struct datagram *relayable_choose(struct relayable *relayable, const struct batch *batch,
	struct datagram room[static BATCH_MAX], unsigned *ret_count, struct outcome *outcome);

/* Links, addresses or routes have changed. */
void relayable_links_changed(struct relayable *relayable);
