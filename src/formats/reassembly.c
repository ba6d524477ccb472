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
	/* The timestamp of the fragment that came first; once it is whole, of the one that made it
	 * so. */
	uint64_t time_ns;
	size_t taken, end; /* bytes; end is 0 while the last fragment is missing */
	size_t extent; /* where the furthest fragment ends */
	uint8_t protocol; /* of the first fragment */
	bool is_bad; /* its fragments contradict each other */
	/* A bit for each unit that came; once it is whole, for each of which a copy came. */
	uint8_t have[SIZE_LIMIT / UNIT / 8];
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

static struct partial *remove_at(struct partials *partials, size_t i)
{
	struct partial *partial = partials->items[i];

	partials->count--;
	memmove(&partials->items[i], &partials->items[i + 1],
		(partials->count - i) * sizeof(*partials->items));
	return partial;
}

static void drop_at(struct reassembly *reassembly, size_t i)
{
	free(remove_at(&reassembly->open, i));
	reassembly->incomplete++;
}

/* Timestamps may go back a little; those of another time are as far away. */
static uint64_t distance(uint64_t a_ns, uint64_t b_ns)
{
	return a_ns > b_ns ? a_ns - b_ns : b_ns - a_ns;
}

static bool is_late(const struct partial *partial, uint64_t now_ns)
{
	return distance(partial->time_ns, now_ns) > REASSEMBLY_WAIT_NS;
}

/* The latest packet of that key before an index. Returns its index, or -ENOENT. */
static ssize_t find(const struct partials *partials, size_t before, const struct key *key)
{
	for (size_t i = before; i-- > 0;)
		if (!memcmp(&partials->items[i]->key, key, sizeof(*key)))
			return (ssize_t)i;
	return -ENOENT;
}

/* A new packet at the end. Returns its index, or -ENOMEM. */
static ssize_t begin(struct reassembly *reassembly, const struct key *key, uint64_t now_ns)
{
	struct partials *open = &reassembly->open;
	struct partial *new;

	if (open->count == REASSEMBLY_MAX)
		drop_at(reassembly, 0);
	new = malloc(sizeof(*new));
	if (!new)
		return -ENOMEM;
	memset(new, 0, offsetof(struct partial, data)); /* the data stays as it is */
	new->key = *key;
	new->time_ns = now_ns;
	open->items[open->count] = new;
	return (ssize_t)open->count++;
}

/* How many of the units that a fragment takes have come already. */
static size_t count_units(const struct partial *partial, size_t first, size_t end)
{
	size_t count = 0;

	for (size_t i = first; i < end; i++)
		count += partial->have[i / 8] >> i % 8 & 1;
	return count;
}

