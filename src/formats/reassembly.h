/* IP packets put together from their fragments (RFC 791, 3.2; RFC 8200, 4.5; RFC 5722). Pure.
 * Bounded: of more packets on their way at once than there is room for, the oldest are dropped,
 * and so is one of which fragments are missing for longer than their senders would wait. Where
 * fragments overlap and do not agree, none of the packet is used. */
#pragma once

#include "formats/dissect.h"

/* As long as Linux waits for fragments, by the timestamps of the capture. */
#define REASSEMBLY_WAIT_NS (30 * 1000000000ull)

/* Some 8 MB in all. */
#define REASSEMBLY_MAX 128

struct partial;

/* All zeros at the start. */
struct reassembly {
	struct partial *items[REASSEMBLY_MAX]; /* the oldest first */
	size_t count;
	struct partial *whole; /* the one that was handed out last */
	uint64_t incomplete; /* packets that did not become whole */
};

/* Takes a fragment that was seen on an interface. Returns 1 where its packet is whole:
 * *ret_data is in memory until the next call; 0: it is not (yet); -ENOMEM. *fragment becomes what
 * dissect_whole() needs. */
int reassembly_take(struct reassembly *reassembly, struct dissected *fragment, uint32_t interface,
	uint64_t timestamp_ns, const uint8_t **ret_data, size_t *ret_size);

/* Drops all that is not whole. */
void reassembly_end(struct reassembly *reassembly);

void reassembly_clear(struct reassembly *reassembly);
