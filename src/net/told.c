#include "net/told.h"

#include "base/clock.h"

#define INTERVAL_NS (60 * NS_PER_S)

bool told_is_new(struct told *told, const struct address *address, uint64_t now_ns)
{
	if (now_ns < told->next_ns)
		return false;
	for (unsigned i = 0; i < TOLD_MAX; i++)
		if (address_equal(&told->addresses[i], address))
			return false;
	told->addresses[told->count++ % TOLD_MAX] = *address;
	told->next_ns = now_ns + INTERVAL_NS;
	return true;
}
