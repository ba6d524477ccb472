/* A program that sends to a group through the control socket, and does not wait for each answer.
 *
 *     pipeline PATH GROUP SIZE MILLISECONDS
 *
 * Prints {"replies": ..., "errors": ..., "seconds": ...}. */
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define CALLS 64 /* in one write */
#define IN_FLIGHT_MAX 2048

struct pipeline {
	int fd;
	char *calls; /* CALLS of them */
	size_t size, written; /* of them */
	unsigned long long sent, replies, errors;
};

static void prepare(struct pipeline *pipeline, const char *group, size_t payload_size)
{
	char *payload = malloc(payload_size + 1), *call;

	if (!payload)
		err(1, "malloc");
	memset(payload, 'x', payload_size);
	payload[payload_size] = '\0';
	if (asprintf(&call,
		    "{\"method\":\"io.mcastd.Send\",\"parameters\":{\"group\":\"%s\",\"text\":\"%"
		    "s\"}}",
		    group, payload) < 0)
		err(1, "asprintf");
	pipeline->size = CALLS * (strlen(call) + 1);
	pipeline->calls = malloc(pipeline->size);
	if (!pipeline->calls)
		err(1, "malloc");
	for (size_t i = 0; i < CALLS; i++)
		memcpy(pipeline->calls + i * (strlen(call) + 1), call, strlen(call) + 1);
	free(call);
	free(payload);
}

static void write_some(struct pipeline *pipeline)
{
	ssize_t size = send(pipeline->fd, pipeline->calls + pipeline->written,
		pipeline->size - pipeline->written, MSG_DONTWAIT);

	if (size < 0 && errno != EAGAIN)
		err(1, "send");
	if (size > 0)
		pipeline->written += (size_t)size;
	if (pipeline->written < pipeline->size)
		return;
	pipeline->written = 0;
	pipeline->sent += CALLS;
}

/* An error is looked for as a whole word: the payload has none. */
static void read_some(struct pipeline *pipeline)
{
	static char data[65536 + 1];
	ssize_t size = recv(pipeline->fd, data, sizeof(data) - 1, MSG_DONTWAIT);

	if (size == 0)
		errx(1, "the daemon closed the connection");
	if (size < 0)
		return;
	for (const char *at = data; (at = memchr(at, '\0', (size_t)(data + size - at))); at++)
		pipeline->replies++;
	if (memmem(data, (size_t)size, "\"error\"", 7))
		pipeline->errors++;
}

static void run(struct pipeline *pipeline, uint64_t duration_ns)
{
	uint64_t start = now_ns(CLOCK_MONOTONIC), now = start;

	while (!stopped && (now - start < duration_ns || pipeline->written ||
				   pipeline->replies < pipeline->sent)) {
		int more = pipeline->written ||
			   (now - start < duration_ns &&
				   pipeline->sent - pipeline->replies < IN_FLIGHT_MAX);
		struct pollfd poll_fd = {
			.fd = pipeline->fd, .events = POLLIN | (more ? POLLOUT : 0)};

		if (poll(&poll_fd, 1, 1000) <= 0)
			break;
		if (poll_fd.revents & POLLOUT)
			write_some(pipeline);
		if (poll_fd.revents & (POLLIN | POLLHUP))
			read_some(pipeline);
		now = now_ns(CLOCK_MONOTONIC);
	}
	printf("{\"replies\": %llu, \"errors\": %llu, \"seconds\": %.6f}\n", pipeline->replies,
		pipeline->errors, (double)(now - start) / 1e9);
}

int main(int argc, char *argv[])
{
	struct pipeline pipeline = {0};

	if (argc != 5)
		errx(2, "usage: pipeline PATH GROUP SIZE MILLISECONDS");
	prepare(&pipeline, argv[2], number(argv[3]));
	pipeline.fd = connect_unix(argv[1], SOCK_STREAM);
	stop_on_signals();
	run(&pipeline, number(argv[4]) * 1000000);
	return 0;
}
