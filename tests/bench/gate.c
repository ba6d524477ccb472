/* What the daemon's doors are measured against: a program that sends to a group what another one
 * writes to a UNIX socket, and does nothing else.
 *
 *     gate PATH GROUP PORT INTERFACE
 *
 * Listens at PATH (SOCK_SEQPACKET), reads with recvmmsg(64) from the one program that connects, and
 * sends with sendmmsg(64). Ends with SIGTERM and prints {"sent": ..., "unsent": ...}. */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define SLOT_SIZE 65536

static struct mmsghdr messages[BURST_MAX];
static struct iovec vectors[BURST_MAX];
static uint8_t slots[BURST_MAX][SLOT_SIZE];

static void prepare(void)
{
	for (unsigned i = 0; i < BURST_MAX; i++) {
		vectors[i].iov_base = slots[i];
		messages[i].msg_hdr.msg_iov = &vectors[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
}

static int open_sender(const char *group, uint16_t port, const char *interface)
{
	struct ip_mreqn by = {.imr_ifindex = (int)if_nametoindex(interface)};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), off = 0;

	if (inet_pton(AF_INET, group, &to.sin_addr) != 1)
		errx(2, "%s is not an IPv4 address", group);
	if (setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &by, sizeof(by)) < 0 ||
		setsockopt(fd, IPPROTO_IP, IP_MULTICAST_LOOP, &off, sizeof(off)) < 0 ||
		connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		err(1, "%s", interface);
	return fd;
}

/* Returns how many have come, 0 at the end. */
static unsigned receive(int fd)
{
	int count;

	for (unsigned i = 0; i < BURST_MAX; i++)
		vectors[i].iov_len = SLOT_SIZE;
	count = recvmmsg(fd, messages, BURST_MAX, MSG_WAITFORONE, NULL);
	if (count < 0 && errno != EINTR)
		err(1, "recvmmsg");
	while (count > 0 && !messages[count - 1].msg_len)
		count--;
	for (int i = 0; i < count; i++)
		vectors[i].iov_len = messages[i].msg_len;
	return count < 0 ? 0 : (unsigned)count;
}

int main(int argc, char *argv[])
{
	unsigned long long sent = 0, unsent = 0;
	int listener, writer, sender;
	unsigned count;

	if (argc != 5)
		errx(2, "usage: gate PATH GROUP PORT INTERFACE");
	stop_on_signals();
	prepare();
	sender = open_sender(argv[2], (uint16_t)number(argv[3]), argv[4]);
	listener = listen_unix(argv[1], SOCK_SEQPACKET);
	while (!stopped && (writer = accept(listener, NULL, NULL)) >= 0) {
		while (!stopped && (count = receive(writer)) > 0) {
			int done = sendmmsg(sender, messages, count, 0);

			sent += done > 0 ? (unsigned)done : 0;
			unsent += count - (done > 0 ? (unsigned)done : 0);
		}
		close(writer);
	}
	printf("{\"sent\": %llu, \"unsent\": %llu}\n", sent, unsent);
	return 0;
}
