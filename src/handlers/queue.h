/* What waits for a handler that may block: a ring, the policy where it is full, and what the log
 * has of that. Not thread-safe: the lock of the ledger guards it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "data/ring.h"

struct queue {
	struct ring ring;
	enum drop_policy policy;
	uint64_t bytes; /* as configured */
	struct {
		uint64_t last_ns; /* when it has dropped last, CLOCK_MONOTONIC */
		uint64_t dropped; /* since the log had it as full; 0: it is not */
		bool by_count; /* it had as many datagrams as it may have */
	} overflow;
};

/* The limits and the policy that a queue is to have, with the memory that it lacks for them. */
struct queue_limits {
	uint64_t bytes, most;
	enum drop_policy policy;
	struct ring_segment *segment; /* NULL: it lacks nothing */
};

/* The queue of the configuration. Returns 0 or -ENOMEM. The queue must not move. */
int queue_init(struct queue *queue, const struct config_handler *config);

/* Accepts a zeroed queue. */
void queue_destroy(struct queue *queue);

/* Prepares what queue_change() is to have. Returns 0 or -ENOMEM. */
int queue_prepare(
	const struct queue *queue, const struct config_handler *config, struct queue_limits *ret);

/* The queue has these limits from now on, and takes their memory over. What waits stays. */
void queue_change(struct queue *queue, struct queue_limits *limits);

void queue_limits_clear(struct queue_limits *limits);

/* Queues a batch. Returns how many datagrams were dropped: of those that waited, or of the batch.
 */
uint64_t queue_push(struct queue *queue, const struct batch *batch);

/* Datagrams were dropped. Returns whether it is full from now on, for queue_log_full(). */
bool queue_note_full(struct queue *queue, uint64_t dropped);

/* When the log is to have what that has cost, CLOCK_MONOTONIC; 0: it is not full. */
uint64_t queue_full_deadline(const struct queue *queue);

/* It is full no more. Returns how many datagrams were dropped meanwhile, for queue_log_cost(). */
uint64_t queue_end_full(struct queue *queue);

/* Log lines of the handler of that name. They need no lock: the first is for who calls
 * queue_push(). */
void queue_log_full(const struct queue *queue, const char *handler);
void queue_log_cost(const char *handler, uint64_t dropped);
