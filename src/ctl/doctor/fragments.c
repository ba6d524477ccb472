#include "ctl/doctor/fragments.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

#define SETS 256
#define WAYS 4

struct entry {
	uint64_t key; /* 0: free */
	uint64_t last_ns; /* when the last fragment came */
	void *owner, *other;
	size_t taken; /* bytes */
	size_t size; /* of the datagram; 0: the last fragment has not come */
};

struct fragments {
	struct hash_key key;
	fragments_incomplete *incomplete;
	struct entry entries[SETS][WAYS];
};

struct fragments *fragments_new(fragments_incomplete *incomplete)
{
	struct fragments *fragments = calloc(1, sizeof(*fragments));

	if (!fragments)
		return NULL;
	hash_key_init(&fragments->key);
	fragments->incomplete = incomplete;
	return fragments;
}

static uint64_t hash(const struct fragments *fragments, const struct frame *frame, unsigned ifindex)
{
	struct {
		struct in6_addr source, destination;
		uint32_t identification, ifindex;
	} key = {.identification = frame->identification, .ifindex = ifindex};
	size_t size = frame->source.family == AF_INET ? 4 : 16;

	memcpy(&key.source, &frame->source.v4, size);
	memcpy(&key.destination, &frame->destination.v4, size);
	return hash_keyed(&fragments->key, &key, sizeof(key)) | 1;
}

static void expire_entry(struct fragments *fragments, struct entry *entry, uint64_t now_ns)
{
	if (entry->key && now_ns - entry->last_ns >= FRAGMENTS_LATE_NS)
		fragments->incomplete(entry->owner, entry->other);
	entry->key = 0;
}

/* The entry of the datagram, or one for it; NULL: there is none, and it must not begin. */
static struct entry *find(
	struct fragments *fragments, uint64_t key, bool may_begin, uint64_t now_ns)
{
	struct entry *set = fragments->entries[(key >> 1) % SETS], *oldest = set;

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].key == key)
			return &set[i];
		if (!set[i].key || (oldest->key && set[i].last_ns < oldest->last_ns))
			oldest = &set[i];
	}
	if (!may_begin)
		return NULL;
	expire_entry(fragments, oldest, now_ns);
	*oldest = (struct entry){.key = key};
	return oldest;
}

void *fragments_take(struct fragments *fragments, const struct frame *frame, unsigned ifindex,
	void *owner, void *other, bool may_begin, uint64_t now_ns)
{
	bool is_first = !frame->fragment_offset;
	struct entry *entry = find(
		fragments, hash(fragments, frame, ifindex), may_begin || is_first, now_ns);

	if (!entry)
		return NULL;
	entry->last_ns = now_ns;
	entry->other = other;
	if (is_first)
		entry->owner = owner;
	entry->taken += frame->fragment_size;
	if (!frame->more_fragments)
		entry->size = frame->fragment_offset + frame->fragment_size;
	/* Fragments that come twice, or overlap, may make it whole too early. */
	if (entry->owner && entry->size && entry->taken >= entry->size)
		entry->key = 0;
	return entry->owner;
}

void fragments_expire(struct fragments *fragments, uint64_t now_ns)
{
	struct entry *entries = fragments->entries[0];

	for (unsigned i = 0; i < SETS * WAYS; i++)
		if (entries[i].key && now_ns - entries[i].last_ns >= FRAGMENTS_LATE_NS)
			expire_entry(fragments, &entries[i], now_ns);
}

void fragments_clear(struct fragments *fragments)
{
	memset(fragments->entries, 0, sizeof(fragments->entries));
}
