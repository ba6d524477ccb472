#include "formats/reassembly.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define UNIT 8 /* bytes: where fragments may begin */
#define SIZE_LIMIT 65536 /* of what an IP packet carries */

/* Fragments of one packet agree on this. */
struct key {
	struct in6_addr source, destination;
	uint64_t place;
	uint32_t interface, identification;
	uint32_t family;
	uint32_t padding; /* 0: compared as bytes */
};

struct partial {
	struct key key;
	uint64_t first_ns; /* the timestamp of the fragment that came first */
	size_t taken, end; /* bytes; end is 0 while the last fragment is missing */
	size_t extent; /* where the furthest fragment ends */
	uint8_t protocol; /* of the first fragment */
	bool is_bad; /* its fragments contradict each other */
	uint8_t have[SIZE_LIMIT / UNIT / 8]; /* a bit for each unit */
	uint8_t data[SIZE_LIMIT];
};

static struct key key_of(const struct dissected *fragment, uint32_t interface)
{
	size_t size = fragment->source.family == AF_INET ? 4 : 16;
	struct key key = {
		.place = fragment->place,
		.interface = interface,
		.identification = fragment->fragment.identification,
		.family = fragment->source.family,
	};

	memcpy(&key.source, &fragment->source.v4, size);
	memcpy(&key.destination, &fragment->destination.v4, size);
	return key;
}

static void remove_at(struct reassembly *reassembly, size_t i)
{
	reassembly->count--;
	memmove(&reassembly->items[i], &reassembly->items[i + 1],
		(reassembly->count - i) * sizeof(*reassembly->items));
}

static void drop_oldest(struct reassembly *reassembly)
{
	free(reassembly->items[0]);
	remove_at(reassembly, 0);
	reassembly->incomplete++;
}

/* Timestamps may go back a little; those of another time are as late. */
static bool is_late(const struct partial *partial, uint64_t now_ns)
{
	uint64_t first_ns = partial->first_ns;

	return (now_ns > first_ns ? now_ns - first_ns : first_ns - now_ns) > REASSEMBLY_WAIT_NS;
}

/* The packet of that key, or a new one at the end. Returns its index, or -ENOMEM. */
static ssize_t find(struct reassembly *reassembly, const struct key *key, uint64_t now_ns)
{
	struct partial *new;

	while (reassembly->count && is_late(reassembly->items[0], now_ns))
		drop_oldest(reassembly);
	for (size_t i = reassembly->count; i-- > 0;)
		if (!memcmp(&reassembly->items[i]->key, key, sizeof(*key)))
			return (ssize_t)i;
	if (reassembly->count == REASSEMBLY_MAX)
		drop_oldest(reassembly);
	new = malloc(sizeof(*new));
	if (!new)
		return -ENOMEM;
	memset(new, 0, offsetof(struct partial, data)); /* the data stays as it is */
	new->key = *key;
	new->first_ns = now_ns;
	reassembly->items[reassembly->count] = new;
	return (ssize_t)reassembly->count++;
}

/* How many of the units that a fragment takes have come already. */
static size_t count_units(const struct partial *partial, size_t first, size_t end)
{
	size_t count = 0;

	for (size_t i = first; i < end; i++)
		count += partial->have[i / 8] >> i % 8 & 1;
	return count;
}

/* Takes the bytes. Returns false where they contradict those that are there. */
static bool put(struct partial *partial, const struct dissected *fragment)
{
	size_t offset = fragment->fragment.offset, end = offset + fragment->size;
	size_t first = offset / UNIT, last = (end + UNIT - 1) / UNIT;
	size_t taken = count_units(partial, first, last);
	bool is_last = !fragment->fragment.more;

	if (is_last ? end < partial->extent || (partial->end && end != partial->end)
		    : partial->end && end > partial->end)
		return false;
	if (taken) /* a copy is nothing new, and all else an overlap */
		return taken == last - first && end <= partial->extent &&
		       !memcmp(partial->data + offset, fragment->data, fragment->size);
	for (size_t i = first; i < last; i++)
		partial->have[i / 8] |= (uint8_t)(1 << i % 8);
	memcpy(partial->data + offset, fragment->data, fragment->size);
	partial->taken += fragment->size;
	if (end > partial->extent)
		partial->extent = end;
	if (is_last)
		partial->end = end;
	if (!offset)
		partial->protocol = fragment->fragment.protocol;
	return true;
}

int reassembly_take(struct reassembly *reassembly, struct dissected *fragment, uint32_t interface,
	uint64_t timestamp_ns, const uint8_t **ret_data, size_t *ret_size)
{
	struct key key = key_of(fragment, interface);
	ssize_t i = find(reassembly, &key, timestamp_ns);
	struct partial *partial;

	if (i < 0)
		return (int)i;
	partial = reassembly->items[i];
	partial->is_bad = partial->is_bad || !put(partial, fragment);
	if (partial->is_bad || !partial->end || partial->taken < partial->end)
		return 0;
	remove_at(reassembly, (size_t)i);
	free(reassembly->whole);
	reassembly->whole = partial;
	fragment->fragment.protocol = partial->protocol;
	*ret_data = partial->data;
	*ret_size = partial->end;
	return 1;
}

void reassembly_end(struct reassembly *reassembly)
{
	while (reassembly->count)
		drop_oldest(reassembly);
}

void reassembly_clear(struct reassembly *reassembly)
{
	reassembly_end(reassembly);
	free(reassembly->whole);
	*reassembly = (struct reassembly){0};
}
