/* Programs that read what a receiver writes to UNIX sockets.
 *
 *     readers stream PATH CONNECTIONS [CALL]     writes CALL to each, if there is one; messages end
 * with NUL: subscribers readers seqpacket PATH CONNECTIONS         a packet is a message: readers
 * of a group's socket readers dgram PATH 1                       the same, at a socket of its own
 *
 * Says READY when all are open. Answers each line of its input with {"messages": ..., "bytes":
 * ...}, and ends with the input. What tells subscribers how many they have missed, a gap, does not
 * count as a message. */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define READ_SIZE (256 * 1024)
#define PACKET_SIZE 2048

static const char gap[] = "{\"parameters\":{\"gap\"";

struct reader {
	int fd, type;
	char head[sizeof(gap) - 1]; /* how the message began, of which some has come */
	size_t length; /* of what has come of it */
};

static unsigned long long messages, bytes;

static void watch(int epoll, int fd, struct reader *reader)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = reader};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		err(1, "epoll_ctl");
}

static void open_reader(struct reader *reader, int type, const char *path, const char *call)
{
	reader->type = type;
	reader->fd = type == SOCK_DGRAM ? listen_unix(path, type) : connect_unix(path, type);
	if (call && send(reader->fd, call, strlen(call) + 1, 0) < 0)
		err(1, "send");
}

/* A piece of a message, which may come in many. */
static void take_piece(struct reader *reader, const char *data, size_t size)
{
	size_t room = reader->length < sizeof(reader->head) ? sizeof(reader->head) - reader->length
							    : 0;

	memcpy(reader->head + sizeof(reader->head) - room, data, size < room ? size : room);
	reader->length += size;
}

static void end_message(struct reader *reader)
{
	messages += reader->length < sizeof(reader->head) ||
		    memcmp(reader->head, gap, sizeof(reader->head)) != 0;
	reader->length = 0;
}

/* Returns whether there was something. */
static int read_stream(struct reader *reader)
{
	static char data[READ_SIZE];
	ssize_t size = recv(reader->fd, data, sizeof(data), MSG_DONTWAIT);
	const char *at = data, *end;

	if (size <= 0)
		return 0;
	bytes += (unsigned long long)size;
	for (; (end = memchr(at, '\0', (size_t)(data + size - at))); at = end + 1) {
		take_piece(reader, at, (size_t)(end - at));
		end_message(reader);
	}
	take_piece(reader, at, (size_t)(data + size - at));
	return 1;
}

static int read_packets(struct reader *reader)
{
	static char slots[BURST_MAX][PACKET_SIZE];
	static struct iovec vectors[BURST_MAX];
	static struct mmsghdr headers[BURST_MAX];
	int count;

	for (unsigned i = 0; i < BURST_MAX; i++) {
		vectors[i] = (struct iovec){slots[i], PACKET_SIZE};
		headers[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
	}
	count = recvmmsg(reader->fd, headers, BURST_MAX, MSG_DONTWAIT, NULL);
	for (int i = 0; i < count; i++) {
		messages += headers[i].msg_len > 0;
		bytes += headers[i].msg_len;
	}
	return count > 0 && headers[0].msg_len > 0;
}

static void read_some(int epoll, struct reader *reader, uint32_t events)
{
	int some = reader->type == SOCK_STREAM ? read_stream(reader) : read_packets(reader);

	if (!some && events & EPOLLHUP)
		epoll_ctl(epoll, EPOLL_CTL_DEL, reader->fd, NULL);
}

static void answer(void)
{
	char line[64];

	if (read(STDIN_FILENO, line, sizeof(line)) <= 0)
		exit(0);
	printf("{\"messages\": %llu, \"bytes\": %llu}\n", messages, bytes);
	fflush(stdout);
}

static int find_type(const char *name)
{
	if (!strcmp(name, "stream"))
		return SOCK_STREAM;
	if (!strcmp(name, "seqpacket"))
		return SOCK_SEQPACKET;
	if (strcmp(name, "dgram"))
		errx(2, "there is no type %s", name);
	return SOCK_DGRAM;
}

int main(int argc, char *argv[])
{
	struct epoll_event events[BURST_MAX];
	int epoll = epoll_create1(0);
	struct reader *readers;
	unsigned count;

	if (argc < 4 || argc > 5)
		errx(2, "usage: readers stream|seqpacket|dgram PATH CONNECTIONS [CALL]");
	count = (unsigned)number(argv[3]);
	readers = calloc(count, sizeof(*readers));
	if (!readers)
		err(1, "calloc");
	for (unsigned i = 0; i < count; i++) {
		open_reader(&readers[i], find_type(argv[1]), argv[2], argv[4]);
		watch(epoll, readers[i].fd, &readers[i]);
	}
	watch(epoll, STDIN_FILENO, NULL);
	puts("READY");
	fflush(stdout);
	for (;;) {
		int ready = epoll_wait(epoll, events, BURST_MAX, -1);

		for (int i = 0; i < ready; i++)
			if (events[i].data.ptr)
				read_some(epoll, events[i].data.ptr, events[i].events);
			else
				answer();
	}
}
