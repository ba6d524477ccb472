/* A table of chains by a hash with a secret key, so that spoofed addresses do not collide on
 * purpose, and a list of its entries by when they were heard. Both are made of the entries'
 * numbers, which stay as the array grows. */
#include "data/known_senders.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/hash.h"

#define BUCKETS 64
#define NONE UINT8_MAX

/* What tells senders apart. IPv4 addresses are in the first word alone. */
struct identity {
	uint64_t words[2]; /* of the address */
	uint64_t stream[2];
	uint32_t ifindex;
	uint16_t port; /* in network byte order */
	uint16_t family;
};

struct entry {
	struct identity identity;
	uint64_t received, last_received_ns, longest_pause_ns;
	char interface[IF_NAMESIZE];
	uint8_t bucket, next_in_bucket;
	uint8_t older, newer;
};

struct known_senders {
	struct entry *items;
	size_t count;
	struct known_senders_more more;
	void *kept[KNOWN_SENDERS_MAX]; /* of the entries of these numbers */
	uint64_t forgotten;
	struct hash_key key;
	uint8_t newest, oldest;
	uint8_t buckets[BUCKETS]; /* the first of each chain */
};

struct known_senders *known_senders_new(const struct known_senders_more *more)
{
	struct known_senders *senders = calloc(1, sizeof(*senders));

	if (!senders)
		return NULL;
	if (more)
		senders->more = *more;
	hash_key_init(&senders->key);
	memset(senders->buckets, NONE, sizeof(senders->buckets));
	senders->newest = senders->oldest = NONE;
	return senders;
}

void known_senders_free(struct known_senders *senders)
{
	if (!senders)
		return;
	for (size_t i = 0; i < KNOWN_SENDERS_MAX; i++) {
		if (senders->kept[i])
			senders->more.forget(senders->kept[i], senders->more.argument);
		free(senders->kept[i]);
	}
	free(senders->items);
	free(senders);
}

static struct identity identify(
	const union endpoint *source, unsigned ifindex, const uint64_t stream[static 2])
{
	struct identity identity = {.stream = {stream[0], stream[1]},
		.ifindex = ifindex,
		.port = source->v4.sin_port,
		.family = source->any.sa_family};

	if (source->any.sa_family == AF_INET)
		memcpy(identity.words, &source->v4.sin_addr, sizeof(source->v4.sin_addr));
	else if (source->any.sa_family == AF_INET6)
		memcpy(identity.words, &source->v6.sin6_addr, sizeof(source->v6.sin6_addr));
	return identity;
}

/* The family, the port, and the address of IPv4: the first bytes of a socket address. */
static uint64_t head_of(const union endpoint *source)
{
	uint64_t head;

	_Static_assert(
		offsetof(struct sockaddr_in, sin_addr) + sizeof(struct in_addr) == sizeof(head),
		"an IPv4 socket address is its first eight bytes");
	memcpy(&head, source, sizeof(head));
	return head;
}

/* How many of the datagrams have this head, from the first on; four are compared in one step, as
 * this is the hot path. */
static unsigned count_heads(const struct datagram *datagrams, unsigned count, uint64_t head)
{
	const struct datagram *at = datagrams, *end = datagrams + count;

	while (end - at >= 4 &&
		!((head_of(&at[0].source) ^ head) | (head_of(&at[1].source) ^ head) |
			(head_of(&at[2].source) ^ head) | (head_of(&at[3].source) ^ head)))
		at += 4;
	while (at < end && head_of(&at->source) == head)
		at++;
	return (unsigned)(at - datagrams);
}

/* How many of the datagrams have the source of the first, from it on. */
static unsigned count_equal(const struct datagram *datagrams, unsigned count)
{
	const union endpoint *first = &datagrams->source;
	unsigned heads = count_heads(datagrams, count, head_of(first)), equal = 1;

	if (first->any.sa_family == AF_INET)
		return heads;
	while (equal < heads && !memcmp(&datagrams[equal].source.v6.sin6_addr, &first->v6.sin6_addr,
					sizeof(first->v6.sin6_addr)))
		equal++;
	return equal;
}

static void unlink_heard(struct known_senders *senders, uint8_t at)
{
	struct entry *items = senders->items, *entry = &items[at];

	*(entry->newer == NONE ? &senders->newest : &items[entry->newer].older) = entry->older;
	*(entry->older == NONE ? &senders->oldest : &items[entry->older].newer) = entry->newer;
}

static void link_newest(struct known_senders *senders, uint8_t at)
{
	struct entry *items = senders->items;

	items[at].newer = NONE;
	items[at].older = senders->newest;
	*(senders->newest == NONE ? &senders->oldest : &items[senders->newest].newer) = at;
	senders->newest = at;
}

static void unlink_bucket(struct known_senders *senders, uint8_t at)
{
	uint8_t *place = &senders->buckets[senders->items[at].bucket];

	while (*place != at)
		place = &senders->items[*place].next_in_bucket;
	*place = senders->items[at].next_in_bucket;
}

