#include "handlers/exportable.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "data/twins.h"
#include "handlers/forward.h"
#include "net/own_addresses.h"

struct exportable {
	const uint16_t *import_port;
	const struct link *forwards;
	const struct own_addresses *own;
	struct twins *twins; /* NULL: no relay kept sources so far */
};

struct exportable *exportable_new(const struct handler_context *context)
{
	struct exportable *exportable = calloc(1, sizeof(*exportable));

	if (!exportable)
		return NULL;
	exportable->import_port = context->import_port;
	exportable->forwards = context->forwards;
	exportable->own = context->own_addresses;
	return exportable;
}

void exportable_free(struct exportable *exportable)
{
	if (!exportable)
		return;
	free(exportable->twins);
	free(exportable);
}

/* Whether a relay of this daemon has sent it from its own socket. */
static bool is_relayed(const struct exportable *exportable, const struct batch *batch,
	const struct datagram *datagram)
{
	struct address source = endpoint_address(&datagram->source);
	enum owner owner;

	if (!forwards_have_sent(exportable->forwards, &datagram->source))
		return false;
	owner = own_addresses_find(exportable->own, &source, batch->origin->ifindex);
	return owner == OWNER_THIS || owner == OWNER_ELSEWHERE;
}

/* Whether it is the copy of one that came in by another interface. A relay that keeps sources sends
 * such copies: nothing else tells them from what it has relayed. */
static bool is_copy(
	struct exportable *exportable, const struct batch *batch, const struct datagram *datagram)
{
	const char *group = batch->origin->group;
	uint64_t owner = hash_bytes(HASH_BEGIN, group, strlen(group));
	unsigned other;

	if (!exportable->twins && !(exportable->twins = twins_new()))
		return false;
	return twins_take(exportable->twins, (const void *)(uintptr_t)owner, datagram,
		batch->origin->ifindex, coarse_ms(), &other);
}

/* Nothing is copied before one is left out. */
const struct datagram *exportable_choose(struct exportable *exportable, const struct batch *batch,
	struct datagram room[static BATCH_MAX], unsigned *ret_count)
{
	const struct datagram *first = batch->datagrams, *end = first + batch->count;
	uint16_t import_port = exportable->import_port ? *exportable->import_port : 0;
	bool has_copies = forwards_keep_sources(exportable->forwards);
	struct datagram *next = NULL; /* in room; NULL: none was left out so far */

	*ret_count = 0;
	if (batch->origin->is_reply)
		return first;
	for (const struct datagram *datagram = first; datagram < end; datagram++) {
		bool is_out = (import_port && endpoint_port(&datagram->source) == import_port) ||
			      is_relayed(exportable, batch, datagram) ||
			      (has_copies && is_copy(exportable, batch, datagram));

		if (is_out && !next)
			next = mempcpy(room, first, (size_t)(datagram - first) * sizeof(*room));
		else if (!is_out && next)
			*next++ = *datagram;
	}
	*ret_count = next ? (unsigned)(next - room) : batch->count;
	return next ? room : first;
}
