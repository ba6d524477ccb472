#include "ctl/probe/measure.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ctl/probe/arrivals.h"
#include "ctl/probe/packet.h"
#include "data/jitter.h"
#include "data/sequence.h"
#include "formats/rtp.h"

/* Delays that are kept: of more of them, some by chance. */
#define DELAYS_MAX 65536

struct measure {
	bool is_begun, is_probe, is_over;
	uint32_t ssrc;
	uint32_t total; /* the least that the packets name; 0: none does */
	uint64_t received, others;
	bool has_hops;
	unsigned hops_least, hops_most, ttl_sent, ttl_seen;
	struct jitter jitter;
	uint64_t delay_count, random;
	int64_t *delays; /* DELAYS_MAX */
	int64_t delay_least, delay_most;
	int64_t *sorted; /* scratch */
	struct arrivals arrivals; /* of a probe */
	struct sequence sequence; /* of any other RTP */
};

struct measure *measure_new(void)
{
	struct measure *measure = calloc(1, sizeof(*measure) + SEQUENCE_SEEN_SIZE(SEQUENCE_WINDOW));

	if (!measure)
		return NULL;
	measure->delays = calloc(DELAYS_MAX, sizeof(*measure->delays));
	measure->sorted = calloc(DELAYS_MAX, sizeof(*measure->sorted));
	measure->random = 88172645463325252ull;
	if (measure->delays && measure->sorted && arrivals_init(&measure->arrivals) == 0)
		return measure;
	measure_free(measure);
	return NULL;
}

void measure_free(struct measure *measure)
{
	if (!measure)
		return;
	free(measure->delays);
	free(measure->sorted);
	arrivals_clear(&measure->arrivals);
	free(measure);
}

/* A probe may take the place of other RTP, and nothing takes its own: no number has come yet. */
static void begin(struct measure *measure, uint32_t ssrc, bool is_probe)
{
	uint64_t others = measure->others + measure->received;
	int64_t *delays = measure->delays, *sorted = measure->sorted;

	*measure = (struct measure){.is_begun = true,
		.is_probe = is_probe,
		.ssrc = ssrc,
		.others = others,
		.delays = delays,
		.sorted = sorted,
		.random = measure->random,
		.arrivals = measure->arrivals};
	sequence_init(&measure->sequence, 16, 1, SEQUENCE_WINDOW);
}

/* xorshift64 (Marsaglia, 2003). */
static uint64_t random_below(struct measure *measure, uint64_t limit)
{
	measure->random ^= measure->random << 13;
	measure->random ^= measure->random >> 7;
	measure->random ^= measure->random << 17;
	return measure->random % limit;
}

/* Of all that came, each has the same chance to be among those that are kept (Vitter's algorithm
 * R).
 */
static void keep_delay(struct measure *measure, int64_t delay)
{
	uint64_t at = measure->delay_count;

	if (!at || delay < measure->delay_least)
		measure->delay_least = delay;
	if (!at || delay > measure->delay_most)
		measure->delay_most = delay;
	measure->delay_count++;
	if (at >= DELAYS_MAX)
		at = random_below(measure, measure->delay_count);
	if (at < DELAYS_MAX)
		measure->delays[at] = delay;
}

static void count_hops(struct measure *measure, uint8_t sent, uint8_t seen)
{
	unsigned hops = sent > seen ? (unsigned)(sent - seen) : 0;

	if (!sent || !seen)
		return;
	if (!measure->has_hops) {
		measure->hops_least = measure->hops_most = hops;
		measure->ttl_sent = sent;
		measure->ttl_seen = seen;
	}
	measure->has_hops = true;
	if (hops < measure->hops_least)
		measure->hops_least = hops;
	if (hops > measure->hops_most)
		measure->hops_most = hops;
}

static void take_probe(struct measure *measure, const struct probe_packet *packet, uint8_t ttl,
	uint64_t arrived_ns)
{
	/* Interrupted, a sender names fewer, and what it sent before that may come later. */
	if (packet->total && (!measure->total || packet->total < measure->total))
		measure->total = packet->total;
	measure->is_over |= packet->total && packet->number + 1 == packet->total;
	keep_delay(measure, (int64_t)(arrived_ns - packet->sent_ns));
	count_hops(measure, packet->ttl, ttl);
}

