/* librdkafka's mock of a Kafka cluster, in a process of its own, for clients in others.
 *
 *     kafka_mock BROKERS
 *
 * Prints the brokers' addresses, which are of 127.0.0.1, and then does what the lines of its
 * standard input say, with a line "ok" for each:
 *
 *     topic NAME PARTITIONS       creates it
 *     down [ID] | up [ID]         this broker, or all: down closes all connections and refuses new
 * ones leader NAME PARTITION ID    the broker that leads the partition from now on rtt MS the delay
 * of each answer errors API CODE COUNT       the next COUNT requests with this number (Produce is
 * 0) are answered with this error topic-error NAME CODE       what brokers say of the topic from
 * now on; 0: nothing is wrong
 *
 * It ends at the end of its input. The mock keeps at most 100,000 messages, or 5 MB, of a
 * partition: whoever wants all of more must read along. */
#include <err.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 256

struct cluster {
	rd_kafka_mock_cluster_t *mock;
	int brokers;
};

static void set_errors(struct cluster *cluster, int api, int code, unsigned count)
{
	while (count--)
		rd_kafka_mock_push_request_errors(
			cluster->mock, (int16_t)api, 1, (rd_kafka_resp_err_t)code);
}

static void obey(struct cluster *cluster, const char *line)
{
	char name[NAME_BYTES];
	unsigned count;
	int a, b;

	if (sscanf(line, "topic %255s %d", name, &a) == 2)
		rd_kafka_mock_topic_create(cluster->mock, name, a, cluster->brokers);
	else if (sscanf(line, "topic-error %255s %d", name, &a) == 2)
		rd_kafka_mock_topic_set_error(cluster->mock, name, (rd_kafka_resp_err_t)a);
	else if (sscanf(line, "errors %d %d %u", &a, &b, &count) == 3)
		set_errors(cluster, a, b, count);
	else if (sscanf(line, "rtt %d", &a) == 1)
		for (int id = 1; id <= cluster->brokers; id++)
			rd_kafka_mock_broker_set_rtt(cluster->mock, id, a);
	else if (sscanf(line, "leader %255s %d %d", name, &a, &b) == 3)
		rd_kafka_mock_partition_set_leader(cluster->mock, name, a, b);
	else if (sscanf(line, "down %d", &a) == 1)
		rd_kafka_mock_broker_set_down(cluster->mock, a);
	else if (sscanf(line, "up %d", &a) == 1)
		rd_kafka_mock_broker_set_up(cluster->mock, a);
	else if (strcmp(line, "down\n") == 0)
		for (int id = 1; id <= cluster->brokers; id++)
			rd_kafka_mock_broker_set_down(cluster->mock, id);
	else if (strcmp(line, "up\n") == 0)
		for (int id = 1; id <= cluster->brokers; id++)
			rd_kafka_mock_broker_set_up(cluster->mock, id);
	else
		errx(2, "no command: %s", line);
}

int main(int argc, char **argv)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	struct cluster cluster = {.brokers = argc == 2 ? atoi(argv[1]) : 0};
	char why[512], line[2 * NAME_BYTES];
	rd_kafka_t *handle;

	if (cluster.brokers < 1)
		errx(2, "usage: kafka_mock BROKERS");
	signal(SIGPIPE, SIG_IGN);
	rd_kafka_conf_set(conf, "log_level", "3", NULL, 0);
	handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	if (!handle)
		errx(1, "%s", why);
	cluster.mock = rd_kafka_mock_cluster_new(handle, cluster.brokers);
	if (!cluster.mock)
		errx(1, "no cluster");
	setlinebuf(stdout);
	printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster.mock));
	while (fgets(line, sizeof(line), stdin)) {
		obey(&cluster, line);
		printf("ok\n");
	}
	rd_kafka_mock_cluster_destroy(cluster.mock);
	rd_kafka_destroy(handle);
	return 0;
}
