/* What the keys of handlers that speak to a broker fill in. */
#pragma once

#include "config/config.h"

#define ENGINE_PATTERN_MAX 128 /* bytes of a subject or topic, with its %g */

/* Room for a pattern with a group's name in it, and the zero. */
#define ENGINE_ADDRESS_MAX (ENGINE_PATTERN_MAX + GROUP_NAME_MAX + 1)

/* Of all three. Files are paths, or relative to $CREDENTIALS_DIRECTORY. The addresses of servers
 * are checked: all of them have the scheme of TLS, or none has. */
struct engine_settings {
	struct string_list servers;
	char *site;
	int64_t window; /* datagrams */
	uint64_t ack_timeout; /* ns */
	bool metadata; /* whether Mcastd-From is sent; for Kafka: whether there are headers */
	char *ca, *certificate, *key; /* certificate and key: both or none */
	char *username, *password_file;
};

enum acknowledge { ACKNOWLEDGE_STORED, ACKNOWLEDGE_NONE };

/* nats://HOST:PORT or tls://HOST:PORT */
struct nats_settings {
	struct engine_settings common; /* first */
	char *subject; /* with %g */
	struct string_list sites; /* empty: all others */
	char *stream; /* NULL: the one that has the subject */
	int acknowledge; /* enum acknowledge */
	bool ordered;
	char *credentials, *nkey;
};

enum mqtt_version { MQTT_5, MQTT_311 };

/* mqtt://HOST:PORT or mqtts://HOST:PORT */
struct mqtt_settings {
	struct engine_settings common; /* first; a username may be without a password */
	char *topic; /* with %g */
	struct string_list sites;
	int version; /* enum mqtt_version */
	int64_t qos;
	char *client_id; /* NULL: mcastd-SITE-HANDLER */
};

enum partition_key {
	PARTITION_BY_SITE,
	PARTITION_BY_GROUP,
	PARTITION_BY_SOURCE,
	PARTITION_BY_NOTHING
};

enum kafka_sasl { SASL_NONE, SASL_PLAIN, SASL_SCRAM_SHA_256, SASL_SCRAM_SHA_512 };

/* HOST:PORT */
struct kafka_settings {
	struct engine_settings common; /* first; servers are the brokers */
	char *topic; /* with %g */
	int partition_key; /* enum partition_key; "key" is that of TLS */
	uint64_t expire; /* ns; 0: never */
	int compression; /* an index of kafka_compressions */
	int sasl; /* enum kafka_sasl, an index of kafka_mechanisms */
	bool tls;
};

/* Puts a group's name into a subject or topic. Returns 0, or -ENAMETOOLONG. */
int engine_address(char *ret, size_t size, const char *pattern, const char *group);
