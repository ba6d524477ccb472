/* Sends datagrams as fast as the kernel takes them: Python is too slow to fill anybody's buffer.
 *
 *     blast [-i INTERFACE] [-s SOURCE] [-t TAG] [-g GROUPS] ADDRESS PORT COUNT SIZE
 *
 * Every payload starts with "TAG NUMBER " and is filled up to SIZE with '.'. With -g the datagrams go
 * round robin to so many consecutive addresses. Prints how many datagrams the kernel took. */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BURST 64
#define SIZE_MAX_ 65507

static union target {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
} targets[BURST];

static socklen_t resolve(const char *address, int port, const char *interface, union target *ret)
{
	*ret = (union target){0};
	if (!strchr(address, ':')) {
		ret->v4.sin_family = AF_INET;
		ret->v4.sin_port = htons((uint16_t)port);
		if (inet_pton(AF_INET, address, &ret->v4.sin_addr) != 1)
			errx(2, "%s is not an address", address);
		return sizeof(ret->v4);
	}
	ret->v6.sin6_family = AF_INET6;
	ret->v6.sin6_port = htons((uint16_t)port);
	ret->v6.sin6_scope_id = interface ? if_nametoindex(interface) : 0;
	if (inet_pton(AF_INET6, address, &ret->v6.sin6_addr) != 1)
		errx(2, "%s is not an address", address);
	return sizeof(ret->v6);
}

/* The address that lies number after the first. */
static union target advance(const union target *first, unsigned long number)
{
	union target target = *first;
	uint32_t low;

	if (first->any.sa_family == AF_INET) {
		target.v4.sin_addr.s_addr = htonl(ntohl(first->v4.sin_addr.s_addr) + (uint32_t)number);
		return target;
	}
	memcpy(&low, &target.v6.sin6_addr.s6_addr[12], sizeof(low));
	low = htonl(ntohl(low) + (uint32_t)number);
	memcpy(&target.v6.sin6_addr.s6_addr[12], &low, sizeof(low));
	return target;
}

static int open_socket(const union target *target, const char *interface, const char *source)
{
	int v6 = target->any.sa_family == AF_INET6;
	int fd = socket(target->any.sa_family, SOCK_DGRAM, 0);
	int index = interface ? (int)if_nametoindex(interface) : 0;
	struct ip_mreqn request = {.imr_ifindex = index};
	union target from;

	if (fd < 0)
		err(1, "socket");
	if (interface && !index)
		err(1, "%s", interface);
	if (source) {
		socklen_t length = resolve(source, 0, interface, &from);

		if (bind(fd, &from.any, length) < 0)
			err(1, "bind to %s", source);
	}
	if (index && (v6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof(index))
			 : setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof(request))))
		err(1, "sending out of %s", interface);
	return fd;
}

/* Sends all of a burst, however often it takes. */
static void send_burst(int fd, struct mmsghdr *messages, unsigned count)
{
	for (unsigned sent = 0; sent < count;) {
		int n = sendmmsg(fd, messages + sent, count - sent, 0);

		if (n > 0)
			sent += (unsigned)n;
		else if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR && errno != ECONNREFUSED)
			err(1, "sendmmsg");
	}
}

int main(int argc, char *argv[])
{
	static char payloads[BURST][SIZE_MAX_];
	const char *interface = NULL, *source = NULL, *tag = "x";
	struct mmsghdr messages[BURST] = {0};
	struct iovec vectors[BURST];
	unsigned long groups = 1, count, size;
	union target first;
	socklen_t length;
	int fd, option;

	while ((option = getopt(argc, argv, "i:s:t:g:")) != -1)
		switch (option) {
		case 'i':
			interface = optarg;
			break;
		case 's':
			source = optarg;
			break;
		case 't':
			tag = optarg;
			break;
		case 'g':
			groups = strtoul(optarg, NULL, 10);
			break;
		default:
			return 2;
		}
	if (argc - optind != 4)
		errx(2, "usage: blast [-i INTERFACE] [-s SOURCE] [-t TAG] [-g GROUPS] ADDRESS PORT COUNT SIZE");
	length = resolve(argv[optind], atoi(argv[optind + 1]), interface, &first);
	count = strtoul(argv[optind + 2], NULL, 10);
	size = strtoul(argv[optind + 3], NULL, 10);
	if (size > SIZE_MAX_ || !groups)
		errx(2, "nothing that can be sent");
	fd = open_socket(&first, interface, source);
	for (unsigned i = 0; i < BURST; i++) {
		vectors[i] = (struct iovec){payloads[i], size};
		messages[i].msg_hdr = (struct msghdr){.msg_name = &targets[i],
			.msg_namelen = length,
			.msg_iov = &vectors[i],
			.msg_iovlen = 1};
		memset(payloads[i], '.', size);
	}
	for (unsigned long number = 0; number < count;) {
		unsigned burst = 0;

		for (; burst < BURST && number < count; burst++, number++) {
			char head[64];
			size_t head_size = (size_t)snprintf(head, sizeof(head), "%s %lu ", tag, number);

			memcpy(payloads[burst], head, head_size < size ? head_size : size);
			targets[burst] = advance(&first, number % groups);
		}
		send_burst(fd, messages, burst);
	}
	printf("%lu\n", count);
	return 0;
}
