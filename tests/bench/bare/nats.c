/* What a program of one's own would do with libnats: publishes messages that JetStream
 * acknowledges, with the two headers that mcastd sends, and a window of its own.
 *
 *     nats URL SUBJECT COUNT SIZE WINDOW
 *
 * Prints {"rate": acknowledged a second, "ns": of processor time each} at the end. */
#include <err.h>
#include <nats/nats.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned long acknowledged;

static void acknowledge(
	natsConnection *connection, natsSubscription *subscription, natsMsg *message, void *closure)
{
	(void)connection, (void)subscription, (void)closure;
	if (!strstr(natsMsg_GetData(message), "\"seq\""))
		errx(1, "refused: %s", natsMsg_GetData(message));
	natsMsg_Destroy(message);
	pthread_mutex_lock(&mutex);
	acknowledged++;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&mutex);
}

static void check(natsStatus status, const char *what)
{
	if (status != NATS_OK)
		errx(1, "%s: %s", what, natsStatus_GetText(status));
}

static void wait_for(unsigned long count)
{
	pthread_mutex_lock(&mutex);
	while (acknowledged < count)
		pthread_cond_wait(&changed, &mutex);
	pthread_mutex_unlock(&mutex);
}

static double now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void publish(natsConnection *connection, const char *subject, const char *inbox,
	unsigned long number, const char *payload, int size)
{
	char id[64], reply[128];
	natsMsg *message;

	snprintf(id, sizeof(id), "bare/%d/%lu", (int)getpid(), number);
	snprintf(reply, sizeof(reply), "%s.%lu", inbox, number);
	check(natsMsg_Create(&message, subject, reply, payload, size), "a message");
	check(natsMsgHeader_Set(message, "Nats-Msg-Id", id), "a header");
	check(natsMsgHeader_Set(
		      message, "Mcastd-From", "192.0.2.1 40000 eth0 8 1700000000.000000000"),
		"a header");
	check(natsConnection_PublishMsg(connection, message), "publishing");
	natsMsg_Destroy(message);
}

int main(int argc, char *argv[])
{
	natsSubscription *subscription;
	natsConnection *connection;
	unsigned long count, window;
	double began, cpu;
	natsInbox *inbox;
	char all[128], *payload;
	int size;

	if (argc != 6)
		errx(2, "usage: nats URL SUBJECT COUNT SIZE WINDOW");
	count = strtoul(argv[3], NULL, 10), size = atoi(argv[4]),
	window = strtoul(argv[5], NULL, 10);
	payload = calloc(1, (size_t)size + 1);
	check(natsConnection_ConnectTo(&connection, argv[1]), argv[1]);
	check(natsInbox_Create(&inbox), "an inbox");
	snprintf(all, sizeof(all), "%s.*", inbox);
	check(natsConnection_Subscribe(&subscription, connection, all, acknowledge, NULL),
		"the inbox");
	began = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
	for (unsigned long number = 0; number < count; number++) {
		if (number >= window)
			wait_for(number - window + 1);
		publish(connection, argv[2], inbox, number, payload, size);
	}
	wait_for(count);
	printf("{\"rate\": %.0f, \"ns\": %.0f}\n", (double)count / (now(CLOCK_MONOTONIC) - began),
		(now(CLOCK_PROCESS_CPUTIME_ID) - cpu) * 1e9 / (double)count);
	return 0;
}
