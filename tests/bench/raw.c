/* What a program of one's own would do, without a daemon: the receivers that mcastd is measured
 * against. raw MODE GROUP PORT INTERFACE [...], with these modes and what follows:
 *
 * count                epoll, recvmmsg(64), count: the limit
 * unread               the same, but the payloads stay unread
 * many COUNT           as unread, from COUNT groups from GROUP on, with a socket each
 * single               epoll, one recvmsg(2) a wake-up: what most programs do
 * write PATH           as count, and a write(2) of all payloads, a line each, into a file
 * forward ADDRESS PORT as count, and a send(2) for each datagram
 * spread ADDRESS PORT PREFIX N
 *                      the same to a group, by each of the interfaces PREFIX0 to PREFIX(N-1)
 * sends PATH CONNECTIONS SIZE
 *                      as count, and for each datagram a message of SIZE bytes to each of the
 *                      connections, made to PATH first; SIZE 0: the payload itself, as a packet
 *
 * Ends with SIGTERM and prints {"received": ..., "unsent": ...}. */
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define SLOT_SIZE 65536

struct receiver {
	int epoll, fd; /* fd: what is read now */
	int flags; /* of recvmmsg(2) */
	unsigned (*receive)(struct receiver *receiver);
	void (*deliver)(struct receiver *receiver, unsigned count);
	int *outputs;
	unsigned output_count;
	char *message; /* NULL: the payload itself */
	size_t message_size;
	unsigned long long received, unsent;
};

static struct mmsghdr messages[BURST_MAX];
static struct iovec vectors[BURST_MAX];
static uint8_t slots[BURST_MAX][SLOT_SIZE];

static void prepare(int unread)
{
	for (unsigned i = 0; i < BURST_MAX; i++) {
		vectors[i] = (struct iovec){slots[i], SLOT_SIZE};
		messages[i].msg_hdr.msg_iov = &vectors[i];
		messages[i].msg_hdr.msg_iovlen = !unread;
	}
}

static unsigned receive_batch(struct receiver *receiver)
{
	int count = recvmmsg(receiver->fd, messages, BURST_MAX, receiver->flags, NULL);

	return count < 0 ? 0 : (unsigned)count;
}

/* A socket for many groups, as most programs have, has to be told which one a datagram was for. */
static void tell_groups_apart(int fd)
{
	int on = 1;

	if (setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) < 0)
		err(1, "IP_PKTINFO");
}

/* With the sender's address, and the control message that tells the group. */
static unsigned receive_single(struct receiver *receiver)
{
	static char control[256];
	static struct sockaddr_storage name;
	struct msghdr header = {.msg_name = &name,
		.msg_namelen = sizeof(name),
		.msg_iov = vectors,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};

	return recvmsg(receiver->fd, &header, MSG_DONTWAIT) >= 0;
}

static void deliver_nowhere(struct receiver *receiver, unsigned count)
{
	(void)receiver, (void)count;
}

/* With one call: the lines of a batch one after the other. */
static void deliver_to_file(struct receiver *receiver, unsigned count)
{
	static char lines[BURST_MAX * (PAYLOAD_MAX + 1)];
	size_t size = 0;

	for (unsigned i = 0; i < count; i++) {
		memcpy(lines + size, slots[i], messages[i].msg_len);
		size += messages[i].msg_len;
		lines[size++] = '\n';
	}
	if (write(receiver->outputs[0], lines, size) != (ssize_t)size)
		err(1, "write");
}

static void deliver_each(struct receiver *receiver, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		for (unsigned j = 0; j < receiver->output_count; j++) {
			const void *data = receiver->message ? receiver->message : (char *)slots[i];
			size_t size = receiver->message ? receiver->message_size
							: messages[i].msg_len;

			if (send(receiver->outputs[j], data, size, MSG_DONTWAIT | MSG_NOSIGNAL) !=
				(ssize_t)size)
				receiver->unsent++;
		}
}

