/* Receives a group and reports by the numbers in the payloads of blast.c what was lost, came twice
 * or out of order, and by the times in them how long it took.
 *
 *     sink [-t TAG] INTERFACE ADDRESS PORT
 *
 * Joins, and prints a line of JSON when it is ready, for each line on standard input, and at its
 * end. Payloads that do not start with TAG are counted as "other". Out of order is a number that is
 * below one that came before it, and no duplicate. The time of arrival is the kernel's, so that it
 * does not matter when this program gets to run. */
#include <arpa/inet.h>
#include <err.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BURST 64
#define SLOT_SIZE 65536
#define NUMBERS_MAX (1UL << 26)
#define BUFFER (64 << 20) /* bytes of receive buffer */

struct report {
	unsigned long received, unique, duplicates, disordered, furthest, other, highest;
	uint8_t *seen; /* how often, by number */
	uint64_t *latencies; /* ns, of the first of each number */
	unsigned long latency_count;
};

static uint8_t slots[BURST][SLOT_SIZE];

static uint64_t in_ns(const struct timespec *time)
{
	return (uint64_t)time->tv_sec * 1000000000 + (uint64_t)time->tv_nsec;
}

static uint64_t arrival(struct msghdr *header)
{
	struct timespec time = {0};

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS)
			memcpy(&time, CMSG_DATA(c), sizeof(time));
	return in_ns(&time);
}

static void add(struct report *report, const char *tag, const char *payload, uint64_t arrived)
{
	size_t length = strlen(tag);
	unsigned long number;
	char *end;
	uint64_t sent;

	if (strncmp(payload, tag, length) || payload[length] != ' ') {
		report->other++;
		return;
	}
	number = strtoul(payload + length + 1, &end, 10);
	if (*end != ' ' || number >= NUMBERS_MAX) {
		report->other++;
		return;
	}
	report->received++;
	if (report->seen[number]) {
		report->duplicates++;
		return;
	}
	report->seen[number] = 1;
	if (report->unique++ && number < report->highest) {
		report->disordered++;
		if (report->highest - number > report->furthest)
			report->furthest = report->highest - number;
	} else {
		report->highest = number;
	}
	sent = strtoull(end + 1, NULL, 10);
	if (sent && arrived > sent)
		report->latencies[report->latency_count++] = arrived - sent;
}

/* Reads all there is. */
static void receive(int fd, const char *tag, struct report *report)
{
	struct mmsghdr messages[BURST];
	struct iovec vectors[BURST];
	char control[BURST][64];
	int count;

	do {
		for (unsigned i = 0; i < BURST; i++) {
			vectors[i] = (struct iovec){slots[i], SLOT_SIZE - 1};
			messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i],
				.msg_iovlen = 1,
				.msg_control = control[i],
				.msg_controllen = sizeof(control[i])};
		}
		count = recvmmsg(fd, messages, BURST, MSG_DONTWAIT, NULL);
		for (int i = 0; i < count; i++) {
			slots[i][messages[i].msg_len] = '\0';
			add(report, tag, (char *)slots[i], arrival(&messages[i].msg_hdr));
		}
	} while (count == BURST);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double quantile(const struct report *report, double part)
{
	unsigned long last = report->latency_count - 1;

	return report->latency_count
		       ? (double)report->latencies[(unsigned long)((double)last * part)] / 1e3
		       : 0;
}

static void print(struct report *report, int fd)
{
	uint32_t memory[SK_MEMINFO_VARS] = {0};
	socklen_t length = sizeof(memory);

	getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &length);
	qsort(report->latencies, report->latency_count, sizeof(*report->latencies), compare);
	printf("{\"received\": %lu, \"unique\": %lu, \"duplicates\": %lu, \"disordered\": %lu, "
	       "\"furthest\": %lu, \"highest\": %lu, \"other\": %lu, \"kernelDropped\": %u, "
	       "\"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f}\n",
		report->received, report->unique, report->duplicates, report->disordered,
		report->furthest, report->highest, report->other, memory[SK_MEMINFO_DROPS],
		quantile(report, 0.5), quantile(report, 0.99), quantile(report, 1));
	fflush(stdout);
}

static int open_socket(const char *interface, const char *address, const char *port)
{
	struct sockaddr_in group = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
	struct ip_mreqn request = {.imr_ifindex = (int)if_nametoindex(interface)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0), on = 1, buffer = BUFFER;

	if (fd < 0 || !request.imr_ifindex || inet_pton(AF_INET, address, &group.sin_addr) != 1)
		errx(2, "cannot receive %s on %s", address, interface);
	request.imr_multiaddr = group.sin_addr;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	if (bind(fd, (struct sockaddr *)&group, sizeof(group)) < 0 ||
		setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof(request)) < 0)
		err(1, "joining %s", address);
	return fd;
}

int main(int argc, char *argv[])
{
	struct report report = {.seen = calloc(NUMBERS_MAX, 1),
		.latencies = calloc(NUMBERS_MAX, sizeof(*report.latencies))};
	struct pollfd polled[2] = {{.events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
	const char *tag = "x";
	char line[64];
	int option;

	while ((option = getopt(argc, argv, "t:")) != -1) {
		if (option != 't')
			return 2;
		tag = optarg;
	}
	if (argc - optind != 3 || !report.seen || !report.latencies)
		errx(2, "usage: sink [-t TAG] INTERFACE ADDRESS PORT");
	polled[0].fd = open_socket(argv[optind], argv[optind + 1], argv[optind + 2]);
	print(&report, polled[0].fd);
	while (poll(polled, 2, -1) >= 0) {
		ssize_t length = 1;

		if (polled[1].revents)
			length = read(STDIN_FILENO, line, sizeof(line));
		receive(polled[0].fd, tag, &report);
		if (length <= 0)
			break;
		if (polled[1].revents)
			print(&report, polled[0].fd);
	}
	print(&report, polled[0].fd);
	return 0;
}
