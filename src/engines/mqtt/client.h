/* The client of libmosquitto: what it is asked for, and what it has said, by its callbacks, in the
 * caller's thread.
 *
 * What was published with QoS 1 or 2 is in its list until it is acknowledged, and is sent again by
 * itself, in order, after each reconnection; the list is not bounded and is searched from its
 * beginning. An incoming message is acknowledged before the caller gets it. */
#pragma once

#include <mosquitto.h>
#include <stdbool.h>
#include <stdint.h>

#include "engines/keys.h"
#include "engines/mqtt/tls.h"

#define KEEPALIVE_S 15
#define MESSAGES_MAX 4096 /* in one call of the library's reader */
#define SAID_MAX 128

/* Whom it tells of messages. None of it may publish, subscribe or free; it may unsubscribe. */
struct client_events {
	/* A message is settled: reason is 0, or one of MQTT 5. For QoS 0 it was written to the
	 * socket; may come before publication_send() returns, but after it has set its id. */
	void (*settled)(void *object, int id, int reason);
	void (*message)(void *object, const struct mosquitto_message *message,
		const mosquitto_property *properties);
	/* The answer to mosquitto_subscribe_v5(3). */
	void (*subscribed)(void *object, int id, int reason);
};

struct client {
	const struct mqtt_settings *settings;
	const char *name; /* of the handler */
	struct tls *tls; /* NULL: without */
	const struct client_events *events;
	void *object; /* for events */
	struct mosquitto *library;
	bool reads; /* whether the library is to go on reading */
	unsigned messages; /* in this call of the library's reader; set to 0 before it */
	unsigned unread; /* messages that came while the socket took nothing */
	/* What the library has said of the connection. */
	bool is_accepted, is_lost;
	int lost; /* its code, or reason of MQTT 5 */
	int refused; /* the reason of a CONNACK */
	int errno_then;
	char said[SAID_MAX]; /* its last error while connecting */
	/* What the broker has answered. */
	uint16_t receive_max;
	uint16_t keepalive_s; /* 0: the broker wants no pings */
	uint32_t packet_max; /* 0: any */
	uint8_t qos_max;
};

/* Creates the client with its options, from what is filled in above library; all of that lives
 * longer. Where there was one, with the list of that, it is destroyed. Returns 0, or -ENOMEM and
 * leaves what was there. */
int mqtt_client_create(struct client *client);
void mqtt_client_destroy(struct client *client); /* accepts one that was not created */

/* Begins to connect to an address, and forgets what was said of the last connection. Returns 0, or
 * a code of the library, with the reason in errno_then. */
int mqtt_client_connect(struct client *client, const char *address, uint16_t port);

/* The connection is made: nothing more is said of it. */
void mqtt_client_connected(struct client *client);
