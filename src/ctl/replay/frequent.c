#include "ctl/replay/frequent.h"

#include <inttypes.h>
#include <stdlib.h>

void frequent_add(struct frequent *frequent, const struct address *address, uint16_t port)
{
	struct frequent_item *item = frequent->items, *least = item;

	for (size_t i = 0; i < frequent->count; i++, item++) {
		if (item->port == port && address_equal(&item->address, address)) {
			item->count++;
			return;
		}
		if (item->count < least->count)
			least = item;
	}
	if (frequent->count < FREQUENT_MAX) {
		frequent->count++;
		*item = (struct frequent_item){.address = *address, .port = port, .count = 1};
		return;
	}
	*least = (struct frequent_item){.address = *address,
		.port = port,
		.count = least->count + 1,
		.excess = least->count};
}

static int compare(const void *a, const void *b)
{
	const struct frequent_item *first = a, *second = b;
	uint64_t m = first->count - first->excess, n = second->count - second->excess;
	int order;

	if (m != n)
		return m > n ? -1 : 1;
	order = address_compare(&first->address, &second->address);
	return order ? order : first->port - second->port;
}

void frequent_sort(struct frequent *frequent)
{
	qsort(frequent->items, frequent->count, sizeof(*frequent->items), compare);
}

void frequent_append(const struct frequent *frequent, size_t most, struct text *text)
{
	size_t shown = frequent->count < most ? frequent->count : most;

	for (size_t i = 0; i < shown; i++) {
		const struct frequent_item *item = &frequent->items[i];
		char string[ENDPOINT_STRING_MAX];
		union endpoint end;

		address_to_endpoint(&item->address, item->port, 0, &end);
		text_printf(text, "%s%s (%" PRIu64 ")", i ? ", " : "",
			endpoint_format(&end, string), item->count - item->excess);
	}
	if (shown < frequent->count)
		text_append_string(text, " and others");
}
