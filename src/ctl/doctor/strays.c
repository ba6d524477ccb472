#include "ctl/doctor/strays.h"

#include <stdlib.h>

struct strays_entry {
	struct strays_entry *next; /* of the same bucket */
	sa_family_t family;
	uint16_t port;
	unsigned ifindex;
	struct wire_other others[WIRE_OTHERS_MAX];
	size_t count;
};

void strays_add_port(struct strays *strays, uint16_t port)
{
	strays->ports[port / 8] |= (uint8_t)(1 << port % 8);
}

void strays_clear(struct strays *strays)
{
	for (size_t i = 0; i < STRAYS_BUCKETS; i++)
		while (strays->buckets[i]) {
			struct strays_entry *entry = strays->buckets[i];

			strays->buckets[i] = entry->next;
			free(entry);
		}
}

static struct strays_entry *find(
	const struct strays *strays, sa_family_t family, uint16_t port, unsigned ifindex)
{
	struct strays_entry *entry = strays->buckets[(port + ifindex) % STRAYS_BUCKETS];

	while (entry &&
		(entry->family != family || entry->port != port || entry->ifindex != ifindex))
		entry = entry->next;
	return entry;
}

static struct strays_entry *add(
	struct strays *strays, sa_family_t family, uint16_t port, unsigned ifindex)
{
	struct strays_entry **bucket = &strays->buckets[(port + ifindex) % STRAYS_BUCKETS];
	struct strays_entry *entry = malloc(sizeof(*entry));

	if (!entry)
		return NULL;
	*entry = (struct strays_entry){
		.next = *bucket, .family = family, .port = port, .ifindex = ifindex};
	*bucket = entry;
	return entry;
}

void strays_take(
	struct strays *strays, const struct frame *frame, unsigned ifindex, bool is_broadcast)
{
	sa_family_t family = frame->destination.family;
	uint16_t port = frame->destination_port;
	struct strays_entry *entry = find(strays, family, port, ifindex);
	size_t i = 0;

	if (!entry)
		entry = add(strays, family, port, ifindex);
	while (entry && i < entry->count &&
		!address_equal(&entry->others[i].address, &frame->destination))
		i++;
	if (!entry || i == WIRE_OTHERS_MAX)
		return;
	if (i == entry->count)
		entry->others[entry->count++] = (struct wire_other){.address = frame->destination,
			.sender = frame->source,
			.is_broadcast = is_broadcast};
	entry->others[i].datagrams++;
}

const struct wire_other *strays_seen(const struct strays *strays, sa_family_t family, uint16_t port,
	unsigned ifindex, size_t *ret_count)
{
	const struct strays_entry *entry = find(strays, family, port, ifindex);

	*ret_count = entry ? entry->count : 0;
	return entry ? entry->others : NULL;
}
