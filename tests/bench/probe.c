/* Where datagrams of load.c end that went through a receiver: how long they took.
 *
 *     probe PORT
 *
 * The time of arrival is the kernel's, so that it does not matter when this program gets to run.
 * The latency is from the time in the payload to that. Ends with SIGTERM and prints {"received":
 * ..., "p50": ..., "p99": ..., "max": ...} in microseconds. */
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bench.h"

#define SAMPLES_MAX 4000000

static uint64_t samples[SAMPLES_MAX];

static int compare(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return *a < *b ? -1 : *a > *b;
}

static uint64_t arrival_ns(struct msghdr *header)
{
	for (struct cmsghdr *item = CMSG_FIRSTHDR(header); item; item = CMSG_NXTHDR(header, item)) {
		struct timespec time;

		if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&time, CMSG_DATA(item), sizeof(time));
		return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
	}
	errx(1, "a datagram without a timestamp");
}

/* Returns the latency of the next datagram, or 0 when there is none to be told. */
static uint64_t receive(int fd)
{
	static char control[256], payload[65536];
	struct iovec vector = {payload, sizeof(payload)};
	struct msghdr header = {.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	ssize_t size = recvmsg(fd, &header, 0);
	struct stamp stamp;

	if (size < 0 && errno != EINTR)
		err(1, "recvmsg");
	if (size < (ssize_t)sizeof(stamp))
		return 0;
	memcpy(&stamp, payload, sizeof(stamp));
	return arrival_ns(&header) - stamp.sent_ns;
}

int main(int argc, char *argv[])
{
	unsigned count = 0;
	int fd, on = 1;

	if (argc != 2)
		errx(2, "usage: probe PORT");
	fd = open_receiver(NULL, (uint16_t)number(argv[1]), NULL);
	if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) < 0)
		err(1, "SO_TIMESTAMPNS");
	stop_on_signals();
	while (!stopped && count < SAMPLES_MAX) {
		uint64_t latency = receive(fd);

		if (latency)
			samples[count++] = latency;
	}
	if (!count)
		errx(1, "nothing came");
	qsort(samples, count, sizeof(samples[0]), compare);
	printf("{\"received\": %u, \"p50\": %.3f, \"p99\": %.3f, \"max\": %.3f}\n", count,
		(double)samples[count / 2] / 1e3, (double)samples[(uint64_t)count * 99 / 100] / 1e3,
		(double)samples[count - 1] / 1e3);
	return 0;
}
