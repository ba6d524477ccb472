#include "data/datagram.h"

#include <stdlib.h>
#include <string.h>

struct origin *origin_new(const char *group, const struct address *address, uint16_t port,
	const char *interface, unsigned ifindex)
{
	size_t name_size = strlen(group) + 1;
	struct origin *origin = calloc(1, sizeof(*origin) + name_size);

	if (!origin)
		return NULL;
	atomic_init(&origin->references, 1);
	origin->port = port;
	origin->ifindex = ifindex;
	if (address->family != AF_UNSPEC)
		address_format(address, origin->address);
	strncpy(origin->interface, interface, IF_NAMESIZE - 1);
	memcpy(origin->group, group, name_size);
	return origin;
}

struct origin *origin_ref(struct origin *origin)
{
	atomic_fetch_add_explicit(&origin->references, 1, memory_order_relaxed);
	return origin;
}

void origin_unref(struct origin *origin)
{
	if (origin && atomic_fetch_sub_explicit(&origin->references, 1, memory_order_acq_rel) == 1)
		free(origin);
}
