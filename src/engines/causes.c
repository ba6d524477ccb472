#include "engines/causes.h"

#include <string.h>

#include "base/hash.h"

bool engine_causes_add(struct causes *causes, const char *text)
{
	const char *clock = strstr(text, CLOCK_SAYS);
	uint64_t hash = hash_bytes(HASH_BEGIN, text, clock ? (size_t)(clock - text) : strlen(text));

	for (unsigned i = 0; i < causes->count && i < CAUSES_MAX; i++)
		if (causes->hashes[i] == hash)
			return false;
	if (causes->count >= CAUSES_MAX && !log_limit_pass(&causes->limit))
		return false;
	causes->hashes[causes->count++ % CAUSES_MAX] = hash;
	if (causes->count == 2 * CAUSES_MAX)
		causes->count = CAUSES_MAX;
	return true;
}

void engine_causes_forget(struct causes *causes)
{
	causes->count = 0;
}
