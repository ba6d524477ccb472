#include "engines/keys.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/escape.h"
#include "engines/beside.h"
#include "engines/files.h"
#include "engines/servers.h"

#define SERVERS_MAX 32
#define SITES_MAX 256
#define NAME_MAX_BYTES 255 /* of a user, a stream, a client */

#define MS 1000000ll /* in ns */
#define MINUTE (60 * 1000 * MS)

#define TOPIC_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

#define COMMON(key, member, key_type) \
	.name = key, .type = (key_type), .offset = offsetof(struct engine_settings, member)
#define NATS(member, type) KEY(struct nats_settings, member, type)
#define MQTT(member, type) KEY(struct mqtt_settings, member, type)
#define KAFKA(member, type) KEY(struct kafka_settings, member, type)

/* ---- The rows ---- */

#define SITE_ROW                                                                                   \
	{                                                                                          \
		COMMON("site", site, KEY_STRING), .max = SITE_MAX, .required = true,               \
						  .example = "\"plant-1\"",                        \
						  .help = "The name of this site, which no other " \
							  "site has: letters, digits, "            \
							  "- and _."                               \
	}

#define SERVERS_ROW(key, server, text)                                                             \
	{                                                                                          \
		COMMON(key, servers, KEY_STRINGS), .min = 1, .max = SERVERS_MAX, .required = true, \
						   .example = "[\"" server "\"]", .help = text     \
	}

#define SITES_ROW(offset_of_sites)                                                               \
	{                                                                                        \
		.name = "sites", .type = KEY_STRINGS, .offset = (offset_of_sites), .min = 1,     \
		.max = SITES_MAX, .example = "[\"plant-2\"]",                                    \
		.help = "For inputs: the sites whose datagrams come in. Without it: all others." \
	}

#define WINDOW_ROW(most, default_value)                                                        \
	{                                                                                      \
		COMMON("window", window, KEY_NUMBER),                                          \
			.min = 1, .max = (most), .fallback = (default_value),                  \
			.help = "The most datagrams that are sent and not acknowledged; more " \
				"wait in the queue."                                           \
	}

#define TIMEOUT_ROW(shortest, longest, default_value, text)                               \
	{                                                                                 \
		COMMON("ack_timeout", ack_timeout, KEY_DURATION),                         \
			.min = (shortest), .max = (longest), .fallback = (default_value), \
			.help = text                                                      \
	}

#define METADATA_ROW(key, text)                                                   \
	{                                                                         \
		COMMON(key, metadata, KEY_BOOL), .fallback = "true", .help = text \
	}

/* How the two ends prove to each other which they are. */
#define SECURITY_ROWS                                                                            \
	{COMMON("ca", ca, KEY_STRING),                                                           \
		.help = "The file of the certificates (PEM) that a server's must be signed by. " \
			"Without it: those of the system."},                                     \
		{COMMON("certificate", certificate, KEY_STRING),                                 \
			.help = "The file of the certificate (PEM) to show to the server."},     \
		{COMMON("key", key, KEY_STRING),                                                 \
			.help = "The file of the certificate's private key (PEM), which has no " \
				"passphrase."},                                                  \
		{COMMON("username", username, KEY_STRING), .max = NAME_MAX_BYTES,                \
			.help = "The user to log in as."},                                       \
	{                                                                                        \
		COMMON("password_file", password_file, KEY_STRING),                              \
			.help = "The file of that user's password: one line."                    \
	}

static const char *const acknowledge_choices[] = {
	[ACKNOWLEDGE_STORED] = "stored", [ACKNOWLEDGE_NONE] = "none", NULL};

