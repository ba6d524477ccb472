/* The producer of the library, and the next one after it has ended. One that has ended gets the
 * time to report what became of its messages; then it is closed, and after a pause the next one is
 * created. The pause is doubled each time, until something is acknowledged.
 *
 * What it reports lies in a queue of the library, which makes an eventfd readable. For one thread.
 */
#pragma once

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/errors.h"

/* Brokers whose certificates are remembered as not accepted. */
#define PRODUCER_REFUSED 8

struct refused_certificate {
	char broker[256]; /* "": none */
	char why[WHY_MAX];
};

struct producer {
	const struct kafka_settings *settings; /* its user's */
	const char *name; /* of the handler */
	uint64_t files; /* conf_files() of what it has read */
	pthread_mutex_t lock; /* for what the library's threads write: */
	struct refused_certificate refused[PRODUCER_REFUSED]; /* of brokers */
	unsigned next_refused; /* the place of the next one */
	rd_kafka_t *library; /* NULL: before the start, and until start_ns */
	rd_kafka_queue_t *events;
	int wake; /* eventfd(2), its user's: something is in events */
	unsigned pending; /* messages that it has not reported, which the user counts */
	bool is_failed; /* it has ended, and reports what it had */
	uint64_t purge_ns; /* of a failed one: when to wait no longer for its brokers */
	uint64_t start_ns; /* when to create the next one; 0: not now */
	uint64_t pause_ns; /* before that */
};

/* Before all else, zeroed. The settings and the name stay where they are. */
void producer_init(
	struct producer *producer, const struct kafka_settings *settings, const char *name);

/* Creates one, with what its files have now. Returns 0; or a negative errno with the reason in why,
 * and plans the next attempt.
 */
int producer_start(struct producer *producer, char why[static WHY_MAX]);

/* Whether it is time for the next one. */
bool producer_is_due(const struct producer *producer, uint64_t now_ns);

/* Whether there is one, and it has not ended. */
bool producer_works(const struct producer *producer);

/* Whether its files are no longer those that it has read. */
bool producer_is_outdated(const struct producer *producer);

/* It has ended by itself, or is not needed any longer, and is told to report: what is in flight by
 * until_ns. */
void producer_fail(struct producer *producer, uint64_t until_ns);

/* Whether a failed one has reported everything. It fails what is overdue. */
bool producer_has_reported(struct producer *producer, uint64_t now_ns);

/* Closes a failed one that has reported everything, and plans the next one. */
void producer_replace(struct producer *producer);

/* Something was acknowledged: the next pause is the shortest. */
void producer_acknowledged(struct producer *producer);

/* Has it fail and report all that it has. */
void producer_purge(struct producer *producer);

/* Why the certificate of the broker that an error of the library names was not accepted, as what
 * follows "the broker's certificate". Returns false: it was, or it is not known. */
bool producer_certificate_error(
	struct producer *producer, const char *reason, char ret[static WHY_MAX]);

/* When there is something to do without an event; 0: never. */
uint64_t producer_deadline(const struct producer *producer);

/* Closes it, where there is one. The handles of topics are released before that. */
void producer_close(struct producer *producer);
