#include "handlers/queue.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"

/* After this time without a drop the log has what a full queue has cost: one that is full again
 * and again is one matter. */
#define FULL_END_NS (10 * NS_PER_S)

static struct queue_limits limits_of(const struct config_handler *config)
{
	return (struct queue_limits){.bytes = config->queue,
		.most = config->queue_datagrams ? (uint64_t)config->queue_datagrams : UINT64_MAX,
		.policy = (enum drop_policy)config->drop};
}

int queue_init(struct queue *queue, const struct config_handler *config)
{
	struct queue_limits limits = limits_of(config);

	queue->policy = limits.policy;
	queue->bytes = limits.bytes;
	return ring_init(&queue->ring, limits.bytes, limits.most);
}

void queue_destroy(struct queue *queue)
{
	ring_destroy(&queue->ring);
}

int queue_prepare(
	const struct queue *queue, const struct config_handler *config, struct queue_limits *ret)
{
	*ret = limits_of(config);
	return ring_prepare(&queue->ring, ret->bytes, &ret->segment);
}

void queue_change(struct queue *queue, struct queue_limits *limits)
{
	ring_resize(&queue->ring, limits->bytes, limits->most, take(limits->segment));
	queue->policy = limits->policy;
	queue->bytes = limits->bytes;
}

void queue_limits_clear(struct queue_limits *limits)
{
	ring_segment_free(take(limits->segment));
}

uint64_t queue_push(struct queue *queue, const struct batch *batch)
{
	struct ring *ring = &queue->ring;
	unsigned pushed = ring_push(ring, batch, 0), evicted;
	uint64_t dropped = 0;

	while (pushed < batch->count && queue->policy == DROP_OLDEST &&
		(evicted = ring_drop_oldest(ring))) {
		dropped += evicted;
		ring_lose(ring, evicted);
		pushed += ring_push(ring, batch, pushed);
	}
	ring_lose(ring, batch->count - pushed);
	return dropped + batch->count - pushed;
}

/* ---- A full queue ---- */

bool queue_note_full(struct queue *queue, uint64_t dropped)
{
	bool begins = !queue->overflow.dropped;

	queue->overflow.dropped += dropped;
	queue->overflow.last_ns = clock_ns(CLOCK_MONOTONIC);
	if (begins)
		queue->overflow.by_count = queue->ring.queued >= queue->ring.most;
	return begins;
}

uint64_t queue_full_deadline(const struct queue *queue)
{
	return queue->overflow.dropped ? queue->overflow.last_ns + FULL_END_NS : 0;
}

uint64_t queue_end_full(struct queue *queue)
{
	uint64_t dropped = queue->overflow.dropped;

	queue->overflow.dropped = 0;
	return dropped;
}

void queue_log_full(const struct queue *queue, const char *handler)
{
	char limit[UNIT_STRING_MAX + 32], size[UNIT_STRING_MAX];

	if (queue->overflow.by_count)
		snprintf(limit, sizeof(limit), "queue_datagrams = %" PRIu64, queue->ring.most);
	else
		snprintf(limit, sizeof(limit), "queue = \"%s\"", format_size(queue->bytes, size));
	log_event(LOG_WARNING, &(struct log_fields){.handler = handler},
		"handler %s: its queue is full (%s), and datagrams are dropped: more come than it "
		"delivers; a larger queue helps where that is not for long",
		handler, limit);
}

void queue_log_cost(const char *handler, uint64_t dropped)
{
	log_event(LOG_NOTICE, &(struct log_fields){.handler = handler},
		"handler %s: its queue was full; dropped meanwhile: %" PRIu64, handler, dropped);
}
