#include "data/account.h"

#include <string.h>

#include "base/hash.h"

static const char *const names[DROP_REASONS] = {
	[DROP_RATE] = "rate",
	[DROP_STRIP] = "strip",
	[DROP_QUEUE] = "queue",
	[DROP_IO] = "io",
	[DROP_BUSY] = "busy",
	[DROP_ABSENT] = "absent",
	[DROP_SIZE] = "size",
	[DROP_LOOP] = "loop",
	[DROP_TTL] = "ttl",
	[DROP_UNCONFIRMED] = "unconfirmed",
	[DROP_REFUSED] = "refused",
	[DROP_SHUTDOWN] = "shutdown",
};

const char *drop_reason_name(enum drop_reason reason)
{
	return names[reason];
}

bool drop_reason_is_wanted(enum drop_reason reason)
{
	return reason == DROP_RATE || reason == DROP_STRIP || reason == DROP_LOOP ||
	       reason == DROP_TTL;
}

uint64_t account_layout(void)
{
	uint64_t layouts[] = {account_members(), outcome_members()};
	uint64_t hash = hash_bytes(HASH_BEGIN, layouts, sizeof(layouts));

	for (int i = 0; i < DROP_REASONS; i++)
		hash = hash_bytes(hash, names[i], strlen(names[i]) + 1);
	return hash;
}
