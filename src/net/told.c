#include "net/told.h"

#include "base/clock.h"

#define INTERVAL_NS (60 * NS_PER_S)

/* After TOLD_MAX, none is told for an hour, and then each as if it was new. */
#define PAUSE_NS (60 * INTERVAL_NS)

bool told_is_new(struct told *told, const struct address *address, uint64_t now_ns)
{
	if (now_ns < told->next_ns)
		return false;
	for (unsigned i = 0; i < told->count; i++)
		if (address_equal(&told->addresses[i], address))
			return false;
	told->addresses[told->count++] = *address;
	told->next_ns = now_ns + INTERVAL_NS;
	if (told->count == TOLD_MAX) {
		told->next_ns = now_ns + PAUSE_NS;
		told->count = 0;
	}
	return true;
}
