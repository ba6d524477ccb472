/* What comes in from other sites: subscriptions to the topics of the groups that take it, which the
 * session has at the broker; it keeps what comes for them while we are away.
 *
 * The library acknowledges a message before we see it, so a message that finds no room in the
 * intake is held here, and nothing more is read until there is room. */
#pragma once

#include <mosquitto.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "data/intake.h"
#include "engines/keys.h"
#include "engines/mqtt/connection.h"

struct mqtt_in;

/* For a handler of this name. intake is NULL where nothing comes in: then what an earlier session
 * has subscribed to is ended. All that is given must outlive the object, but for the connection
 * when it is freed. Returns NULL without memory. */
struct mqtt_in *mqtt_in_new(const struct mqtt_settings *settings, const char *name,
	struct connection *connection, struct intake *intake);
void mqtt_in_free(struct mqtt_in *in); /* accepts NULL */

/* These groups take what comes in. */
void mqtt_in_subscribe(struct mqtt_in *in, const struct string_list *groups);

/* See struct connection_events. */
void mqtt_in_up(struct mqtt_in *in);
void mqtt_in_down(struct mqtt_in *in);
void mqtt_in_message(struct mqtt_in *in, const struct mosquitto_message *message,
	const mosquitto_property *properties);

/* Returns whether mqtt_in_error() has changed. */
bool mqtt_in_subscribed(struct mqtt_in *in, int id, int reason);

/* Puts what is held into the intake, as far as there is room. */
void mqtt_in_push(struct mqtt_in *in);

/* Subscribes where that is due. */
void mqtt_in_subscribe_due(struct mqtt_in *in);
uint64_t mqtt_in_deadline(const struct mqtt_in *in);

/* What the broker does not let us subscribe to, or NULL. */
const char *mqtt_in_error(const struct mqtt_in *in);

/* Once nothing more is read. What is held is acknowledged: it must reach the network, or be
 * counted. */
void mqtt_in_finish(struct mqtt_in *in, uint64_t until_ns);
