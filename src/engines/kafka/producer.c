#include "engines/kafka/producer.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "engines/certificates.h"
#include "engines/kafka/conf.h"

/* Between the end of a producer and the next. */
#define PAUSE_MIN_NS (500 * NS_PER_MS)
#define PAUSE_MAX_NS (30 * NS_PER_S)

#define PURGE_AGAIN_NS NS_PER_S

static void plan_start(struct producer *producer)
{
	uint64_t pause = 2 * producer->pause_ns;

	pause = pause < PAUSE_MIN_NS ? PAUSE_MIN_NS : pause > PAUSE_MAX_NS ? PAUSE_MAX_NS : pause;
	producer->pause_ns = pause;
	producer->start_ns = clock_ns(CLOCK_MONOTONIC) + pause;
}

void producer_init(
	struct producer *producer, const struct kafka_settings *settings, const char *name)
{
	*producer = (struct producer){.wake = -1, .settings = settings, .name = name};
	pthread_mutex_init(&producer->lock, NULL);
}

static const char *explain(
	int error, int depth, const char *certificate, size_t size, char ret[static WHY_MAX])
{
	const unsigned char *at = (const unsigned char *)certificate;
	X509 *parsed;

	if (error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH) {
		because(ret, 0,
			"is not for this name (see brokers, and advertised.listeners of the "
			"brokers)");
		return ret;
	}
	parsed = d2i_X509(NULL, &at, (long)size);
	certificates_explain(error, parsed, depth, ret);
	X509_free(parsed);
	return ret;
}

/* The place of a broker's refusal: the one that there is, or the oldest. The lock is held. */
static struct refused_certificate *place_of(struct producer *producer, const char *broker)
{
	for (unsigned i = 0; i < PRODUCER_REFUSED; i++)
		if (!strcmp(producer->refused[i].broker, broker))
			return &producer->refused[i];
	return &producer->refused[producer->next_refused++ % PRODUCER_REFUSED];
}

/* In a thread of the library. OpenSSL's own error says only that the certificate is not accepted.
 */
static int see_certificate(rd_kafka_t *library, const char *broker, int32_t id, int *error,
	int depth, const char *certificate, size_t size, char *why, size_t why_size, void *object)
{
	struct producer *producer = object;
	struct refused_certificate *refused;
	char reason[WHY_MAX];

	(void)library, (void)id;
	if (*error == X509_V_OK)
		return 1;
	explain(*error, depth, certificate, size, reason);
	snprintf(why, why_size, "%s", reason);
	pthread_mutex_lock(&producer->lock);
	refused = place_of(producer, broker);
	snprintf(refused->broker, sizeof(refused->broker), "%s", broker);
	strcpy(refused->why, reason);
	pthread_mutex_unlock(&producer->lock);
	return 0;
}

bool producer_certificate_error(
	struct producer *producer, const char *reason, char ret[static WHY_MAX])
{
	bool is_known = false;

	pthread_mutex_lock(&producer->lock);
	for (unsigned i = 0; i < PRODUCER_REFUSED && !is_known; i++) {
		const struct refused_certificate *refused = &producer->refused[i];

		is_known = *refused->broker && strstr(reason, refused->broker);
		if (is_known)
			strcpy(ret, refused->why);
	}
	pthread_mutex_unlock(&producer->lock);
	return is_known;
}

/* What a producer gets beside its settings. */
static rd_kafka_t *make(struct producer *producer, rd_kafka_conf_t *conf, char why[static WHY_MAX])
{
	rd_kafka_conf_set_opaque(conf, producer);
	rd_kafka_conf_set_ssl_cert_verify_cb(conf, see_certificate);
	return conf_make_producer(conf, why);
}

int producer_start(struct producer *producer, char why[static WHY_MAX])
{
	static const uint64_t one = 1;
	rd_kafka_conf_t *conf;

	producer->start_ns = 0;
	producer->files = conf_files(producer->settings);
	if (conf_new(producer->settings, producer->name, why, &conf) >= 0)
		producer->library = make(producer, conf, why);
	if (!producer->library) {
		plan_start(producer);
		return -EIO;
	}
	rd_kafka_set_log_queue(producer->library, NULL);
	producer->events = rd_kafka_queue_get_main(producer->library);
	rd_kafka_queue_io_event_enable(producer->events, producer->wake, &one, sizeof(one));
	eventfd_write(producer->wake, 1); /* something may be in it already */
	return 0;
}

bool producer_is_outdated(const struct producer *producer)
{
	return conf_files(producer->settings) != producer->files;
}

bool producer_is_due(const struct producer *producer, uint64_t now_ns)
{
	return producer->start_ns && now_ns >= producer->start_ns;
}

bool producer_works(const struct producer *producer)
{
	return producer->library && !producer->is_failed;
}

void producer_fail(struct producer *producer, uint64_t until_ns)
{
	producer->is_failed = true;
	producer->purge_ns = until_ns;
	rd_kafka_purge(producer->library, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_NON_BLOCKING);
}

void producer_purge(struct producer *producer)
{
	rd_kafka_purge(producer->library,
		RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
}

bool producer_has_reported(struct producer *producer, uint64_t now_ns)
{
	if (!producer->pending)
		return true;
	if (now_ns >= producer->purge_ns) {
		producer->purge_ns = now_ns + PURGE_AGAIN_NS;
		producer_purge(producer);
	}
	return false;
}

void producer_replace(struct producer *producer)
{
	producer_close(producer);
	producer->is_failed = false;
	plan_start(producer);
}

void producer_acknowledged(struct producer *producer)
{
	producer->pause_ns = 0;
}

uint64_t producer_deadline(const struct producer *producer)
{
	return producer->is_failed ? earlier_ns(producer->start_ns, producer->purge_ns)
				   : producer->start_ns;
}

void producer_close(struct producer *producer)
{
	if (!producer->library)
		return;
	rd_kafka_queue_io_event_enable(producer->events, -1, NULL, 0);
	rd_kafka_queue_destroy(producer->events);
	conf_end_producer(producer->library);
	producer->library = NULL;
	producer->events = NULL;
}
