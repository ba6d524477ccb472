/* The load generator: sends numbered datagrams to a group at a pace, or as fast as the kernel takes
 * them.
 *
 *     load [-i INTERFACE] [-g GROUPS] [-s SIZE] [-r RATE] [-n COUNT | -t MILLISECONDS] [-b BURST]
 * [-S] [-l LAYOUT] ADDRESS PORT
 *
 * Datagrams go out in bursts of BURST (64), each handed to the kernel in one call: sendmmsg(2), or
 * with -S as one buffer that the kernel cuts (UDP_SEGMENT), which is the only way to outrun a
 * receiver that reads in batches. RATE is a second, in datagrams; 0 is no limit. -g sends round
 * robin to so many consecutive addresses. The layout is what the receiver expects at the start of a
 * payload: plain (struct stamp), text (nothing but text), iperf, mgen or rtp. All come from one
 * port, so that they are one flow. Prints
 * {"sent": ..., "seconds": ...}. */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define SOURCE_PORT 40000
#define SEGMENTED_MAX 65000 /* bytes in one UDP_SEGMENT call */
#define SLEEP_MARGIN_NS 30000 /* what is shorter is waited for actively: sleeping would be late */

enum layout { PLAIN, TEXT, IPERF, MGEN, RTP };

union endpoint {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

struct load {
	const char *interface;
	union endpoint first;
	uint64_t groups, size, rate, count, duration_ns, burst;
	int segmented;
	enum layout layout;
	int fd;
};

static uint8_t payloads[BURST_MAX * PAYLOAD_MAX];
static struct mmsghdr messages[BURST_MAX];
static struct iovec vectors[BURST_MAX];
static union endpoint targets[BURST_MAX];

static void put32(uint8_t *at, uint64_t value)
{
	uint32_t big = htonl((uint32_t)value);

	memcpy(at, &big, sizeof(big));
}

/* struct UDP_datagram of iperf 2: number, seconds, microseconds, upper half of the number. */
static void put_iperf(uint8_t *payload, uint64_t number, uint64_t now)
{
	put32(payload, number);
	put32(payload + 4, now / 1000000000);
	put32(payload + 8, now / 1000 % 1000000);
	put32(payload + 12, number >> 32);
}

/* The message of MGEN 5: size, version 4, flags, flow, number, time, destination. What follows is
 * optional. */
static void put_mgen(const struct load *load, uint8_t *payload, uint64_t number, uint64_t now)
{
	uint16_t size = htons((uint16_t)load->size);

	memcpy(payload, &size, sizeof(size));
	payload[2] = 4;
	payload[3] = 0;
	put32(payload + 4, 1);
	put32(payload + 8, number);
	put32(payload + 12, now / 1000000000);
	put32(payload + 16, now / 1000 % 1000000);
	memcpy(payload + 20, &load->first.v4.sin_port, 2);
	payload[22] = 1;
	payload[23] = 4;
	memcpy(payload + 24, &load->first.v4.sin_addr, 4);
}

/* RFC 3550, with a clock of 90 kHz. Each of the groups has all numbers. */
static void put_rtp(const struct load *load, uint8_t *payload, uint64_t number, uint64_t now)
{
	put32(payload, 0x80600000u | (number / load->groups & UINT16_MAX));
	put32(payload + 4, now / 100000 * 9);
	put32(payload + 8, 1);
}

static void put_head(const struct load *load, uint8_t *payload, uint64_t number, uint64_t now)
{
	struct stamp stamp = {number, now};

	if (load->layout == IPERF)
		put_iperf(payload, number, now);
	else if (load->layout == MGEN)
		put_mgen(load, payload, number, now);
	else if (load->layout == RTP)
		put_rtp(load, payload, number, now);
	else if (load->layout == PLAIN)
		memcpy(payload, &stamp, load->size < sizeof(stamp) ? load->size : sizeof(stamp));
}

static socklen_t endpoint_size(const union endpoint *endpoint)
{
	return endpoint->any.sa_family == AF_INET6 ? sizeof(endpoint->v6) : sizeof(endpoint->v4);
}

static void prepare_messages(const struct load *load)
{
	memset(payloads, 'x', sizeof(payloads));
	for (unsigned i = 0; i < BURST_MAX; i++) {
		uint8_t *payload = payloads + i * load->size;

		if (load->size)
			payload[load->size - 1] = '\n';
		targets[i] = load->first;
		vectors[i] = (struct iovec){payload, load->size};
		messages[i].msg_hdr = (struct msghdr){.msg_name = &targets[i],
			.msg_namelen = endpoint_size(&load->first),
			.msg_iov = &vectors[i],
			.msg_iovlen = 1};
	}
}

static void send_all(const struct load *load, unsigned count)
{
	for (unsigned sent = 0; sent < count;) {
		int n = sendmmsg(load->fd, messages + sent, count - sent, 0);

		if (n > 0)
			sent += (unsigned)n;
		else if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR &&
			 errno != ECONNREFUSED)
			err(1, "sendmmsg");
	}
}

static void send_burst(const struct load *load, uint64_t first, unsigned count)
{
	uint64_t now = now_ns(CLOCK_REALTIME);

	for (unsigned i = 0; i < count; i++) {
		put_head(load, vectors[i].iov_base, first + i, now);
		if (load->groups > 1)
			targets[i].v4.sin_addr.s_addr = htonl(
				ntohl(load->first.v4.sin_addr.s_addr) +
				(uint32_t)((first + i) % load->groups));
	}
	if (!load->segmented) {
		send_all(load, count);
		return;
	}
	vectors[0].iov_len = count * load->size;
	send_all(load, 1);
}

