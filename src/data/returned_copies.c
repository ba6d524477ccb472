#include "data/returned_copies.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

#define SETS 1024
#define WAYS 4

/* What was sent, or what a taker has taken of it. */
struct entry {
	uint64_t key; /* 0: free */
	uint64_t since; /* what was sent: its number; taken: the number of what was sent */
	uint32_t sent_ms; /* when the first of them was sent */
	uint32_t count;
};

struct returned_copies {
	struct hash_key key;
	uint64_t number; /* of the last entry of what was sent */
	uint32_t last_ms; /* when something was sent last */
	bool has_routed; /* some came back on an interface that was not known */
	struct entry entries[SETS][WAYS];
};

struct returned_copies *returned_copies_new(void)
{
	struct returned_copies *copies = calloc(1, sizeof(*copies));

	if (copies)
		hash_key_init(&copies->key);
	return copies;
}

static uint64_t hash(const struct returned_copies *copies, const union endpoint *source,
	const void *payload, size_t size, unsigned ifindex)
{
	struct {
		struct in6_addr address;
		uint32_t port, ifindex;
	} sender = {.port = endpoint_port(source), .ifindex = ifindex};

	if (source->any.sa_family == AF_INET)
		memcpy(&sender.address, &source->v4.sin_addr, sizeof(struct in_addr));
	else
		sender.address = source->v6.sin6_addr;
	return hash_mix(hash_keyed(&copies->key, &sender, sizeof(sender)) ^ copies->key.words[0],
		       hash_keyed(&copies->key, payload, size) ^ copies->key.words[1]) |
	       1;
}

static uint32_t age(const struct entry *entry, uint32_t now_ms)
{
	return entry->key ? now_ms - entry->sent_ms : UINT32_MAX;
}

/* The entry of the key, or NULL; *ret_oldest is the one to replace. */
static struct entry *find(
	struct returned_copies *copies, uint64_t key, uint32_t now_ms, struct entry **ret_oldest)
{
	struct entry *set = copies->entries[key / 2 % SETS], *oldest = set;

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].key == key && age(&set[i], now_ms) < RETURNED_COPIES_MS)
			return &set[i];
		if (age(&set[i], now_ms) > age(oldest, now_ms))
			oldest = &set[i];
	}
	*ret_oldest = oldest;
	return NULL;
}

void returned_copies_expect(struct returned_copies *copies, const union endpoint *source,
	const void *payload, size_t size, unsigned ifindex, uint32_t now_ms)
{
	struct entry *entry, *oldest;
	uint64_t key;

	if (!copies)
		return;
	key = hash(copies, source, payload, size, ifindex);
	entry = find(copies, key, now_ms, &oldest);
	if (!entry) {
		entry = oldest;
		*entry = (struct entry){.key = key, .since = ++copies->number, .sent_ms = now_ms};
	}
	entry->count++;
	copies->last_ms = now_ms;
	copies->has_routed |= !ifindex;
}

bool returned_copies_are_expected(const struct returned_copies *copies, uint32_t now_ms)
{
	return copies && copies->number && now_ms - copies->last_ms < RETURNED_COPIES_MS;
}

static bool take(struct returned_copies *copies, const void *taker, uint64_t key, uint32_t now_ms)
{
	uint64_t own = hash_mix(key, (uintptr_t)taker ^ copies->key.words[2]) | 1;
	struct entry *oldest, *sent = find(copies, key, now_ms, &oldest), *taken;

	if (!sent)
		return false;
	taken = find(copies, own, now_ms, &oldest);
	/* It must not take the place of what was sent. */
	if (!taken && oldest == sent)
		return true;
	taken = taken ? taken : oldest;
	if (taken->key != own || taken->since != sent->since)
		*taken = (struct entry){.key = own, .since = sent->since, .sent_ms = sent->sent_ms};
	if (taken->count >= sent->count)
		return false;
	taken->count++;
	return true;
}

bool returned_copies_take(struct returned_copies *copies, const void *taker,
	const struct datagram *datagram, unsigned ifindex, uint32_t now_ms)
{
	const union endpoint *source = &datagram->source;
	uint64_t key = hash(copies, source, datagram->payload, datagram->size, ifindex);

	if (take(copies, taker, key, now_ms))
		return true;
	if (!copies->has_routed)
		return false;
	key = hash(copies, source, datagram->payload, datagram->size, 0);
	return take(copies, taker, key, now_ms);
}