static const struct key nats_keys[] = {
	SERVERS_ROW("servers", "nats://nats.example:4222",
		"The servers, of one cluster: nats://HOST:PORT, or tls://HOST:PORT "
		"for TLS. The port may be left out: 4222."),
	SITE_ROW,
	{NATS(subject, KEY_STRING), .max = ENGINE_PATTERN_MAX, .fallback = "mcast.%g",
		.help = "The subject, to which the site is added as its last token; %g stands for "
			"the name of the group."},
	SITES_ROW(offsetof(struct nats_settings, sites)),
	{NATS(stream, KEY_STRING), .max = NAME_MAX_BYTES,
		.help = "The JetStream stream that stores the subject. Without it: the one that "
			"the server names."},
	{NATS(acknowledge, KEY_CHOICE), .choices = acknowledge_choices, .fallback = "stored",
		.help = "What delivered means: stored by JetStream, or none: handed to the server, "
			"which may lose it."},
	{NATS(ordered, KEY_BOOL), .fallback = "false",
		.help = "Whether the server refuses what comes out of order, so that it is sent "
			"again. Needs a stream of this site's own."},
	WINDOW_ROW(65536, "1024"),
	TIMEOUT_ROW(100 * MS, 10 * MINUTE, "5s",
		"After this time without any acknowledgement, all that is not acknowledged is sent "
		"again."),
	METADATA_ROW("metadata", "Whether messages have the header Mcastd-From: source, port, "
				 "interface, TTL and time."),
	SECURITY_ROWS,
	{NATS(credentials, KEY_STRING),
		.help = "The file of a user's JWT and NKey seed, as nsc makes it."},
	{NATS(nkey, KEY_STRING), .help = "The file of a user's NKey seed: one line."},
};

static const char *const version_choices[] = {[MQTT_5] = "5", [MQTT_311] = "3.1.1", NULL};

static const struct key mqtt_keys[] = {
	SERVERS_ROW("servers", "mqtt://mqtt.example:1883",
		"The brokers, of which one is used and the others when it is away: "
		"mqtt://HOST:PORT, or mqtts://HOST:PORT for TLS. The port may be "
		"left out: 1883, 8883."),
	SITE_ROW,
	{MQTT(topic, KEY_STRING), .max = ENGINE_PATTERN_MAX, .fallback = "mcast/%g",
		.help = "The topic, to which the site is added as its last level; %g stands for "
			"the name of the group."},
	SITES_ROW(offsetof(struct mqtt_settings, sites)),
	{MQTT(version, KEY_CHOICE), .choices = version_choices, .fallback = "5",
		.help = "The version of MQTT. Messages of 3.1.1 have no headers."},
	{MQTT(qos, KEY_NUMBER), .min = 0, .max = 1, .fallback = "1",
		.help = "The quality of service. 0: delivered means handed to the broker, which "
			"may lose it; 1: acknowledged by it."},
	{MQTT(client_id, KEY_STRING), .max = NAME_MAX_BYTES,
		.help = "The client identifier, which no other client of the broker has. Without "
			"it: mcastd-SITE-HANDLER."},
	WINDOW_ROW(65535, "256"),
	TIMEOUT_ROW(100 * MS, 10 * MINUTE, "5s",
		"After this time without any acknowledgement, the connection is made again, and "
		"all that is not acknowledged is sent again."),
	METADATA_ROW("metadata", "Whether messages have the user property Mcastd-From: source, "
				 "port, interface, TTL and time. With version 5 only."),
	SECURITY_ROWS,
};

static const char *const partition_choices[] = {[PARTITION_BY_SITE] = "site",
	[PARTITION_BY_GROUP] = "group",
	[PARTITION_BY_SOURCE] = "source",
	[PARTITION_BY_NOTHING] = "none",
	NULL};

const char *const kafka_compressions[] = {"none", "gzip", "snappy", "lz4", "zstd", NULL};

const char *const kafka_mechanisms[] = {[SASL_NONE] = "none",
	[SASL_PLAIN] = "PLAIN",
	[SASL_SCRAM_SHA_256] = "SCRAM-SHA-256",
	[SASL_SCRAM_SHA_512] = "SCRAM-SHA-512",
	NULL};

static const struct key kafka_keys[] = {
	SERVERS_ROW("brokers", "kafka.example:9092",
		"Brokers of the cluster: HOST:PORT. The others are found by them."),
	SITE_ROW,
	{KAFKA(topic, KEY_STRING), .max = ENGINE_PATTERN_MAX, .fallback = "mcast.%g",
		.help = "The topic; %g stands for the name of the group."},
	{KAFKA(partition_key, KEY_CHOICE), .choices = partition_choices, .fallback = "site",
		.help = "The key of each message, which decides about its partition: the site, the "
			"group, or the sender's address. The order holds within a partition."},
	{KAFKA(compression, KEY_CHOICE), .choices = kafka_compressions, .fallback = "none",
		.help = "How batches of messages are compressed."},
	WINDOW_ROW(1000000, "10000"),
	TIMEOUT_ROW(1000 * MS, 4 * MINUTE, "10s",
		"How long a broker may take to acknowledge; then it is asked again, at another "
		"connection."),
	{KAFKA(expire, KEY_DURATION), .min = 0, .max = 24 * 60 * MINUTE, .fallback = "0s",
		.help = "How long a datagram may wait in the queue, and then again for its "
			"acknowledgement; after that it is dropped: unconfirmed when a broker may "
			"have it, else absent. 0s: until it is acknowledged."},
	METADATA_ROW("headers", "Whether messages have the headers Mcastd-Id (site, run, number) "
				"and Mcastd-From (source, port, interface, TTL, time)."),
	{KAFKA(tls, KEY_BOOL), .fallback = "false", .help = "Whether to use TLS."},
	{KAFKA(sasl, KEY_CHOICE), .choices = kafka_mechanisms, .fallback = "none",
		.help = "The SASL mechanism to log in with, by username and password_file."},
	SECURITY_ROWS,
};

