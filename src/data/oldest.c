#include "data/oldest.h"

#include <string.h>

static void halve(struct oldest *oldest)
{
	for (unsigned i = 0; i < OLDEST_MAX / 2; i++) {
		oldest->portions[i].since_ns = oldest->portions[2 * i].since_ns;
		oldest->portions[i].end = oldest->portions[2 * i + 1].end;
	}
	oldest->count = OLDEST_MAX / 2;
}

void oldest_take(struct oldest *oldest, uint64_t count, uint64_t since_ns)
{
	oldest->taken += count;
	if (oldest->count && oldest->portions[oldest->count - 1].since_ns == since_ns) {
		oldest->portions[oldest->count - 1].end = oldest->taken;
		return;
	}
	if (oldest->count == OLDEST_MAX)
		halve(oldest);
	oldest->portions[oldest->count].since_ns = since_ns;
	oldest->portions[oldest->count].end = oldest->taken;
	oldest->count++;
}

void oldest_settle(struct oldest *oldest, uint64_t count)
{
	unsigned done = 0;

	oldest->settled += count;
	while (done < oldest->count && oldest->portions[done].end <= oldest->settled)
		done++;
	if (!done)
		return;
	oldest->count -= done;
	memmove(oldest->portions, oldest->portions + done,
		oldest->count * sizeof(*oldest->portions));
}
