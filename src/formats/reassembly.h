/* IP packets put together from their fragments (RFC 791, 3.2; RFC 8200, 4.5; RFC 5722). Pure.
 * Bounded: of more packets on their way at once than there is room for, the oldest are dropped,
 * and so is one of which fragments are missing for longer than their senders would wait. Where
 * fragments overlap and do not agree, none of the packet is used.
 *
 * A packet may be captured twice, as at a mirror port. Packets that became whole are remembered
 * for a moment, so that a copy of a fragment does not wait for the next packet with that
 * identification. Where all fragments come again, the packet is handed out again, as it is with
 * one that has no fragments; else the copies are ignored. */
#pragma once

#include "formats/dissect.h"

/* As long as Linux waits for fragments, by the timestamps of the capture. */
#define REASSEMBLY_WAIT_NS (30 * 1000000000ull)

/* How long after its packet a fragment is a copy: less than identifications need to come again. */
#define REASSEMBLY_COPY_NS 1000000000ull

/* Fragments that are further apart are rarely of one packet: an identification comes again. Where
 * no checksum says that they are, they are not used together; those that contradict the ones
 * before begin another packet. */
#define REASSEMBLY_APART_NS 1000000000ull

/* Of packets on their way, and of those that became whole: some 8 MB each. */
#define REASSEMBLY_MAX 128

struct partial;

/* All zeros at the start. */
struct reassembly {
	struct partials {
		struct partial *items[REASSEMBLY_MAX]; /* the oldest first */
		size_t count;
	} open, whole; /* the last of whole is the one that was handed out last */
	uint64_t took_ns; /* from its first fragment to the last */
	uint64_t incomplete; /* packets that did not become whole, or were rejected */
};

/* Takes a fragment that was seen on an interface. Returns 1 where its packet is whole:
 * *ret_data is in memory until the next call; 0: it is not (yet); -ENOMEM. *fragment becomes what
 * dissect_whole() needs. */
int reassembly_take(struct reassembly *reassembly, struct dissected *fragment, uint32_t interface,
	uint64_t timestamp_ns, const uint8_t **ret_data, size_t *ret_size);

/* The packet that reassembly_take() has just handed out is not of one datagram: counts and forgets
 * it, so that its fragments can become part of another one where they are taken again. */
void reassembly_reject(struct reassembly *reassembly);

/* Drops all that is not whole. */
void reassembly_end(struct reassembly *reassembly);

void reassembly_clear(struct reassembly *reassembly);
