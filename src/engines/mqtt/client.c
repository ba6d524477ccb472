#include "engines/mqtt/client.h"

#include <errno.h>
#include <mqtt_protocol.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define SESSION_S 86400 /* how long the broker keeps what comes for us while we are away */
#define PACKET_MAX (256 * 1024) /* larger than any datagram: the broker need not send it */

/* ---- What the library calls ---- */

static void on_connect(struct mosquitto *library, void *object, int reason, int flags,
	const mosquitto_property *properties)
{
	struct client *client = object;

	(void)library, (void)flags;
	client->refused = reason;
	client->is_accepted = !reason;
	client->receive_max = UINT16_MAX;
	client->packet_max = 0;
	client->qos_max = 2;
	client->keepalive_s = KEEPALIVE_S;
	mosquitto_property_read_int16(
		properties, MQTT_PROP_RECEIVE_MAXIMUM, &client->receive_max, false);
	mosquitto_property_read_int32(
		properties, MQTT_PROP_MAXIMUM_PACKET_SIZE, &client->packet_max, false);
	mosquitto_property_read_byte(properties, MQTT_PROP_MAXIMUM_QOS, &client->qos_max, false);
	mosquitto_property_read_int16(
		properties, MQTT_PROP_SERVER_KEEP_ALIVE, &client->keepalive_s, false);
}

static void on_disconnect(
	struct mosquitto *library, void *object, int code, const mosquitto_property *properties)
{
	struct client *client = object;

	(void)library, (void)properties;
	client->is_lost = true;
	client->lost = code;
	client->errno_then = errno;
}

static void on_publish(struct mosquitto *library, void *object, int id, int reason,
	const mosquitto_property *properties)
{
	struct client *client = object;

	(void)library, (void)properties;
	client->events->settled(client->object, id, reason);
}

static void on_message(struct mosquitto *library, void *object,
	const struct mosquitto_message *message, const mosquitto_property *properties)
{
	struct client *client = object;

	client->unread = mosquitto_want_write(library) ? client->unread + 1 : 0;
	client->events->message(client->object, message, properties);
	/* The library reads on while it likes to, with TLS as long as something comes, unless it
	 * finds this. */
	errno = client->reads && ++client->messages < MESSAGES_MAX ? 0 : EAGAIN;
}

static void on_subscribe(struct mosquitto *library, void *object, int id, int count,
	const int *reasons, const mosquitto_property *properties)
{
	struct client *client = object;

	(void)library, (void)properties;
	client->events->subscribed(client->object, id, count ? reasons[0] : 0x80);
}

/* Set while connecting only: each line costs an allocation. OpenSSL's come as
 * "error:0A000086:SSL routines::certificate verify failed". */
static void on_log(struct mosquitto *library, void *object, int level, const char *line)
{
	struct client *client = object;
	const char *colon = strrchr(line, ':');

	(void)library;
	if (level == MOSQ_LOG_ERR)
		snprintf(client->said, sizeof(client->said), "%s",
			strstr(line, "OpenSSL") && colon ? colon + 1 : line);
}

/* ---- Beginning and end ---- */

static int set_options(struct client *client)
{
	const struct mqtt_settings *settings = client->settings;
	bool is_5 = settings->version == MQTT_5;
	int window = (int)settings->common.window, code;
	mosquitto_property *properties = NULL;

	code = mosquitto_int_option(client->library, MOSQ_OPT_PROTOCOL_VERSION,
		is_5 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311);
	code |= mosquitto_int_option(client->library, MOSQ_OPT_SEND_MAXIMUM, window);
	code |= mosquitto_int_option(client->library, MOSQ_OPT_RECEIVE_MAXIMUM, window);
	code |= mosquitto_int_option(client->library, MOSQ_OPT_TCP_NODELAY, 1);
	if (client->tls) {
		code |= mosquitto_void_option(
			client->library, MOSQ_OPT_SSL_CTX, tls_context(client->tls));
		code |= mosquitto_int_option(client->library, MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0);
	}
	if (is_5) {
		code |= mosquitto_property_add_int32(
			&properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL, SESSION_S);
		code |= mosquitto_property_add_int32(
			&properties, MQTT_PROP_MAXIMUM_PACKET_SIZE, PACKET_MAX);
		/* Only the call that blocks takes properties, and it stores them: this one fails at
		 * once, for want of a path of a UNIX socket. */
		mosquitto_connect_bind_v5(client->library, "", 0, KEEPALIVE_S, NULL, properties);
		mosquitto_property_free_all(&properties);
	}
	mosquitto_connect_v5_callback_set(client->library, on_connect);
	mosquitto_disconnect_v5_callback_set(client->library, on_disconnect);
	mosquitto_publish_v5_callback_set(client->library, on_publish);
	mosquitto_message_v5_callback_set(client->library, on_message);
	mosquitto_subscribe_v5_callback_set(client->library, on_subscribe);
	return code ? -ENOMEM : 0;
}

int mqtt_client_create(struct client *client)
{
	const struct mqtt_settings *settings = client->settings;
	struct mosquitto *before = client->library;
	AUTO_FREE char *id = NULL;
	int r;

	if (settings->client_id)
		id = strdup(settings->client_id);
	else if (asprintf(&id, "mcastd-%s-%s", settings->common.site, client->name) < 0)
		id = NULL;
	if (!id)
		return -ENOMEM;
	client->library = mosquitto_new(id, false, client);
	r = client->library ? set_options(client) : -ENOMEM;
	if (r < 0) {
		mosquitto_destroy(client->library);
		client->library = before;
		return r;
	}
	mosquitto_destroy(before);
	return r;
}

void mqtt_client_destroy(struct client *client)
{
	mosquitto_destroy(client->library);
	client->library = NULL;
}

/* ---- Connecting ---- */

int mqtt_client_connect(struct client *client, const char *address, uint16_t port)
{
	int code;

	client->is_accepted = client->is_lost = false;
	client->refused = 0;
	client->unread = 0;
	*client->said = '\0';
	mosquitto_log_callback_set(client->library, on_log);
	errno = 0;
	code = mosquitto_connect_bind_async(client->library, address, port, KEEPALIVE_S, NULL);
	if (code)
		client->errno_then = errno;
	return code;
}

void mqtt_client_connected(struct client *client)
{
	mosquitto_log_callback_set(client->library, NULL);
}