/* ---- Names ---- */

static bool consists_of(const char *string, const char *characters)
{
	return *string && !string[strspn(string, characters)];
}

static bool is_readable(const char *string)
{
	for (const char *at = string; *at; at++)
		if (iscntrl((unsigned char)*at) || isspace((unsigned char)*at))
			return false;
	return utf8_valid(string, strlen(string));
}

static int check_site(const char *site, char why[static WHY_MAX])
{
	char buffer[SHOWN_MAX];

	if (!envelope_is_site(site, strlen(site)))
		return because(why, -EINVAL,
			"\"%s\" cannot be a site: use up to %d letters, digits, - and _",
			shown(site, buffer), SITE_MAX);
	return 0;
}

static int check_sites(const struct string_list *sites, const char *own, char why[static WHY_MAX])
{
	for (size_t i = 0; i < sites->count; i++) {
		int r = check_site(sites->items[i], why);

		if (r < 0)
			return r;
		if (!strcmp(sites->items[i], own))
			return because(why, -EINVAL,
				"\"%s\" is this site, whose own datagrams never come in; remove it",
				own);
	}
	return 0;
}

/* A pattern with something legal in the place of %g. Returns 0, or -EINVAL with what is wrong. */
static int fill_in(
	const char *pattern, char ret[static ENGINE_ADDRESS_MAX], char why[static WHY_MAX])
{
	const char *percent = strchr(pattern, '%');
	char buffer[SHOWN_MAX];

	if (percent && (percent[1] != 'g' || strchr(percent + 1, '%')))
		return because(why, -EINVAL,
			"\"%s\" may have one %%g, for the name of the group, and no other %%",
			shown(pattern, buffer));
	return engine_address(ret, ENGINE_ADDRESS_MAX, pattern, "g");
}

/* ---- What all three have in common ---- */

static int check_login(const struct engine_settings *settings, bool may_lack_password,
	const char **ret_key, char why[static WHY_MAX])
{
	*ret_key = "password_file";
	if (settings->password_file && !settings->username)
		return because(why, -EINVAL, "has no effect without username, add one");
	if (settings->username && !settings->password_file && !may_lack_password)
		return because(why, -EINVAL, "is missing, it belongs to username");
	return 0;
}

/* without: what to write so that TLS is used. */
static int check_tls(const struct engine_settings *settings, bool is_tls, const char *without,
	const char **ret_key, char why[static WHY_MAX])
{
	const struct {
		const char *key, *value;
	} files[] = {{"ca", settings->ca}, {"certificate", settings->certificate},
		{"key", settings->key}};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		*ret_key = files[i].key;
		if (files[i].value && !is_tls)
			return because(
				why, -EINVAL, "has no effect without TLS, write %s", without);
	}
	*ret_key = settings->key ? "certificate" : "key";
	if (!settings->key != !settings->certificate)
		return because(why, -EINVAL, "is missing, it belongs to %s",
			settings->key ? "key" : "certificate");
	return 0;
}

/* ---- NATS ---- */

static int check_subject(const char *pattern, char why[static WHY_MAX])
{
	char subject[ENGINE_ADDRESS_MAX], buffer[SHOWN_MAX];
	size_t length;
	int r = fill_in(pattern, subject, why);

	if (r < 0)
		return r;
	length = strlen(subject);
	if (*subject == '$')
		return because(why, -EINVAL, "\"%s\" begins with $, which is the server's own",
			shown(pattern, buffer));
	if (!is_readable(subject) || strpbrk(subject, "*>") || strstr(subject, "..") ||
		*subject == '.' || subject[length - 1] == '.')
		return because(why, -EINVAL,
			"\"%s\" cannot be a subject: write tokens with dots between them, without "
			"blanks, * and >",
			shown(pattern, buffer));
	return 0;
}

