/* Interarrival jitter of an RTP stream (RFC 3550, section 6.4.1 and appendix A.8). Pure.
 *
 * The unit of the timestamps depends on the payload, which often only the application knows. It is
 * found by comparing them with the time of arrival, for a second or more. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Zeroed: nothing has come. */
struct jitter {
	bool is_begun;
	uint32_t clock_hz; /* of the timestamps; 0: not known yet */
	uint32_t last, span; /* timestamps: the last, and how far they went since begun_ns */
	uint64_t begun_ns, last_ns;
	double ns;
};

/* A datagram with this timestamp has arrived. Not for one that came out of order. */
void jitter_note(struct jitter *jitter, uint32_t timestamp, uint64_t arrived_ns);

/* Returns false while it is not known. */
bool jitter_read(const struct jitter *jitter, uint64_t *ret_ns);
