#include "groups/uncounted.h"

#include <inttypes.h>

#include "base/log.h"
#include "base/text.h"

struct taken {
	uint64_t count, bytes;
};

/* Adds up the slots that were filled. Their control messages are where they were, at another
 * address. */
static struct taken count_slots(struct arena_memory *memory)
{
	struct taken taken = {0};

	for (unsigned i = 0; i < BATCH_MAX; i++) {
		struct mmsghdr *message = &memory->messages[i];
		struct msghdr *header = &message->msg_hdr;

		if (message->msg_len == SLOT_EMPTY)
			continue;
		header->msg_control = memory->control[i];
		if (header->msg_controllen > SLOT_CONTROL_SIZE)
			header->msg_controllen = 0;
		taken.count += arena_slot_datagrams(message);
		taken.bytes += message->msg_len;
	}
	return taken;
}

/* Where some were counted as something else than received, their bytes are not known. */
static void count_taken(const struct arena_memory *memory, struct group_counters *counters,
	const struct taken *taken)
{
	uint64_t others = uncounted_others(counters) - memory->others;
	uint64_t received = memory->received + taken->count - others;
	uint64_t missing = received - counters->received;

	if (others > taken->count || missing > taken->count)
		return; /* nothing that a run of the daemon leaves */
	counters->received = received;
	if (!others && counters->received_bytes - memory->received_bytes < taken->bytes)
		counters->received_bytes = memory->received_bytes + taken->bytes;
	if (missing)
		log_warning("counted as received: %" PRIu64 " datagram%s that the earlier run had "
			    "just read when it was killed; no handler had them",
			missing, plural(missing));
}

struct arena_memory *uncounted_settle(struct counters *counters, struct uncounted *ret)
{
	struct arena_memory *memory = counters_take(
		counters, "arena", sizeof(*memory), arena_memory_members());
	struct group_counters *group;
	struct taken taken;

	if (!memory || !memory->group)
		return memory;
	group = counters_peek(counters, memory->group, sizeof(*group));
	taken = count_slots(memory);
	if (memory->count != COUNT_IN_SLOTS)
		taken.count = memory->count;
	if (group) {
		count_taken(memory, group, &taken);
		*ret = (struct uncounted){
			memory->group, memory->read, group->received - memory->received};
	}
	memory->group = 0;
	return memory;
}
