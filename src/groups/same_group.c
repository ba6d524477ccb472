#include "groups/same_group.h"

#include <stdlib.h>

#include "base/hash.h"
#include "groups/group.h"

#define BUCKETS_MIN 16

/* A hash table with about as many lists as there are memberships. */
struct same_groups {
	struct link *buckets;
	size_t bucket_count; /* a power of two */
	size_t count;
	uint32_t changes;
	struct {
		struct address group;
		unsigned ifindex;
		uint32_t changes;
		size_t count;
	} counted; /* last: it is asked for one socket after the other */
};

static struct link *new_buckets(size_t count)
{
	struct link *buckets = calloc(count, sizeof(*buckets));

	for (size_t i = 0; buckets && i < count; i++)
		list_init(&buckets[i]);
	return buckets;
}

struct same_groups *same_groups_new(void)
{
	struct same_groups *same = calloc(1, sizeof(*same));

	if (!same)
		return NULL;
	same->bucket_count = BUCKETS_MIN;
	same->buckets = new_buckets(same->bucket_count);
	if (!same->buckets)
		free(take(same));
	return same;
}

void same_groups_free(struct same_groups *same)
{
	if (!same)
		return;
	free(same->buckets);
	free(same);
}

static struct link *bucket_of(
	const struct same_groups *same, const struct address *group, unsigned ifindex)
{
	uint64_t hash = hash_bytes(HASH_BEGIN, &ifindex, sizeof(ifindex));

	return &same->buckets[address_hash(hash, group) & (same->bucket_count - 1)];
}

static void put(struct same_groups *same, struct membership *membership)
{
	list_append(
		bucket_of(same, &membership->group->config->address, membership->origin->ifindex),
		&membership->same_group);
}

/* Without memory the lists are longer. */
static void grow(struct same_groups *same)
{
	struct link *before = same->buckets, *after = new_buckets(2 * same->bucket_count);
	size_t count = same->bucket_count;
	struct membership *membership;

	if (!after)
		return;
	same->buckets = after;
	same->bucket_count = 2 * count;
	for (size_t i = 0; i < count; i++)
		while ((membership = list_first(&before[i], struct membership, same_group))) {
			link_remove(&membership->same_group);
			put(same, membership);
		}
	free(before);
}

void same_groups_add(struct same_groups *same, struct membership *membership)
{
	if (!same)
		return;
	if (same->count == same->bucket_count)
		grow(same);
	put(same, membership);
	same->count++;
	same->changes++;
}

void same_groups_remove(struct same_groups *same, struct membership *membership)
{
	if (!same || !link_is_used(&membership->same_group))
		return;
	link_remove(&membership->same_group);
	same->count--;
	same->changes++;
}

struct membership *same_groups_next(const struct same_groups *same, const struct address *group,
	unsigned ifindex, const struct membership *after)
{
	struct link *bucket = same ? bucket_of(same, group, ifindex) : NULL;
	struct link *link = after ? after->same_group.next : bucket ? bucket->next : NULL;

	for (; link != bucket; link = link->next) {
		struct membership *membership = container_of(link, struct membership, same_group);

		if (membership->origin->ifindex == ifindex &&
			address_equal(&membership->group->config->address, group))
			return membership;
	}
	return NULL;
}

static bool is_counted(
	const struct same_groups *same, const struct address *group, unsigned ifindex)
{
	return same->counted.count && same->counted.changes == same->changes &&
	       same->counted.ifindex == ifindex && address_equal(&same->counted.group, group);
}

size_t same_groups_count(struct same_groups *same, const struct address *group, unsigned ifindex)
{
	const struct membership *membership = NULL;
	size_t count = 0;

	if (!same)
		return 0;
	if (is_counted(same, group, ifindex))
		return same->counted.count;
	while ((membership = same_groups_next(same, group, ifindex, membership)))
		count++;
	same->counted.group = *group;
	same->counted.ifindex = ifindex;
	same->counted.changes = same->changes;
	same->counted.count = count;
	return count;
}

uint32_t same_groups_changes(const struct same_groups *same)
{
	return same ? same->changes : 0;
}
