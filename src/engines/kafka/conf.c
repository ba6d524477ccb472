#include "engines/kafka/conf.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"
#include "engines/keys.h"

/* A broker refuses a batch as a whole when it is larger than the topic's max.message.bytes (1 MiB
 * by default): far below that, and large enough for more than a thousand small messages. */
#define BATCH_BYTES "131072"

/* How long messages wait for others of their partition. */
#define LINGER_MS "5"

/* A topic that was just created may not be known to all brokers yet. */
#define NEW_TOPIC_MS "5000"

/* For the answer of a broker that has waited for its replicas. */
#define ANSWER_MS 1000

/* Where the library refuses a value, it says why: most of all what it was built without. */
static int set(rd_kafka_conf_t *conf, const char *name, const char *value, char why[static WHY_MAX])
{
	char reason[WHY_MAX];

	if (rd_kafka_conf_set(conf, name, value, reason, sizeof(reason)) == RD_KAFKA_CONF_OK)
		return 0;
	return because(why, -EINVAL, "librdkafka %s: %.200s", rd_kafka_version_str(), reason);
}

static int set_number(
	rd_kafka_conf_t *conf, const char *name, uint64_t value, char why[static WHY_MAX])
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return set(conf, name, text, why);
}

/* What no key changes. */
static int set_constants(rd_kafka_conf_t *conf, char why[static WHY_MAX])
{
	static const char *const constants[][2] = {
		{"enable.idempotence", "true"},
		{"acks", "all"},
		{"linger.ms", LINGER_MS},
		{"batch.size", BATCH_BYTES},
		{"topic.metadata.propagation.max.ms", NEW_TOPIC_MS},
		/* The same partitions as the Java client chooses. */
		{"partitioner", "murmur2_random"},
		{"reconnect.backoff.max.ms", "1000"},
		{"socket.keepalive.enable", "true"},
		{"socket.nagle.disable", "true"},
		{"log.connection.close", "false"},
		{"log.queue", "true"},
		{"ssl.endpoint.identification.algorithm", "https"},
		{"enable.ssl.certificate.verification", "true"},
	};
	int r = 0;

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(constants); i++)
		r = set(conf, constants[i][0], constants[i][1], why);
	return r;
}

static int set_brokers(
	rd_kafka_conf_t *conf, const struct string_list *brokers, char why[static WHY_MAX])
{
	AUTO_TEXT struct text text = {0};

	for (size_t i = 0; i < brokers->count; i++)
		text_printf(&text, "%s%s", i ? "," : "", brokers->items[i]);
	return set(conf, "bootstrap.servers", text_string(&text), why);
}

static int set_limits(
	rd_kafka_conf_t *conf, const struct kafka_settings *settings, char why[static WHY_MAX])
{
	uint64_t ack_timeout_ms = settings->common.ack_timeout / NS_PER_MS;
	int r = set_number(conf, "queue.buffering.max.messages",
		(uint64_t)settings->common.window + 2 * BATCH_MAX, why);

	if (r >= 0)
		r = set_number(conf, "queue.buffering.max.kbytes",
			(HELD_MAX + 2 * BATCH_MAX * DATAGRAM_MAX) / 1024, why);
	/* The broker's own time for its replicas, and then the time for its answer. */
	if (r >= 0)
		r = set_number(conf, "request.timeout.ms", ack_timeout_ms, why);
	if (r >= 0)
		r = set_number(conf, "socket.timeout.ms", ack_timeout_ms + ANSWER_MS, why);
	/* 0: it never expires. */
	if (r >= 0)
		r = set_number(conf, "message.timeout.ms", settings->expire / NS_PER_MS, why);
	return r < 0 ? r
		     : set(conf, "compression.type", kafka_compressions[settings->compression],
			       why);
}

static int set_file(
	rd_kafka_conf_t *conf, const char *name, const char *file, char why[static WHY_MAX])
{
	AUTO_FREE char *path = NULL;
	int r = file ? engine_find_file(file, why, &path) : 0;

	return r < 0 || !file ? r : set(conf, name, path, why);
}

