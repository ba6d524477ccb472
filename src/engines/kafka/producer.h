/* The producer of the library, and the next one after it has ended by itself. One that has ended
 * gets the time to report what became of its messages; then it is closed, and after a pause the
 * next one is created. The pause is doubled each time, until something is acknowledged.
 *
 * What it reports lies in a queue of the library, which makes an eventfd readable. For one thread.
 */
#pragma once

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/errors.h"

struct producer {
	rd_kafka_conf_t *conf; /* each gets a copy */
	rd_kafka_t *library; /* NULL: before the start, and until start_ns */
	rd_kafka_queue_t *events;
	int wake; /* eventfd(2), its user's: something is in events */
	unsigned pending; /* messages that it has not reported, which the user counts */
	bool is_failed; /* it has ended by itself, and reports what it had */
	uint64_t purge_ns; /* of a failed one: when to wait no longer for its brokers */
	uint64_t start_ns; /* when to create the next one; 0: not now */
	uint64_t pause_ns; /* before that */
};

/* Creates one. Returns 0; or a negative errno with the reason in why, and plans the next attempt.
 */
int producer_start(struct producer *producer, char why[static WHY_MAX]);

/* Whether it is time for the next one. */
bool producer_is_due(const struct producer *producer, uint64_t now_ns);

/* Whether there is one, and it has not ended. */
bool producer_works(const struct producer *producer);

/* It has ended by itself, and is told to report: what is in flight by until_ns. */
void producer_fail(struct producer *producer, uint64_t until_ns);

/* Whether a failed one has reported everything. It fails what is overdue. */
bool producer_has_reported(struct producer *producer, uint64_t now_ns);

/* Closes a failed one that has reported everything, and plans the next one. */
void producer_replace(struct producer *producer);

/* Something was acknowledged: the next pause is the shortest. */
void producer_acknowledged(struct producer *producer);

/* Has it fail and report all that it has. */
void producer_purge(struct producer *producer);

/* When there is something to do without an event; 0: never. */
uint64_t producer_deadline(const struct producer *producer);

/* Closes it, where there is one. The handles of topics are released before that. */
void producer_close(struct producer *producer);
