/* A program that sends to a group through its socket file, as fast as it may.
 *
 *     writer PATH SIZE (MILLISECONDS | COUNT datagrams)
 *
 * Prints {"sent": ..., "seconds": ...}. */
#include <err.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "bench.h"

static struct mmsghdr messages[BURST_MAX];

static void prepare(size_t size)
{
	static char payload[PAYLOAD_MAX];
	static struct iovec vector;

	if (size > sizeof(payload))
		errx(2, "%zu bytes are no datagram", size);
	memset(payload, 'x', sizeof(payload));
	vector = (struct iovec){payload, size};
	for (unsigned i = 0; i < BURST_MAX; i++)
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &vector, .msg_iovlen = 1};
}

int main(int argc, char *argv[])
{
	uint64_t start, duration_ns = UINT64_MAX, count = UINT64_MAX, sent = 0;
	int fd, is_count = argc == 5 && !strcmp(argv[4], "datagrams");

	if (argc != 4 && !is_count)
		errx(2, "usage: writer PATH SIZE (MILLISECONDS | COUNT datagrams)");
	if (is_count)
		count = number(argv[3]);
	else
		duration_ns = number(argv[3]) * 1000000;
	prepare(number(argv[2]));
	fd = connect_unix(argv[1], SOCK_SEQPACKET);
	stop_on_signals();
	start = now_ns(CLOCK_MONOTONIC);
	while (!stopped && sent < count && now_ns(CLOCK_MONOTONIC) - start < duration_ns) {
		uint64_t left = count - sent;
		int n = sendmmsg(fd, messages, left < BURST_MAX ? (unsigned)left : BURST_MAX, 0);

		if (n < 0 && !stopped)
			err(1, "sendmmsg");
		sent += n > 0 ? (uint64_t)n : 0;
	}
	printf("{\"sent\": %llu, \"seconds\": %.6f}\n", (unsigned long long)sent,
		(double)(now_ns(CLOCK_MONOTONIC) - start) / 1e9);
	return 0;
}
