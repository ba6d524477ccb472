#include "engines/kafka/message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "data/window.h"
#include "formats/envelope.h"

/* What window_slot.data begins with; key, id, from and payload follow. */
struct head {
	uint32_t size, key_size, id_size, from_size;
	int64_t timestamp_ms;
	bool was_sent;
};

int message_pack(struct window_slot *slot, const struct message *message, bool was_sent)
{
	struct head head = {.size = (uint32_t)message->size,
		.key_size = (uint32_t)message->key_size,
		.id_size = (uint32_t)message->id_size,
		.from_size = (uint32_t)message->from_size,
		.timestamp_ms = message->timestamp_ms,
		.was_sent = was_sent};
	uint8_t *data = malloc(sizeof(head) + message->key_size + message->id_size +
			       message->from_size + message->size);

	message_forget(slot);
	if (!data)
		return -ENOMEM;
	slot->data = data;
	data = mempcpy(data, &head, sizeof(head));
	data = mempcpy(data, message->key, message->key_size);
	data = mempcpy(data, message->id, message->id_size);
	data = mempcpy(data, message->from, message->from_size);
	memcpy(data, message->payload, message->size);
	return 0;
}

static struct head read_head(const struct window_slot *slot)
{
	struct head head;

	memcpy(&head, slot->data, sizeof(head));
	return head;
}

struct message message_unpack(const struct window_slot *slot)
{
	struct head head = read_head(slot);
	const uint8_t *key = slot->data + sizeof(head), *id = key + head.key_size;
	const uint8_t *from = id + head.id_size;

	return (struct message){.key = key,
		.key_size = head.key_size,
		.id = id,
		.id_size = head.id_size,
		.from = from,
		.from_size = head.from_size,
		.payload = from + head.from_size,
		.size = head.size,
		.timestamp_ms = head.timestamp_ms};
}

bool message_was_sent(const struct window_slot *slot)
{
	return !slot->data || read_head(slot).was_sent;
}

void message_forget(struct window_slot *slot)
{
	free(take(slot->data));
	slot->room = 0;
}

static void read_header(
	const rd_kafka_headers_t *headers, const char *name, const void **ret, size_t *ret_size)
{
	*ret = "";
	*ret_size = 0;
	if (headers)
		rd_kafka_header_get_last(headers, name, ret, ret_size);
}

struct message message_of_report(const rd_kafka_message_t *report)
{
	struct message message = {.payload = report->payload ? report->payload : "",
		.size = report->len,
		.key = report->key ? report->key : "",
		.key_size = report->key_len};
	rd_kafka_headers_t *headers = NULL;

	rd_kafka_message_headers(report, &headers);
	read_header(headers, ENVELOPE_ID, &message.id, &message.id_size);
	read_header(headers, ENVELOPE_FROM, &message.from, &message.from_size);
	message.timestamp_ms = rd_kafka_message_timestamp(report, NULL);
	return message;
}

rd_kafka_resp_err_t message_produce(
	const struct message *message, rd_kafka_t *producer, rd_kafka_topic_t *topic, uintptr_t tag)
{
	return rd_kafka_producev(producer, RD_KAFKA_V_RKT(topic),
		RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
		RD_KAFKA_V_VALUE((void *)message->payload, message->size),
		RD_KAFKA_V_KEY(message->key_size ? message->key : NULL, message->key_size),
		RD_KAFKA_V_TIMESTAMP(message->timestamp_ms), RD_KAFKA_V_OPAQUE((void *)tag),
		/* Without headers, the list ends here. */
		message->id_size ? RD_KAFKA_VTYPE_HEADER : RD_KAFKA_VTYPE_END, ENVELOPE_ID,
		message->id, (ssize_t)message->id_size,
		RD_KAFKA_V_HEADER(ENVELOPE_FROM, message->from, (ssize_t)message->from_size),
		RD_KAFKA_V_END);
}
