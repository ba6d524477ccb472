#include "engines/mqtt/publication.h"

#include <errno.h>
#include <mqtt_protocol.h>
#include <stdbool.h>
#include <string.h>

#include "formats/envelope.h"

/* Whether the broker accepts it, with what MQTT adds to it. */
static bool is_too_large(const struct publication *publication, uint32_t packet_max)
{
	size_t size = publication->size + strlen(publication->topic) + 64 +
		      (publication->id ? strlen(publication->id) + strlen(ENVELOPE_ID) : 0) +
		      (publication->from ? strlen(publication->from) + strlen(ENVELOPE_FROM) : 0);

	return packet_max && size > packet_max;
}

static int add_property(mosquitto_property **properties, const char *name, const char *value)
{
	if (!value)
		return 0;
	return mosquitto_property_add_string_pair(properties, MQTT_PROP_USER_PROPERTY, name, value);
}

int publication_send(const struct publication *publication, struct mosquitto *client, int qos,
	uint32_t packet_max, int *ret_id)
{
	mosquitto_property *properties = NULL;
	int code;

	if (is_too_large(publication, packet_max))
		return -EMSGSIZE;
	code = add_property(&properties, ENVELOPE_ID, publication->id);
	if (!code)
		code = add_property(&properties, ENVELOPE_FROM, publication->from);
	if (!code)
		code = mosquitto_publish_v5(client, ret_id, publication->topic,
			(int)publication->size, publication->payload, qos, false, properties);
	mosquitto_property_free_all(&properties);
	switch (code) {
	case MOSQ_ERR_SUCCESS:
		return 0;
	case MOSQ_ERR_NOMEM:
		return -ENOMEM;
	case MOSQ_ERR_NO_CONN:
	case MOSQ_ERR_CONN_LOST:
	case MOSQ_ERR_ERRNO:
		return -EIO;
	default:
		return -EMSGSIZE;
	}
}
