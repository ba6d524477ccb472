/* Sends datagrams as fast as the kernel takes them: Python is too slow to fill anybody's buffer.
 *
 *     blast [-bckw] [-i INTERFACE] [-s SOURCE] [-t TAG] [-g GROUPS] [-r RATE] [-l EVERY] ADDRESS
 * PORT COUNT SIZE
 *
 * Every payload starts with "TAG NUMBER " and is filled up to SIZE with '.'. With -c the number is
 * followed by the time of CLOCK_REALTIME in ns, for sink.c. With -w it starts with the number in 32
 * bits in network byte order instead, which each of several groups gets, and with -l each EVERY-th
 * number is left out. With -g the
 * datagrams go round robin to so many consecutive addresses. With -b they are handed to the kernel
 * in bulk (UDP_SEGMENT), which is ten times as fast and the only way to outrun a good receiver.
 * With -k the socket is connected, as the kernel makes a route for each datagram of another one,
 * and frees a hundred thousand at a time while a receiver on the same machine should run. With -r
 * it sends so many a second. It ends after COUNT, or with SIGTERM, and prints how many were sent.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BURST 64
#define SIZE_MAX_ 65507

union target {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

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
		target.v4.sin_addr.s_addr = htonl(
			ntohl(first->v4.sin_addr.s_addr) + (uint32_t)number);
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
	/* Enough for a relay to send it on. */
	if (v6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &(int){8}, sizeof(int))
	       : setsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &(int){8}, sizeof(int)))
		err(1, "setting the TTL");
	return fd;
}

/* What is sent, and from where. */
struct blast {
	int fd;
	union target first;
	socklen_t target_length;
	const char *tag;
	unsigned long groups, size, every; /* the number that is left out; 0: none */
	int bulk, timed, connected, word;
};

static volatile sig_atomic_t stopped;

static void stop(int number)
{
	(void)number;
	stopped = 1;
}

/* Waits until the datagram of this number is due. */
static void pace(const struct timespec *start, unsigned long number, unsigned long rate)
{
	struct timespec due = {.tv_sec = start->tv_sec + (time_t)(number / rate),
		.tv_nsec = start->tv_nsec + (long)(number % rate * 1000000000 / rate)};

	if (due.tv_nsec >= 1000000000) {
		due.tv_sec++;
		due.tv_nsec -= 1000000000;
	}
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
}

static char payloads[BURST * SIZE_MAX_];

static void fill_word(const struct blast *blast, unsigned slot, unsigned long number)
{
	unsigned long own = number / blast->groups;
	unsigned long left_out = blast->every ? own / (blast->every - 1) : 0;
	uint32_t word = htonl((uint32_t)(own + left_out));

	memcpy(payloads + slot * blast->size, &word, sizeof(word));
}

static void fill_payload(const struct blast *blast, unsigned slot, unsigned long number)
{
	char head[96];
	size_t length = (size_t)snprintf(head, sizeof(head), "%s %lu ", blast->tag, number);
	struct timespec now;

	if (blast->timed) {
		clock_gettime(CLOCK_REALTIME, &now);
		length += (size_t)snprintf(head + length, sizeof(head) - length, "%lld%09ld ",
			(long long)now.tv_sec, now.tv_nsec);
	}
	memcpy(payloads + slot * blast->size, head, length < blast->size ? length : blast->size);
}

/* Sends all of them, however often it takes. */
static void send_all(const struct blast *blast, struct mmsghdr *messages, unsigned count)
{
	for (unsigned sent = 0; sent < count;) {
		int n = sendmmsg(blast->fd, messages + sent, count - sent, 0);

		if (n > 0)
			sent += (unsigned)n;
		else if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR &&
			 errno != ECONNREFUSED)
			err(1, "sendmmsg");
	}
}

/* Sends up to BURST datagrams, of which the first has this number. */
static void send_burst(struct blast *blast, unsigned long number, unsigned count)
{
	struct mmsghdr messages[BURST] = {0};
	struct iovec vectors[BURST];
	union target targets[BURST];

	for (unsigned i = 0; i < count; i++) {
		(blast->word ? fill_word : fill_payload)(blast, i, number + i);
		targets[i] = advance(&blast->first, (number + i) % blast->groups);
		vectors[i] = (struct iovec){payloads + i * blast->size, blast->size};
		messages[i].msg_hdr = (struct msghdr){
			.msg_name = blast->connected ? NULL : &targets[i],
			.msg_namelen = blast->connected ? 0 : blast->target_length,
			.msg_iov = &vectors[i],
			.msg_iovlen = 1};
	}
	if (blast->bulk) {
		vectors[0].iov_len = count * blast->size;
		count = 1;
	}
	send_all(blast, messages, count);
}

/* Returns how many datagrams were sent. */
static unsigned long send_paced(struct blast *blast, unsigned long count, unsigned long rate)
{
	unsigned long burst = rate && rate / 1000 < BURST ? rate / 1000 + 1 : BURST, number = 0;
	struct timespec start;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (number < count && !stopped) {
		unsigned long left = count - number;

		if (rate)
			pace(&start, number, rate);
		send_burst(blast, number, (unsigned)(left < burst ? left : burst));
		number += left < burst ? left : burst;
	}
	return number;
}

static void set_bulk(struct blast *blast)
{
	int size = (int)blast->size;

	if (blast->groups != 1 || !size || size > 1000)
		errx(2, "-b is for datagrams of up to 1000 bytes to one group");
	if (setsockopt(blast->fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)) < 0)
		err(1, "UDP_SEGMENT");
}

int main(int argc, char *argv[])
{
	const char *interface = NULL, *source = NULL;
	struct blast blast = {.tag = "x", .groups = 1};
	unsigned long count, rate = 0;
	int option;

	while ((option = getopt(argc, argv, "bckwi:s:t:g:r:l:")) != -1)
		switch (option) {
		case 'b':
			blast.bulk = 1;
			break;
		case 'c':
			blast.timed = 1;
			break;
		case 'k':
			blast.connected = 1;
			break;
		case 'w':
			blast.word = 1;
			break;
		case 'l':
			blast.every = strtoul(optarg, NULL, 10);
			break;
		case 'i':
			interface = optarg;
			break;
		case 's':
			source = optarg;
			break;
		case 't':
			blast.tag = optarg;
			break;
		case 'g':
			blast.groups = strtoul(optarg, NULL, 10);
			break;
		case 'r':
			rate = strtoul(optarg, NULL, 10);
			break;
		default:
			return 2;
		}
	if (argc - optind != 4)
		errx(2, "usage: blast [-bckw] [-i INTERFACE] [-s SOURCE] [-t TAG] [-g GROUPS] "
			"[-r RATE] [-l EVERY] ADDRESS PORT COUNT SIZE");
	blast.target_length = resolve(
		argv[optind], atoi(argv[optind + 1]), interface, &blast.first);
	count = strtoul(argv[optind + 2], NULL, 10);
	blast.size = strtoul(argv[optind + 3], NULL, 10);
	if (blast.size > SIZE_MAX_ || !blast.groups || blast.every == 1 ||
		(blast.word && blast.size < sizeof(uint32_t)))
		errx(2, "nothing that can be sent");
	blast.fd = open_socket(&blast.first, interface, source);
	if (blast.connected &&
		(blast.groups != 1 || connect(blast.fd, &blast.first.any, blast.target_length) < 0))
		err(1, "connect to one group");
	memset(payloads, '.', sizeof(payloads));
	if (blast.bulk)
		set_bulk(&blast);
	signal(SIGTERM, stop);
	printf("%lu\n", send_paced(&blast, count, rate));
	return 0;
}
