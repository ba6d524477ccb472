/* What becomes of one stream on its way: of what "mcastctl probe send" sends, or of any RTP. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct measure;

/* Returns NULL without memory. */
struct measure *measure_new(void);

/* Accepts NULL. */
void measure_free(struct measure *measure);

enum measure_taken {
	MEASURE_OTHER, /* it is not of the stream that is measured */
	MEASURE_ONE,
	MEASURE_LATE, /* the last one of a probe has come, or comes now */
};

/* A datagram has come, at a time of CLOCK_REALTIME. ttl: as received; 0: not known. The first
 * stream is measured, others are only counted; one of a probe takes the place of another. */
enum measure_taken measure_take(struct measure *measure, const uint8_t *payload, size_t size,
	uint8_t ttl, uint64_t arrived_ns);

/* Always, received = sent - lost + duplicates + late. */
struct measured {
	bool is_begun; /* a stream was found */
	bool is_probe; /* else any RTP: then there are neither delays nor hops */
	uint64_t received, others; /* datagrams: of the stream, and all else */
	uint64_t sent; /* as far as is known: by a probe's total, or by the numbers seen */
	uint64_t lost, reordered, duplicates, restarts;
	uint64_t late; /* too late to tell whether they are among the lost ones, or copies */
	uint64_t lost_at_end; /* after the last that came: perhaps they were never sent */
	uint64_t seen_lost; /* between the first and the last one that came */
	bool has_jitter;
	uint64_t jitter_ns; /* RFC 3550 */
	/* How much longer than the fastest one they were on their way: clocks need not agree. */
	bool has_delays;
	uint64_t delay_p50_ns, delay_p99_ns, delay_max_ns;
	/* Routers on the way, where the TTL was given. */
	bool has_hops;
	unsigned hops_least, hops_most;
	unsigned ttl_sent, ttl_seen; /* of the first */
};

void measure_read(struct measure *measure, struct measured *ret);