/* Returns whether the number came for the first time. */
static bool is_new(struct measure *measure, const struct probe_packet *packet,
	const struct rtp *rtp, uint64_t arrived_ns)
{
	uint64_t unique = measure->sequence.counts.unique;

	if (measure->is_probe)
		return arrivals_take(&measure->arrivals, packet->number);
	sequence_track(&measure->sequence, rtp->sequence, 1, arrived_ns);
	return measure->sequence.counts.unique != unique;
}

enum measure_taken measure_take(struct measure *measure, const uint8_t *payload, size_t size,
	uint8_t ttl, uint64_t arrived_ns)
{
	struct probe_packet packet;
	bool is_probe = probe_packet_read(payload, size, &packet);
	bool is_rtp;
	struct rtp rtp;

	is_rtp = rtp_parse(payload, size, &rtp);
	if (is_rtp && (!measure->is_begun || (is_probe && !measure->is_probe)))
		begin(measure, rtp.ssrc, is_probe);
	if (!is_rtp || measure->ssrc != rtp.ssrc || measure->is_probe != is_probe) {
		measure->others++;
		return MEASURE_OTHER;
	}
	measure->received++;
	/* A copy says nothing of the way. */
	if (is_new(measure, &packet, &rtp, arrived_ns)) {
		jitter_note(&measure->jitter, rtp.timestamp, arrived_ns);
		if (is_probe)
			take_probe(measure, &packet, ttl, arrived_ns);
	}
	return measure->is_over ? MEASURE_LATE : MEASURE_ONE;
}

static int compare_delays(const void *a, const void *b)
{
	int64_t first = *(const int64_t *)a, second = *(const int64_t *)b;

	return first < second ? -1 : first > second;
}

/* How much longer. Of forged times, more than an int64_t holds. */
static uint64_t beyond(int64_t delay, int64_t least)
{
	return (uint64_t)delay - (uint64_t)least;
}

static void read_delays(struct measure *measure, struct measured *ret)
{
	size_t count = measure->delay_count < DELAYS_MAX ? measure->delay_count : DELAYS_MAX;

	ret->has_delays = count;
	if (!count)
		return;
	memcpy(measure->sorted, measure->delays, count * sizeof(*measure->sorted));
	qsort(measure->sorted, count, sizeof(*measure->sorted), compare_delays);
	ret->delay_p50_ns = beyond(measure->sorted[(count - 1) / 2], measure->delay_least);
	ret->delay_p99_ns = beyond(measure->sorted[(count - 1) * 99 / 100], measure->delay_least);
	ret->delay_max_ns = beyond(measure->delay_most, measure->delay_least);
}

/* Of a probe, what was lost before the first and after the last one is known, too. */
static void read_arrivals(const struct measure *measure, struct measured *ret)
{
	const struct arrivals *arrivals = &measure->arrivals;
	uint64_t spanned = arrivals->highest + 1 - arrivals->lowest;

	ret->sent = spanned;
	if (measure->total) {
		ret->sent = measure->total > arrivals->highest ? measure->total
							       : arrivals->highest + 1;
		ret->lost_at_end = ret->sent - arrivals->highest - 1;
	}
	ret->lost = ret->sent - arrivals->unique;
	ret->seen_lost = spanned - arrivals->unique;
	ret->reordered = arrivals->reordered;
	ret->duplicates = arrivals->duplicates;
	ret->late = arrivals->late;
}

static void read_sequence(const struct measure *measure, struct measured *ret)
{
	const struct sequence_counts *counts = &measure->sequence.counts;

	ret->sent = counts->spanned;
	ret->seen_lost = ret->lost = counts->lost + sequence_open(&measure->sequence);
	ret->reordered = counts->reordered;
	ret->duplicates = counts->duplicates;
	ret->late = counts->late;
	ret->restarts = counts->restarts;
}

void measure_read(struct measure *measure, struct measured *ret)
{
	*ret = (struct measured){.is_begun = measure->is_begun,
		.is_probe = measure->is_probe,
		.received = measure->received,
		.others = measure->others,
		.has_hops = measure->has_hops,
		.hops_least = measure->hops_least,
		.hops_most = measure->hops_most,
		.ttl_sent = measure->ttl_sent,
		.ttl_seen = measure->ttl_seen};
	if (!measure->is_begun)
		return;
	if (measure->is_probe)
		read_arrivals(measure, ret);
	else
		read_sequence(measure, ret);
	ret->has_jitter = jitter_read(&measure->jitter, &ret->jitter_ns);
	read_delays(measure, ret);
}