static int check_stream(
	const struct nats_settings *settings, const char **ret_key, char why[static WHY_MAX])
{
	char buffer[SHOWN_MAX];

	*ret_key = "stream";
	if (settings->stream &&
		(!is_readable(settings->stream) || strpbrk(settings->stream, ".*>/\\")))
		return because(why, -EINVAL, "\"%s\" cannot be a stream: no blanks, . * > / \\",
			shown(settings->stream, buffer));
	if (settings->acknowledge == ACKNOWLEDGE_STORED)
		return 0;
	if (settings->stream)
		return because(why, -EINVAL,
			"has no effect with acknowledge = \"none\", which uses no stream");
	*ret_key = "ordered";
	if (settings->ordered)
		return because(why, -EINVAL, "needs acknowledge = \"stored\"");
	return 0;
}

static int check_nats_user(
	const struct nats_settings *settings, const char **ret_key, char why[static WHY_MAX])
{
	*ret_key = "nkey";
	if (settings->nkey && settings->credentials)
		return because(
			why, -EINVAL, "is in the file of credentials, remove one of the two");
	*ret_key = "username";
	if (settings->common.username && (settings->nkey || settings->credentials))
		return because(why, -EINVAL,
			"cannot be used together with %s, remove one of the two",
			settings->nkey ? "nkey" : "credentials");
	return check_login(&settings->common, false, ret_key, why);
}

/* What the three check alike. sites is NULL where nothing comes in. */
static int check_common(const struct engine_settings *settings, const struct string_list *sites,
	const struct engine_schemes *schemes, bool *ret_tls, const char **ret_key,
	char why[static WHY_MAX])
{
	int r = engine_check_servers(&settings->servers, schemes, ret_tls, why);

	if (r >= 0) {
		*ret_key = "site";
		r = check_site(settings->site, why);
	}
	if (r >= 0 && sites) {
		*ret_key = "sites";
		r = check_sites(sites, settings->site, why);
	}
	return r;
}

static int nats_check(const void *object, const char **ret_key, char why[static WHY_MAX])
{
	static const struct engine_schemes schemes = {"nats://", "tls://", 4222};
	const struct nats_settings *settings = object;
	bool is_tls;
	int r;

	*ret_key = "servers";
	r = check_common(&settings->common, &settings->sites, &schemes, &is_tls, ret_key, why);
	if (r >= 0) {
		*ret_key = "subject";
		r = check_subject(settings->subject, why);
	}
	r = r < 0 ? r : check_stream(settings, ret_key, why);
	r = r < 0 ? r : check_nats_user(settings, ret_key, why);
	return r < 0 ? r : check_tls(&settings->common, is_tls, "tls:// in servers", ret_key, why);
}

/* Refuses a group whose name would not be one token of what has %g in it. */
static int check_token(const char *pattern, const char *group, const char *bad, const char *what,
	char why[static WHY_MAX])
{
	const char *found = strpbrk(group, bad);

	if (!strstr(pattern, "%g") || !found)
		return 0;
	return because(why, -EINVAL,
		"would be part of its %s, where a name has no %c: rename the "
		"group, or write the "
		"%s without %%g",
		what, *found, what);
}

static int nats_check_group(const void *object, const char *group, char why[static WHY_MAX])
{
	const struct nats_settings *settings = object;

	return check_token(settings->subject, group, ".*> \t", "subject", why);
}

const struct handler_kind nats_kind = {
	.config = {.name = "nats",
		.may_block = true,
		.schema = {nats_keys, ARRAY_SIZE(nats_keys), sizeof(struct nats_settings)},
		.check = nats_check,
		.exports = true,
		.imports = true,
		.check_group = nats_check_group,
		.takes_in_same = nats_takes_in_same,
		.check_files = nats_check_files},
	.module = "nats",
};

/* ---- MQTT ---- */

static int check_topic(const char *pattern, char why[static WHY_MAX])
{
	char topic[ENGINE_ADDRESS_MAX], buffer[SHOWN_MAX];
	int r = fill_in(pattern, topic, why);

	if (r < 0)
		return r;
	if (*topic == '$')
		return because(why, -EINVAL, "\"%s\" begins with $, which is the broker's own",
			shown(pattern, buffer));
	if (!is_readable(topic) || strpbrk(topic, "+#"))
		return because(why, -EINVAL,
			"\"%s\" cannot be a topic: write levels with / between them, without "
			"blanks, + and #",
			shown(pattern, buffer));
	return 0;
}