static void watch(struct receiver *receiver, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	if (receiver->epoll < 0 || epoll_ctl(receiver->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		err(1, "epoll");
}

/* One more socket for each of the groups that follow the first one. */
static void watch_more(struct receiver *receiver, char *arguments[], unsigned count)
{
	struct in_addr group;
	char text[INET_ADDRSTRLEN];

	if (inet_pton(AF_INET, arguments[0], &group) != 1)
		errx(2, "%s is not an IPv4 address", arguments[0]);
	for (unsigned i = 1; i < count; i++) {
		group.s_addr = htonl(ntohl(group.s_addr) + 1);
		inet_ntop(AF_INET, &group, text, sizeof(text));
		watch(receiver, open_receiver(text, (uint16_t)number(arguments[1]), arguments[2]));
	}
}

static void run(struct receiver *receiver)
{
	struct epoll_event events[64];

	while (!stopped) {
		int ready = epoll_wait(receiver->epoll, events, 64, -1);

		for (int i = 0; i < ready; i++) {
			unsigned count;

			receiver->fd = events[i].data.fd;
			count = receiver->receive(receiver);
			receiver->received += count;
			receiver->deliver(receiver, count);
		}
	}
	printf("{\"received\": %llu, \"unsent\": %llu}\n", receiver->received, receiver->unsent);
}

static void write_to(struct receiver *receiver, const char *path)
{
	receiver->deliver = deliver_to_file;
	receiver->outputs = calloc(1, sizeof(*receiver->outputs));
	if (!receiver->outputs)
		err(1, "calloc");
	receiver->outputs[0] = open(path, O_CREAT | O_WRONLY | O_APPEND, 0600);
	if (receiver->outputs[0] < 0)
		err(1, "%s", path);
}

static void forward_to(struct receiver *receiver, const char *address, uint16_t port)
{
	receiver->deliver = deliver_each;
	receiver->output_count = 1;
	receiver->outputs = calloc(1, sizeof(*receiver->outputs));
	if (!receiver->outputs)
		err(1, "calloc");
	receiver->outputs[0] = connect_udp(address, port);
}

static void spread_to(struct receiver *receiver, char *arguments[])
{
	unsigned count = (unsigned)number(arguments[3]);
	char interface[IF_NAMESIZE];
	int off = 0;

	receiver->deliver = deliver_each;
	receiver->output_count = count;
	receiver->outputs = calloc(count, sizeof(*receiver->outputs));
	if (!receiver->outputs)
		err(1, "calloc");
	for (unsigned i = 0; i < count; i++) {
		struct sockaddr_in to = {
			.sin_family = AF_INET, .sin_port = htons((uint16_t)number(arguments[1]))};
		struct ip_mreqn by = {0};
		int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		snprintf(interface, sizeof(interface), "%s%u", arguments[2], i);
		by.imr_ifindex = (int)if_nametoindex(interface);
		inet_pton(AF_INET, arguments[0], &to.sin_addr);
		if (setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &by, sizeof(by)) < 0 ||
			setsockopt(fd, IPPROTO_IP, IP_MULTICAST_LOOP, &off, sizeof(off)) < 0 ||
			connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
			err(1, "%s", interface);
		receiver->outputs[i] = fd;
	}
}

static void accept_outputs(struct receiver *receiver, const char *path, unsigned count, size_t size)
{
	int listener = listen_unix(path, size ? SOCK_STREAM : SOCK_SEQPACKET), buffer = 1 << 20;

	receiver->deliver = deliver_each;
	receiver->output_count = count;
	receiver->outputs = calloc(count, sizeof(*receiver->outputs));
	receiver->message_size = size;
	receiver->message = size ? malloc(size) : NULL;
	if (!receiver->outputs || (size && !receiver->message))
		err(1, "malloc");
	if (size) {
		memset(receiver->message, 'x', size);
		receiver->message[size - 1] = '\0';
	}
	for (unsigned i = 0; i < count; i++) {
		receiver->outputs[i] = accept(listener, NULL, NULL);
		if (receiver->outputs[i] < 0)
			err(1, "accept");
		setsockopt(receiver->outputs[i], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	}
}

static void choose(struct receiver *receiver, int argc, char *argv[])
{
	const char *mode = argv[1];

	if (argc == 5 && !strcmp(mode, "unread")) {
		receiver->flags |= MSG_TRUNC;
	} else if (argc == 6 && !strcmp(mode, "many")) {
		receiver->flags |= MSG_TRUNC;
		watch_more(receiver, argv + 2, (unsigned)number(argv[5]));
	} else if (argc == 5 && !strcmp(mode, "single")) {
		receiver->receive = receive_single;
		tell_groups_apart(receiver->fd);
	} else if (argc == 6 && !strcmp(mode, "write")) {
		write_to(receiver, argv[5]);
	} else if (argc == 7 && !strcmp(mode, "forward")) {
		forward_to(receiver, argv[5], (uint16_t)number(argv[6]));
	} else if (argc == 9 && !strcmp(mode, "spread")) {
		spread_to(receiver, argv + 5);
	} else if (argc == 8 && !strcmp(mode, "sends")) {
		accept_outputs(receiver, argv[5], (unsigned)number(argv[6]), number(argv[7]));
	} else if (argc != 5 || strcmp(mode, "count") != 0) {
		errx(2, "raw %s: see the top of raw.c for how it is called", mode);
	}
}

int main(int argc, char *argv[])
{
	struct receiver receiver = {
		.receive = receive_batch, .deliver = deliver_nowhere, .flags = MSG_DONTWAIT};

	if (argc < 5)
		errx(2, "usage: raw MODE GROUP PORT INTERFACE [...]");
	stop_on_signals();
	receiver.epoll = epoll_create1(0);
	receiver.fd = open_receiver(argv[2], (uint16_t)number(argv[3]), argv[4]);
	watch(&receiver, receiver.fd);
	choose(&receiver, argc, argv);
	prepare(receiver.flags & MSG_TRUNC);
	run(&receiver);
	return 0;
}
