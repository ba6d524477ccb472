/* A message to a broker, and what MQTT adds to it. */
#pragma once

#include <mosquitto.h>
#include <stdint.h>

struct publication {
	const char *topic;
	const void *payload;
	uint32_t size;
	const char *id, *from; /* user properties; NULL: not sent */
};

/* Gives it to the library. packet_max is what the broker accepts; 0: any size. Returns 0, or -EIO
 * when the library has it, which is what *ret_id stands for; with -EIO the connection is being
 * lost. Or -EMSGSIZE, larger than the broker accepts, or -ENOMEM.
 */
int publication_send(const struct publication *publication, struct mosquitto *client, int qos,
	uint32_t packet_max, int *ret_id);
