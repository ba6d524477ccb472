#include "data/twins.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

/* An entry gives way when its set has no older one: the copy then passes. */
#define WAYS 4

/* Equal datagrams of a sender. */
struct entry {
	uint64_t key; /* 0: free */
	uint32_t since_ms;
	uint32_t count; /* those that are no copies */
	struct {
		uint32_t ifindex;
		uint32_t count; /* all that came in by it */
	} interfaces[TWINS_INTERFACES];
};

struct twins {
	struct hash_key key;
	uint32_t sets, window_ms;
	struct entry entries[][WAYS];
};

struct twins *twins_new(uint32_t sets, uint32_t window_ms)
{
	struct twins *twins = calloc(1, sizeof(*twins) + sets * sizeof(*twins->entries));

	if (!twins)
		return NULL;
	twins->sets = sets;
	twins->window_ms = window_ms;
	hash_key_init(&twins->key);
	return twins;
}

static uint64_t hash(const struct twins *twins, const void *owner, const struct datagram *datagram)
{
	struct {
		const void *owner;
		struct in6_addr address;
		uint64_t port;
	} sender = {.owner = owner, .port = endpoint_port(&datagram->source)};

	if (datagram->source.any.sa_family == AF_INET)
		memcpy(&sender.address, &datagram->source.v4.sin_addr, sizeof(struct in_addr));
	else
		sender.address = datagram->source.v6.sin6_addr;
	return hash_mix(hash_keyed(&twins->key, &sender, sizeof(sender)) ^ twins->key.words[0],
		hash_keyed(&twins->key, datagram->payload, datagram->size) ^ twins->key.words[1]);
}

/* Copies may be given in another order than they came in. */
static uint32_t distance(uint32_t a_ms, uint32_t b_ms)
{
	int32_t ms = (int32_t)(a_ms - b_ms);

	return ms < 0 ? (uint32_t)-ms : (uint32_t)ms;
}

/* The entry of the key; else a free one, or the one that is farthest from now, with no
 * datagrams. */
static struct entry *find(struct twins *twins, uint64_t key, uint32_t now_ms)
{
	struct entry *set = twins->entries[key % twins->sets], *oldest = set;

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].key == key && distance(now_ms, set[i].since_ms) < twins->window_ms)
			return &set[i];
		if (!set[i].key ||
			distance(now_ms, set[i].since_ms) > distance(now_ms, oldest->since_ms))
			oldest = &set[i];
	}
	*oldest = (struct entry){.key = key, .since_ms = now_ms};
	return oldest;
}

/* The interface's index in the entry; TWINS_INTERFACES when there are too many. */
static unsigned find_interface(struct entry *entry, unsigned ifindex)
{
	unsigned i = 0;

	while (i < TWINS_INTERFACES && entry->interfaces[i].ifindex &&
		entry->interfaces[i].ifindex != ifindex)
		i++;
	if (i < TWINS_INTERFACES)
		entry->interfaces[i].ifindex = ifindex;
	return i;
}

bool twins_take(struct twins *twins, const void *owner, const struct datagram *datagram,
	unsigned ifindex, uint32_t now_ms, unsigned *ret_other)
{
	struct entry *entry = find(twins, hash(twins, owner, datagram), now_ms);
	unsigned i = find_interface(entry, ifindex);

	if (i == TWINS_INTERFACES)
		return false;
	if (entry->interfaces[i].count < entry->count) {
		entry->interfaces[i].count++;
		for (unsigned j = 0; j < TWINS_INTERFACES; j++)
			if (j != i && entry->interfaces[j].count == entry->count)
				*ret_other = entry->interfaces[j].ifindex;
		return true;
	}
	/* A new one. Counting restarts at times, so that an interface that has lost some is not
	 * behind for longer. */
	if (distance(now_ms, entry->since_ms) >= twins->window_ms / 2) {
		*entry = (struct entry){.key = entry->key, .since_ms = now_ms};
		i = find_interface(entry, ifindex);
	}
	entry->count = ++entry->interfaces[i].count;
	return false;
}
