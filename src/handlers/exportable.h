/* Which datagrams a handler gets that sends beyond this network. Nothing may circulate between
 * sites, and nothing may leave twice. So it does not get replies; what came in by the inputs of any
 * daemon of the network, all of which leaves from import_port; and what a relay of this daemon has
 * sent and this host receives. */
#pragma once

#include "base/clock.h"
#include "handlers/handler.h"

struct exportable;

/* The ports that what came in by inputs leaves from. Zeroed, there are none. */
struct import_ports {
	uint16_t now; /* 0: none */
	uint16_t former; /* 0: none */
	uint64_t until_ns; /* CLOCK_MONOTONIC_COARSE: how long the former one counts, too */
};

/* From now on it is this port; 0: none. What has left from the one before is still on its way, or
 * waits in a socket of this host, and other daemons of the network change their port some time
 * later: for IMPORT_PORT_FORMER_NS that one counts, too. */
#define IMPORT_PORT_FORMER_NS (60 * NS_PER_S)
void import_ports_set(struct import_ports *ports, uint16_t port);

/* What datagrams must carry, of enum need. */
#define EXPORTABLE_NEEDS (NEED_SOURCE | NEED_DATAGRAMS)

/* Uses the import_ports, forwards and own addresses of the context. Returns NULL without memory. */
struct exportable *exportable_new(const struct handler_context *context);
void exportable_free(struct exportable *exportable); /* accepts NULL */

/* Returns those of the batch that the handler gets, which lie in the batch or in room, and their
 * number. */
const struct datagram *exportable_choose(struct exportable *exportable, const struct batch *batch,
	struct datagram room[static BATCH_MAX], unsigned *ret_count);
