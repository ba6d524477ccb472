#include "handlers/exportable.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "data/twins.h"
#include "handlers/forward.h"
#include "net/own_addresses.h"

struct exportable {
	const struct import_ports *import_ports; /* NULL: there are none */
	const struct link *forwards;
	const struct own_addresses *own;
	struct twins *twins; /* NULL: no relay kept sources so far */
};

struct exportable *exportable_new(const struct handler_context *context)
{
	struct exportable *exportable = calloc(1, sizeof(*exportable));

	if (!exportable)
		return NULL;
	exportable->import_ports = context->import_ports;
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

void import_ports_set(struct import_ports *ports, uint16_t port)
{
	if (ports->now == port)
		return;
	if (ports->now) {
		ports->former = ports->now;
		ports->until_ns = clock_ns(CLOCK_MONOTONIC_COARSE) + IMPORT_PORT_FORMER_NS;
	}
	ports->now = port;
}

/* As of now. */
static struct import_ports read_ports(const struct exportable *exportable)
{
	struct import_ports ports = {0};

	if (exportable->import_ports)
		ports = *exportable->import_ports;
	if (ports.former && clock_ns(CLOCK_MONOTONIC_COARSE) >= ports.until_ns)
		ports.former = 0;
	return ports;
}

static bool is_import(const struct import_ports *ports, const struct datagram *datagram)
{
	uint16_t port = endpoint_port(&datagram->source);

	return (ports->now && port == ports->now) || (ports->former && port == ports->former);
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

	if (!exportable->twins && !(exportable->twins = twins_new(TWINS_SETS, TWINS_WINDOW_MS)))
		return false;
	return twins_take(exportable->twins, (const void *)(uintptr_t)owner, datagram,
		batch->origin->ifindex, coarse_ms(), &other);
}

/* Nothing is copied before one is left out. */
const struct datagram *exportable_choose(struct exportable *exportable, const struct batch *batch,
	struct datagram room[static BATCH_MAX], unsigned *ret_count)
{
	const struct datagram *first = batch->datagrams, *end = first + batch->count;
	struct import_ports ports = read_ports(exportable);
	bool has_copies = forwards_keep_sources(exportable->forwards);
	struct datagram *next = NULL; /* in room; NULL: none was left out so far */

	*ret_count = 0;
	if (batch->origin->is_reply)
		return first;
	for (const struct datagram *datagram = first; datagram < end; datagram++) {
		bool is_out = is_import(&ports, datagram) ||
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