static int mqtt_check(const void *object, const char **ret_key, char why[static WHY_MAX])
{
	static const struct engine_schemes schemes = {"mqtt://", "mqtts://", 1883};
	const struct mqtt_settings *settings = object;
	char buffer[SHOWN_MAX];
	bool is_tls;
	int r;

	*ret_key = "servers";
	r = check_common(&settings->common, &settings->sites, &schemes, &is_tls, ret_key, why);
	if (r >= 0) {
		*ret_key = "topic";
		r = check_topic(settings->topic, why);
	}
	if (r >= 0 && settings->client_id && !is_readable(settings->client_id)) {
		*ret_key = "client_id";
		r = because(why, -EINVAL, "\"%s\" cannot be a client identifier: no blanks",
			shown(settings->client_id, buffer));
	}
	r = r < 0 ? r : check_login(&settings->common, true, ret_key, why);
	return r < 0 ? r
		     : check_tls(&settings->common, is_tls, "mqtts:// in servers", ret_key, why);
}

static int mqtt_check_group(const void *object, const char *group, char why[static WHY_MAX])
{
	const struct mqtt_settings *settings = object;

	return check_token(settings->topic, group, "/+#", "topic", why);
}

const struct handler_kind mqtt_kind = {
	.config = {.name = "mqtt",
		.may_block = true,
		.schema = {mqtt_keys, ARRAY_SIZE(mqtt_keys), sizeof(struct mqtt_settings)},
		.check = mqtt_check,
		.exports = true,
		.imports = true,
		.check_group = mqtt_check_group,
		.is_same_client = mqtt_is_same_client,
		.takes_in_same = mqtt_takes_in_same,
		.check_files = engine_check_files},
	.module = "mqtt",
};

/* ---- Kafka ---- */

static int check_kafka_topic(const char *pattern, char why[static WHY_MAX])
{
	char topic[ENGINE_ADDRESS_MAX], buffer[SHOWN_MAX];
	int r = fill_in(pattern, topic, why);

	if (r < 0)
		return r;
	if (!consists_of(topic, TOPIC_CHARACTERS) || !strcmp(topic, ".") || !strcmp(topic, ".."))
		return because(why, -EINVAL, "\"%s\" cannot be a topic: use letters, digits, . _ -",
			shown(pattern, buffer));
	return 0;
}

static int check_sasl(
	const struct kafka_settings *settings, const char **ret_key, char why[static WHY_MAX])
{
	*ret_key = "username";
	if (settings->sasl == SASL_NONE && settings->common.username)
		return because(why, -EINVAL,
			"has no effect without sasl, add one: sasl = \"SCRAM-SHA-512\";");
	if (settings->sasl != SASL_NONE && !settings->common.username)
		return because(why, -EINVAL, "is missing, sasl needs it");
	return check_login(&settings->common, false, ret_key, why);
}

static int kafka_check(const void *object, const char **ret_key, char why[static WHY_MAX])
{
	static const struct engine_schemes schemes = {NULL, NULL, 0};
	const struct kafka_settings *settings = object;
	bool is_tls;
	int r;

	*ret_key = "brokers";
	r = check_common(&settings->common, NULL, &schemes, &is_tls, ret_key, why);
	if (r >= 0) {
		*ret_key = "topic";
		r = check_kafka_topic(settings->topic, why);
	}
	r = r < 0 ? r : check_sasl(settings, ret_key, why);
	return r < 0 ? r : check_tls(&settings->common, settings->tls, "tls = true;", ret_key, why);
}

static int kafka_check_group(const void *object, const char *group, char why[static WHY_MAX])
{
	const struct kafka_settings *settings = object;

	return check_token(settings->topic, group, ":%+[]*?", "topic", why);
}

const struct handler_kind kafka_kind = {
	.config = {.name = "kafka",
		.may_block = true,
		.schema = {kafka_keys, ARRAY_SIZE(kafka_keys), sizeof(struct kafka_settings)},
		.check = kafka_check,
		.exports = true,
		.check_group = kafka_check_group,
		.check_files = engine_check_files},
	.module = "kafka",
};
