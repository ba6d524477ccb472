#include "data/echoes.h"

#include <stdlib.h>

#include "base/hash.h"

/* Copies that do not arrive are forgotten after this time. */
#define WINDOW_MS 5000

/* Without a free slot near its own a copy is not expected, and is delivered. */
#define SLOTS 4096
#define PROBES 8

struct slot {
	uint64_t hash;
	uint32_t when_ms;
	uint32_t count; /* 0: free */
};

struct echoes {
	struct slot slots[SLOTS];
};

struct echoes *echoes_new(void)
{
	return calloc(1, sizeof(struct echoes));
}

static bool is_free(const struct slot *slot, uint32_t now_ms)
{
	return !slot->count || now_ms - slot->when_ms >= WINDOW_MS;
}

/* The slot of the hash; else with may_add a free one for it, or NULL. */
static struct slot *find(struct echoes *echoes, uint64_t hash, uint32_t now_ms, bool may_add)
{
	struct slot *free_slot = NULL;

	for (unsigned i = 0; i < PROBES; i++) {
		struct slot *slot = &echoes->slots[(hash + i) % SLOTS];

		if (is_free(slot, now_ms))
			free_slot = free_slot ? free_slot : slot;
		else if (slot->hash == hash)
			return slot;
	}
	if (may_add && free_slot)
		*free_slot = (struct slot){.hash = hash};
	return may_add ? free_slot : NULL;
}

static uint64_t hash_copy(const void *payload, size_t size, unsigned ifindex)
{
	return hash_bytes(hash_bytes(HASH_BEGIN, &ifindex, sizeof(ifindex)), payload, size);
}

void echoes_expect(
	struct echoes *echoes, const void *payload, size_t size, unsigned ifindex, uint32_t now_ms)
{
	struct slot *slot = find(echoes, hash_copy(payload, size, ifindex), now_ms, true);

	if (!slot)
		return;
	slot->count++;
	slot->when_ms = now_ms;
}

bool echoes_take(
	struct echoes *echoes, const void *payload, size_t size, unsigned ifindex, uint32_t now_ms)
{
	struct slot *slot = find(echoes, hash_copy(payload, size, ifindex), now_ms, false);

	if (slot)
		slot->count--;
	return slot;
}
