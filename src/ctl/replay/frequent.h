/* The most frequent of any number of addresses with ports, in little memory: Metwally's
 * Space-Saving (2005). Whatever is more than one in FREQUENT_MAX is among them. */
#pragma once

#include "base/text.h"
#include "net/address.h"

#define FREQUENT_MAX 64

/* All zeros at the start. */
struct frequent {
	struct frequent_item {
		struct address address;
		uint16_t port;
		uint64_t count; /* too high by at most excess */
		uint64_t excess;
	} items[FREQUENT_MAX];
	size_t count;
};

void frequent_add(struct frequent *frequent, const struct address *address, uint16_t port);

/* The most frequent first, by what is certain of their counts. */
void frequent_sort(struct frequent *frequent);

/* Appends "233.252.0.1:5004 (12), [ff15::1]:5004 (3)" of the first ones, and that there
 * are others. To be called after frequent_sort(). */
void frequent_append(const struct frequent *frequent, size_t most, struct text *text);
