/* Tells a ring of relays from a host that repeats a payload, where both have the same address: the
 * reader is asked to read nothing for twice as long as the last copies took, and what is queued
 * then is counted. Of a host that is about twice as many, of a ring, which nobody fed meanwhile,
 * only those that were under way. Few in a row, and it is a ring. If they were not few, there may
 * be many in the ring: next time more are awaited. Slower rings than PAUSE_MAX_MS allows are not
 * found. Pure; one probe serves all payloads, as there is one reader that pauses. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What the reader is asked for, and what came of it. Zeroed, nothing. */
struct pause_probe {
	uint64_t hash; /* of the payload; 0: nothing is asked for */
	uint32_t asked_ms;
	uint32_t ms; /* 0: taken */
	uint32_t expected, count; /* of copies */
	bool is_counting;
	uint32_t rest_ms, rest_takes_ms; /* since when, and how long no pause is asked for */
	uint32_t pauses; /* without a ring, and with less than a minute between two of them */
};

/* Copies of one payload from one address. */
struct repeats {
	uint32_t count; /* since since_ms */
	uint32_t since_ms;
	uint32_t max; /* then the reader is asked to pause */
	uint32_t suspicions; /* pauses one after the other in which few came */
};

void repeats_init(struct repeats *repeats);

/* Enough copies have come: asks for a pause, unless there is one, or was a short time ago. */
void pause_probe_consider(
	struct pause_probe *probe, struct repeats *repeats, uint64_t hash, uint32_t now_ms);

/* Counts a copy. hash is the payload's; a pause is asked for only where it may be. */
static inline void pause_probe_count(struct pause_probe *probe, struct repeats *repeats,
	uint64_t hash, bool may_ask, uint32_t now_ms)
{
	if (probe->is_counting && probe->hash == hash)
		probe->count++;
	if (!repeats->count++)
		repeats->since_ms = now_ms;
	if (repeats->count >= repeats->max && may_ask)
		pause_probe_consider(probe, repeats, hash, now_ms);
}

/* The four steps of a pause: see loop_guard.h. */
uint32_t pause_probe_take(struct pause_probe *probe);
void pause_probe_refuse(struct pause_probe *probe);
void pause_probe_end(struct pause_probe *probe);

/* repeats are those of the payload that it was about; NULL: they are not known any more. Returns
 * whether they come from a ring. */
bool pause_probe_was_queued(
	struct pause_probe *probe, struct repeats *repeats, bool is_all, uint32_t now_ms);