static void mark_units(struct partial *partial, size_t first, size_t end)
{
	for (size_t i = first; i < end; i++)
		partial->have[i / 8] |= (uint8_t)(1 << i % 8);
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
	mark_units(partial, first, last);
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

/* Whether a packet that is whole has this fragment. */
static bool has_copy(const struct partial *whole, const struct dissected *fragment)
{
	size_t offset = fragment->fragment.offset, end = offset + fragment->size;

	return end <= whole->end && fragment->fragment.more == (end < whole->end) &&
	       !memcmp(whole->data + offset, fragment->data, fragment->size);
}

/* The packet that became whole a moment ago and has this fragment. Returns its index, or -ENOENT.
 */
static ssize_t find_copied(const struct partials *whole, const struct key *key,
	const struct dissected *fragment, uint64_t now_ns)
{
	ssize_t i = (ssize_t)whole->count;

	while ((i = find(whole, (size_t)i, key)) >= 0)
		if (distance(whole->items[i]->time_ns, now_ns) <= REASSEMBLY_COPY_NS &&
			has_copy(whole->items[i], fragment))
			break;
	return i;
}

/* The packet, which is in no list, becomes the one that is handed out. */
static int hand_out(struct reassembly *reassembly, struct partial *partial, uint64_t now_ns,
	struct dissected *fragment, const uint8_t **ret_data, size_t *ret_size)
{
	struct partials *whole = &reassembly->whole;

	if (whole->count == REASSEMBLY_MAX)
		free(remove_at(whole, 0));
	whole->items[whole->count++] = partial;
	partial->time_ns = now_ns;
	partial->taken = 0;
	memset(partial->have, 0, sizeof(partial->have));
	fragment->fragment.protocol = partial->protocol;
	*ret_data = partial->data;
	*ret_size = partial->end;
	return 1;
}

/* Where all fragments of a packet have come again, that was captured twice. */
static int take_copy(struct reassembly *reassembly, size_t i, uint64_t now_ns,
	struct dissected *fragment, const uint8_t **ret_data, size_t *ret_size)
{
	struct partial *whole = reassembly->whole.items[i];
	size_t first = fragment->fragment.offset / UNIT;
	size_t last = (fragment->fragment.offset + fragment->size + UNIT - 1) / UNIT;

	if (!count_units(whole, first, last)) {
		mark_units(whole, first, last);
		whole->taken += fragment->size;
	}
	if (whole->taken < whole->end)
		return 0;
	remove_at(&reassembly->whole, i);
	reassembly->took_ns = 0;
	return hand_out(reassembly, whole, now_ns, fragment, ret_data, ret_size);
}

/* The packet that has taken the fragment, or a new one. Returns its index, or -ENOMEM. */
static ssize_t put_open(struct reassembly *reassembly, ssize_t i, const struct key *key,
	const struct dissected *fragment, uint64_t now_ns)
{
	struct partial *partial;

	if (i >= 0) {
		partial = reassembly->open.items[i];
		partial->is_bad = partial->is_bad || !put(partial, fragment);
		if (!partial->is_bad || distance(partial->time_ns, now_ns) <= REASSEMBLY_APART_NS)
			return i;
		drop_at(reassembly, (size_t)i);
	}
	i = begin(reassembly, key, now_ns);
	if (i >= 0)
		put(reassembly->open.items[i], fragment);
	return i;
}

int reassembly_take(struct reassembly *reassembly, struct dissected *fragment, uint32_t interface,
	uint64_t timestamp_ns, const uint8_t **ret_data, size_t *ret_size)
{
	struct partials *open = &reassembly->open;
	struct key key = key_of(fragment, interface);
	struct partial *partial, *smaller;
	ssize_t i, copied;

	while (open->count && is_late(open->items[0], timestamp_ns))
		drop_at(reassembly, 0);
	i = find(open, open->count, &key);
	copied = i < 0 ? find_copied(&reassembly->whole, &key, fragment, timestamp_ns) : -ENOENT;
	if (copied >= 0)
		return take_copy(
			reassembly, (size_t)copied, timestamp_ns, fragment, ret_data, ret_size);
	i = put_open(reassembly, i, &key, fragment, timestamp_ns);
	if (i < 0)
		return (int)i;
	partial = open->items[i];
	if (partial->is_bad || !partial->end || partial->taken < partial->end)
		return 0;
	remove_at(open, (size_t)i);
	reassembly->took_ns = distance(partial->time_ns, timestamp_ns);
	smaller = realloc(partial, offsetof(struct partial, data) + partial->end);
	return hand_out(reassembly, smaller ? smaller : partial, timestamp_ns, fragment, ret_data,
		ret_size);
}

void reassembly_reject(struct reassembly *reassembly)
{
	free(reassembly->whole.items[--reassembly->whole.count]);
	reassembly->incomplete++;
}

void reassembly_end(struct reassembly *reassembly)
{
	while (reassembly->open.count)
		drop_at(reassembly, 0);
}

void reassembly_clear(struct reassembly *reassembly)
{
	reassembly_end(reassembly);
	while (reassembly->whole.count)
		free(remove_at(&reassembly->whole, reassembly->whole.count - 1));
	*reassembly = (struct reassembly){0};
}
