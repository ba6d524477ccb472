/* What the configuration says to the handlers that speak to a broker. The tables are part of the
 * daemon, so that the manual, --check and the completions know them whether or not the module with
 * the functions is installed. */
#pragma once

#include "config/schema.h"
#include "handlers/handler.h"

/* Of all three. Files are paths, or relative to $CREDENTIALS_DIRECTORY. */
struct engine_settings {
	struct string_list servers;
	char *site;
	int64_t window; /* datagrams */
	uint64_t ack_timeout; /* ns */
	bool metadata; /* whether Mcastd-From is sent */
	char *ca, *certificate, *key;
	char *username, *password_file;
};

struct nats_settings {
	struct engine_settings common; /* first */
	char *subject; /* with %g */
	struct string_list sites; /* empty: all others */
	char *stream; /* NULL: the one that has the subject */
	int acknowledge; /* enum acknowledge */
	bool ordered;
	char *credentials, *nkey;
};

enum acknowledge { ACKNOWLEDGE_STORED, ACKNOWLEDGE_NONE };

struct mqtt_settings {
	struct engine_settings common; /* first */
	char *topic; /* with %g */
	struct string_list sites;
	int version; /* enum mqtt_version */
	int64_t qos;
	char *client_id; /* NULL: mcastd-SITE-HANDLER */
};

enum mqtt_version { MQTT_5, MQTT_311 };

enum partition_key {
	PARTITION_BY_SITE,
	PARTITION_BY_GROUP,
	PARTITION_BY_SOURCE,
	PARTITION_BY_NOTHING
};

struct kafka_settings {
	struct engine_settings common; /* first; servers are the brokers */
	char *topic; /* with %g */
	int partition_key; /* enum partition_key; "key" is that of TLS */
	int compression;
	int sasl;
};

/* Puts a group's name into a subject or topic. Returns 0, or -ENAMETOOLONG. */
int engine_address(char *ret, size_t size, const char *pattern, const char *group);

/* Reads a secret (a line) from a file, relative to $CREDENTIALS_DIRECTORY where the path is.
 * Returns 0 and a text to be freed, after explicit_bzero(3); or a negative errno with the reason in
 * why, which names the file and never its content. */
int engine_read_secret(const char *file, char why[static WHY_MAX], char **ret);

/* The path of a file that a library reads itself. Returns 0 and a text to be freed, or a negative
 * errno with the reason in why when the daemon cannot read it. */
int engine_find_file(const char *file, char why[static WHY_MAX], char **ret);
