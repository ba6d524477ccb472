/* Which datagrams a handler gets that sends beyond this network: none that came back by a broker or
 * will, else they circulate, and none twice. What it does not get: replies; what came in by inputs,
 * whichever daemon of the network has sent it there, which leaves from import_port; and what a
 * relay of this daemon has sent and this host receives. */
#pragma once

#include "handlers/handler.h"

struct exportable;

/* What datagrams must carry, of enum need. */
#define EXPORTABLE_NEEDS (NEED_SOURCE | NEED_DATAGRAMS)

/* Uses the import_port, forwards and own addresses of the context. Returns NULL without memory. */
struct exportable *exportable_new(const struct handler_context *context);
void exportable_free(struct exportable *exportable); /* accepts NULL */

/* Returns those of the batch that the handler gets, which lie in the batch or in room, and their
 * number. */
const struct datagram *exportable_choose(struct exportable *exportable, const struct batch *batch,
	struct datagram room[static BATCH_MAX], unsigned *ret_count);