/* Waits until it is time for datagrams that are due at the rate. */
static void pace(const struct load *load, uint64_t start, uint64_t sent)
{
	uint64_t due = start + (uint64_t)((double)sent * 1e9 / (double)load->rate), now;

	while (!stopped && (now = now_ns(CLOCK_MONOTONIC)) < due) {
		struct timespec rest;

		if (due - now <= SLEEP_MARGIN_NS)
			continue;
		now = due - now - SLEEP_MARGIN_NS / 2;
		rest = (struct timespec){(time_t)(now / 1000000000), (long)(now % 1000000000)};
		nanosleep(&rest, NULL);
	}
}

static void run(const struct load *load)
{
	uint64_t start = now_ns(CLOCK_MONOTONIC), sent = 0;

	while (!stopped && (load->count ? sent < load->count
					: now_ns(CLOCK_MONOTONIC) - start < load->duration_ns)) {
		uint64_t count = load->burst;

		if (load->count && load->count - sent < count)
			count = load->count - sent;
		if (load->rate)
			pace(load, start, sent);
		send_burst(load, sent, (unsigned)count);
		sent += count;
	}
	printf("{\"sent\": %llu, \"seconds\": %.6f}\n", (unsigned long long)sent,
		(double)(now_ns(CLOCK_MONOTONIC) - start) / 1e9);
}

/* Where multicast goes out, and how far. */
static int route(const struct load *load)
{
	struct ip_mreqn out = {
		.imr_ifindex = load->interface ? (int)if_nametoindex(load->interface) : 0};
	int hops = 8;

	if (load->first.any.sa_family == AF_INET6)
		return setsockopt(load->fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &out.imr_ifindex,
			       sizeof(int))
			       ?: setsockopt(load->fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops,
					  sizeof(hops));
	return setsockopt(load->fd, IPPROTO_IP, IP_MULTICAST_IF, &out, sizeof(out))
		       ?: setsockopt(load->fd, IPPROTO_IP, IP_MULTICAST_TTL, &hops, sizeof(hops));
}

static void open_sender(struct load *load)
{
	/* The port is at the same place in both kinds of address. */
	union endpoint local = {
		.v6 = {.sin6_family = load->first.any.sa_family, .sin6_port = htons(SOURCE_PORT)}};
	int on = 1, size = (int)load->size;

	load->fd = socket(local.any.sa_family, SOCK_DGRAM, 0);
	if (load->fd < 0)
		err(1, "socket");
	setsockopt(load->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(load->fd, &local.any, endpoint_size(&local)) < 0 || route(load) < 0)
		err(1, "opening a sender");
	if (load->segmented &&
		setsockopt(load->fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)) < 0)
		err(1, "UDP_SEGMENT");
}

static enum layout find_layout(const char *name)
{
	if (!strcmp(name, "iperf"))
		return IPERF;
	if (!strcmp(name, "mgen"))
		return MGEN;
	if (!strcmp(name, "rtp"))
		return RTP;
	if (!strcmp(name, "text"))
		return TEXT;
	if (strcmp(name, "plain"))
		errx(2, "there is no layout %s", name);
	return PLAIN;
}

static void read_option(struct load *load, int option)
{
	switch (option) {
	case 'i':
		load->interface = optarg;
		break;
	case 'g':
		load->groups = number(optarg);
		break;
	case 's':
		load->size = number(optarg);
		break;
	case 'r':
		load->rate = number(optarg);
		break;
	case 'n':
		load->count = number(optarg);
		break;
	case 't':
		load->duration_ns = number(optarg) * 1000000;
		break;
	case 'b':
		load->burst = number(optarg);
		break;
	case 'S':
		load->segmented = 1;
		break;
	case 'l':
		load->layout = find_layout(optarg);
		break;
	default:
		exit(2);
	}
}

static void read_endpoint(union endpoint *endpoint, const char *address, const char *port)
{
	if (inet_pton(AF_INET6, address, &endpoint->v6.sin6_addr) == 1)
		endpoint->v6.sin6_family = AF_INET6;
	else if (inet_pton(AF_INET, address, &endpoint->v4.sin_addr) == 1)
		endpoint->v4.sin_family = AF_INET;
	else
		errx(2, "%s is not an address", address);
	endpoint->v4.sin_port = htons((uint16_t)number(port)); /* at the same place in both */
}

static void check(struct load *load)
{
	static const uint64_t heads[] = {[IPERF] = 16, [MGEN] = 28, [RTP] = 12};
	uint64_t least = heads[load->layout];

	if (load->size > PAYLOAD_MAX || load->size < least || !load->groups || !load->burst ||
		load->burst > BURST_MAX)
		errx(2, "nothing that can be sent");
	if (load->first.any.sa_family == AF_INET6 && (load->groups > 1 || load->layout == MGEN))
		errx(2, "to IPv6 there is one group, and no layout mgen");
	if (!load->segmented)
		return;
	if (!load->size || load->groups > 1 || load->size > SEGMENTED_MAX)
		errx(2, "-S is for datagrams with a payload, to one group");
	if (load->burst * load->size > SEGMENTED_MAX)
		load->burst = SEGMENTED_MAX / load->size;
}

int main(int argc, char *argv[])
{
	struct load load = {.groups = 1, .size = 64, .duration_ns = 1000000000, .burst = BURST_MAX};
	int option;

	while ((option = getopt(argc, argv, "i:g:s:r:n:t:b:Sl:")) != -1)
		read_option(&load, option);
	if (argc - optind != 2)
		errx(2, "usage: load [OPTION...] ADDRESS PORT");
	read_endpoint(&load.first, argv[optind], argv[optind + 1]);
	check(&load);
	open_sender(&load);
	prepare_messages(&load);
	stop_on_signals();
	prctl(PR_SET_TIMERSLACK, 1UL); /* the kernel would add 50 us to every sleep */
	run(&load);
	return 0;
}
