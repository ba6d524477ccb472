/* A message for Kafka: a datagram, its headers and its key, in a slot of a window or in a report of
 * librdkafka. Bytes of a message belong to whoever made it. */
#pragma once

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct window_slot;

struct message {
	const void *payload, *key, *id, *from;
	size_t size, key_size, id_size, from_size; /* 0: without a key; without headers */
	int64_t timestamp_ms;
};

/* Copies a message into the slot. was_sent: a broker may have it. Returns 0 or -ENOMEM: the slot
 * has none then. */
int message_pack(struct window_slot *slot, const struct message *message, bool was_sent);

/* The message in a slot, valid as long as it is there. There must be one. */
struct message message_unpack(const struct window_slot *slot);

/* Whether a broker may have the message of a slot. One that is in no slot was sent. */
bool message_was_sent(const struct window_slot *slot);

/* The slot has none any more. */
void message_forget(struct window_slot *slot);

/* The message that a delivery report is about. */
struct message message_of_report(const rd_kafka_message_t *report);

/* Gives a message to the library, which copies it, for a partition that its key decides about. tag
 * comes back in the report. */
rd_kafka_resp_err_t message_produce(const struct message *message, rd_kafka_t *producer,
	rd_kafka_topic_t *topic, uintptr_t tag);