static int set_login(
	rd_kafka_conf_t *conf, const struct kafka_settings *settings, char why[static WHY_MAX])
{
	AUTO_FREE char *password = NULL;
	int r;

	if (settings->sasl == SASL_NONE)
		return 0;
	r = engine_read_secret(settings->common.password_file, why, &password);
	if (r >= 0)
		r = set(conf, "sasl.mechanisms", kafka_mechanisms[settings->sasl], why);
	if (r >= 0)
		r = set(conf, "sasl.username", settings->common.username, why);
	if (r >= 0)
		r = set(conf, "sasl.password", password, why);
	if (password)
		explicit_bzero(password, strlen(password));
	return r;
}

static int set_security(
	rd_kafka_conf_t *conf, const struct kafka_settings *settings, char why[static WHY_MAX])
{
	static const char *const protocols[2][2] = {
		{"plaintext", "ssl"}, {"sasl_plaintext", "sasl_ssl"}};
	bool has_login = settings->sasl != SASL_NONE;
	int r = set(conf, "security.protocol", protocols[has_login][settings->tls], why);

	if (r >= 0)
		r = set_file(conf, "ssl.ca.location", settings->common.ca, why);
	if (r >= 0)
		r = set_file(conf, "ssl.certificate.location", settings->common.certificate, why);
	if (r >= 0)
		r = set_file(conf, "ssl.key.location", settings->common.key, why);
	return r < 0 ? r : set_login(conf, settings, why);
}

int conf_new(const struct kafka_settings *settings, const char *name, char why[static WHY_MAX],
	rd_kafka_conf_t **ret)
{
	CLEANUP(rd_kafka_conf_destroyp) rd_kafka_conf_t *conf = rd_kafka_conf_new();
	AUTO_TEXT struct text client = {0};
	int r = set_constants(conf, why);

	text_printf(&client, "mcastd-%s-%s", settings->common.site, name);
	if (r >= 0)
		r = set(conf, "client.id", text_string(&client), why);
	if (r >= 0)
		r = set_brokers(conf, &settings->common.servers, why);
	if (r >= 0)
		r = set_limits(conf, settings, why);
	if (r >= 0)
		r = set_security(conf, settings, why);
	if (r < 0)
		return r;
	rd_kafka_conf_set_events(
		conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG);
	*ret = take(conf);
	return 0;
}

uint64_t conf_files(const struct kafka_settings *settings)
{
	const struct engine_settings *common = &settings->common;
	const char *const files[] = {
		common->ca, common->certificate, common->key, common->password_file};
	uint64_t hash = HASH_BEGIN;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		hash = files[i] ? engine_hash_file(files[i], hash) : hash;
	return hash;
}

rd_kafka_t *conf_make_producer(rd_kafka_conf_t *conf, char why[static WHY_MAX])
{
	rd_kafka_t *producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, WHY_MAX);

	if (!producer)
		rd_kafka_conf_destroy(conf);
	return producer;
}

/* Of libcrypto, which librdkafka brings. */
extern void OPENSSL_thread_stop(void) __attribute__((weak));

void conf_end_producer(rd_kafka_t *producer)
{
	rd_kafka_destroy(producer);
	if (OPENSSL_thread_stop)
		OPENSSL_thread_stop();
}

/* Whether the library can use certificates and keys is known only when it makes a producer; this
 * one has no brokers. */
bool conf_doubt(const struct kafka_settings *settings, char why[static WHY_MAX])
{
	CLEANUP(rd_kafka_conf_destroyp) rd_kafka_conf_t *conf = NULL;
	rd_kafka_t *producer;
	char reason[WHY_MAX];

	if (settings->sasl == SASL_PLAIN && !settings->tls) {
		because(why, 0, "sends its password in the clear: write tls = true;, or use SCRAM");
		return true;
	}
	if (!settings->tls || conf_new(settings, "check", why, &conf) < 0)
		return false;
	/* It must not connect. */
	rd_kafka_conf_set(conf, "bootstrap.servers", "", NULL, 0);
	producer = conf_make_producer(take(conf), reason);
	if (producer)
		conf_end_producer(producer);
	else
		because(why, 0, "%s", reason);
	return !producer;
}
