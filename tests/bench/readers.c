/* Programs that read what a receiver writes to its stream socket, as subscribers of the control socket do.
 *
 *     readers PATH CONNECTIONS [CALL]
 *
 * Makes so many connections, writes CALL to each if there is one, and then reads them all. Messages end with NUL. Says READY
 * when all are made. Ends with SIGTERM and prints {"messages": ..., "bytes": ...}. */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define READ_SIZE (256 * 1024)

static unsigned long long messages, bytes;

static void open_connection(int epoll, const char *path, const char *call)
{
	int fd = connect_unix(path, SOCK_STREAM);
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	if (call && send(fd, call, strlen(call) + 1, 0) < 0)
		err(1, "send");
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		err(1, "epoll_ctl");
}

static void read_some(int epoll, int fd)
{
	static char data[READ_SIZE];
	ssize_t size = recv(fd, data, sizeof(data), MSG_DONTWAIT);

	if (size == 0)
		epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
	if (size <= 0)
		return;
	bytes += (unsigned long long)size;
	for (const char *at = data; (at = memchr(at, '\0', (size_t)(data + size - at))); at++)
		messages++;
}

int main(int argc, char *argv[])
{
	struct epoll_event events[BURST_MAX];
	int epoll = epoll_create1(0);
	unsigned count;

	if (argc < 3 || argc > 4)
		errx(2, "usage: readers PATH CONNECTIONS [CALL]");
	stop_on_signals();
	count = (unsigned)number(argv[2]);
	for (unsigned i = 0; i < count; i++)
		open_connection(epoll, argv[1], argv[3]);
	puts("READY");
	fflush(stdout);
	while (!stopped) {
		int ready = epoll_wait(epoll, events, BURST_MAX, -1);

		for (int i = 0; i < ready; i++)
			read_some(epoll, events[i].data.fd);
	}
	printf("{\"messages\": %llu, \"bytes\": %llu}\n", messages, bytes);
	return 0;
}
