/* What a program of one's own would do with libmosquitto: publishes messages with QoS 1 and the two
 * user properties that mcastd sends, and a window of its own.
 *
 *     mqtt ADDRESS PORT TOPIC COUNT SIZE WINDOW
 *
 * Prints {"rate": acknowledged a second, "ns": of processor time each} at the end. */
#include <err.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned long acknowledged;
static int connected;

static void on_connect(struct mosquitto *client, void *object, int reason)
{
	(void)client, (void)object;
	if (reason)
		errx(1, "refused: %s", mosquitto_connack_string(reason));
	pthread_mutex_lock(&mutex);
	connected = 1;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&mutex);
}

static void on_publish(struct mosquitto *client, void *object, int id)
{
	(void)client, (void)object, (void)id;
	pthread_mutex_lock(&mutex);
	acknowledged++;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&mutex);
}

static void wait_for(unsigned long count)
{
	pthread_mutex_lock(&mutex);
	while (acknowledged < count || !connected)
		pthread_cond_wait(&changed, &mutex);
	pthread_mutex_unlock(&mutex);
}

static double now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void publish(struct mosquitto *client, const char *topic, unsigned long number,
	const char *payload, int size)
{
	mosquitto_property *properties = NULL;
	char id[64];
	int r;

	snprintf(id, sizeof(id), "bare/1/%lu", number);
	mosquitto_property_add_string_pair(&properties, MQTT_PROP_USER_PROPERTY, "Mcastd-Id", id);
	mosquitto_property_add_string_pair(&properties, MQTT_PROP_USER_PROPERTY, "Mcastd-From",
		"192.0.2.1 40000 eth0 8 1700000000.000000000");
	r = mosquitto_publish_v5(client, NULL, topic, size, payload, 1, false, properties);
	if (r)
		errx(1, "publishing: %s", mosquitto_strerror(r));
	mosquitto_property_free_all(&properties);
}

int main(int argc, char *argv[])
{
	unsigned long count, window;
	struct mosquitto *client;
	double began, cpu;
	char *payload;
	int size, r;

	if (argc != 7)
		errx(2, "usage: mqtt ADDRESS PORT TOPIC COUNT SIZE WINDOW");
	count = strtoul(argv[4], NULL, 10), size = atoi(argv[5]),
	window = strtoul(argv[6], NULL, 10);
	payload = calloc(1, (size_t)size + 1);
	mosquitto_lib_init();
	client = mosquitto_new("bare", true, NULL);
	mosquitto_int_option(client, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
	mosquitto_int_option(client, MOSQ_OPT_TCP_NODELAY, 1);
	mosquitto_int_option(client, MOSQ_OPT_SEND_MAXIMUM, (int)window);
	mosquitto_connect_callback_set(client, on_connect);
	mosquitto_publish_callback_set(client, on_publish);
	r = mosquitto_connect(client, argv[1], atoi(argv[2]), 60);
	if (r || mosquitto_loop_start(client))
		errx(1, "%s: %s", argv[1], mosquitto_strerror(r));
	wait_for(0);
	began = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
	for (unsigned long number = 0; number < count; number++) {
		if (number >= window)
			wait_for(number - window + 1);
		publish(client, argv[3], number, payload, size);
	}
	wait_for(count);
	printf("{\"rate\": %.0f, \"ns\": %.0f}\n", (double)count / (now(CLOCK_MONOTONIC) - began),
		(now(CLOCK_PROCESS_CPUTIME_ID) - cpu) * 1e9 / (double)count);
	return 0;
}