/* Gives the entry of this number what the caller keeps of it, zeroed. Returns 0 or -ENOMEM. */
static int renew_more(struct known_senders *senders, uint8_t at)
{
	if (!senders->more.size)
		return 0;
	if (senders->kept[at]) {
		senders->more.forget(senders->kept[at], senders->more.argument);
		memset(senders->kept[at], 0, senders->more.size);
		return 0;
	}
	senders->kept[at] = calloc(1, senders->more.size);
	return senders->kept[at] ? 0 : -ENOMEM;
}

/* The number of a free entry, which may have been the oldest; NONE without memory. */
static uint8_t find_room(struct known_senders *senders)
{
	uint8_t at;

	if (senders->count < KNOWN_SENDERS_MAX) {
		at = (uint8_t)senders->count;
		return renew_more(senders, at) < 0 || array_add(senders, (struct entry){0}) < 0
			       ? NONE
			       : at;
	}
	at = senders->oldest;
	renew_more(senders, at);
	unlink_heard(senders, at);
	unlink_bucket(senders, at);
	return at;
}

/* The sender becomes the newest. Returns NULL where it is new and there is no memory for it, or
 * where it has no address. */
static struct entry *find(struct known_senders *senders, const struct origin *origin,
	const union endpoint *source, const uint64_t stream[static 2])
{
	struct identity identity = identify(source, origin->ifindex, stream);
	uint8_t at = senders->newest, bucket;
	struct entry *entry;

	if (at != NONE && !memcmp(&senders->items[at].identity, &identity, sizeof(identity)))
		return &senders->items[at];
	if (source->any.sa_family != AF_INET && source->any.sa_family != AF_INET6)
		return NULL;
	bucket = hash_keyed(&senders->key, &identity, sizeof(identity)) % BUCKETS;
	at = senders->buckets[bucket];
	while (at != NONE && memcmp(&senders->items[at].identity, &identity, sizeof(identity)) != 0)
		at = senders->items[at].next_in_bucket;
	if (at != NONE) {
		unlink_heard(senders, at);
		link_newest(senders, at);
		return &senders->items[at];
	}
	senders->forgotten += senders->count == KNOWN_SENDERS_MAX;
	at = find_room(senders);
	if (at == NONE) {
		senders->forgotten++;
		return NULL;
	}
	entry = &senders->items[at];
	*entry = (struct entry){
		.identity = identity, .bucket = bucket, .next_in_bucket = senders->buckets[bucket]};
	memcpy(entry->interface, origin->interface, sizeof(entry->interface));
	senders->buckets[bucket] = at;
	link_newest(senders, at);
	return entry;
}

static void count_received(struct entry *entry, unsigned received, uint64_t now_ns)
{
	uint64_t pause_ns = now_ns - entry->last_received_ns;

	if (entry->received && now_ns > entry->last_received_ns &&
		pause_ns > entry->longest_pause_ns)
		entry->longest_pause_ns = pause_ns;
	entry->received += received;
	entry->last_received_ns = now_ns;
}

void *known_senders_note_stream(struct known_senders *senders, const struct origin *origin,
	const union endpoint *source, const uint64_t stream[static 2], uint64_t now_ns)
{
	struct entry *entry = find(senders, origin, source, stream);

	if (!entry)
		return NULL;
	count_received(entry, 1, now_ns);
	return senders->kept[entry - senders->items];
}

void known_senders_note_again(struct known_senders *senders, uint64_t now_ns)
{
	count_received(&senders->items[senders->newest], 1, now_ns);
}

void known_senders_note(struct known_senders *senders, const struct origin *origin,
	const struct datagram *datagrams, unsigned count, uint64_t now_ns)
{
	static const uint64_t no_stream[2];
	unsigned equal;

	for (; count; datagrams += equal, count -= equal) {
		struct entry *entry = find(senders, origin, &datagrams->source, no_stream);

		equal = count_equal(datagrams, count);
		if (entry)
			count_received(entry, equal, now_ns);
	}
}

unsigned known_senders_count(const struct known_senders *senders)
{
	return senders ? (unsigned)senders->count : 0;
}

bool known_senders_next(
	const struct known_senders *senders, unsigned *cursor, struct known_sender *ret)
{
	const struct entry *entry;
	unsigned at = NONE;

	if (senders)
		at = *cursor ? senders->items[*cursor - 1].older : senders->newest;
	if (at == NONE)
		return false;
	*cursor = at + 1;
	entry = &senders->items[at];
	*ret = (struct known_sender){.port = ntohs(entry->identity.port),
		.address.family = entry->identity.family,
		.received = entry->received,
		.last_received_ns = entry->last_received_ns,
		.longest_pause_ns = entry->longest_pause_ns,
		.stream = {entry->identity.stream[0], entry->identity.stream[1]},
		.more = senders->kept[at]};
	memcpy(&ret->address.v6, entry->identity.words,
		entry->identity.family == AF_INET ? sizeof(struct in_addr)
						  : sizeof(struct in6_addr));
	memcpy(ret->interface, entry->interface, sizeof(ret->interface));
	return true;
}

uint64_t known_senders_forgotten(const struct known_senders *senders)
{
	return senders ? senders->forgotten : 0;
}
