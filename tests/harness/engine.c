/* A module in the place of the one for NATS, for the tests of what all engines share: its broker is
 * a program at a UNIX socket of type SOCK_SEQPACKET, whose path is that of the key "credentials", a
 * file, with .sock. Packets:
 *
 *     from it   M token (8 bytes) GROUP 0 payload   a message
 *               D reason (1 byte)                   counted as taken and dropped
 *               G number (8 bytes)                  counted as gaps
 *               R GROUP 0 payload                   from now on a message as often as there is room
 *     to it     S GROUP 0 GROUP 0 ...               what the groups take
 *               A token (8 bytes)                   up to here all is done
 *               O payload                           of a datagram that a group has delivered
 *               F                                   finish() is over
 *
 * With metadata = false the broker forgets what it has handed over, as one of MQTT does:
 *
 *     to it     X                                   no more
 *     from it   E                                   nothing comes behind it */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "data/intake.h"
#include "engines/keys.h"
#include "handlers/handler.h"

#define PACKET_MAX (256 * 1024)
#define PACKETS_AT_ONCE 64
#define FLOOD_AT_ONCE 4096

struct engine {
	char *path;
	struct intake *intake;
	int epoll, fd;
	uint64_t acknowledged;
	bool forgets; /* the broker does */
	bool is_over; /* E has come */
	size_t held; /* bytes of a packet for which there was no room; 0: none */
	uint8_t packet[PACKET_MAX];
	struct intake_item flood; /* of group NULL: none */
	char flood_packet[256];
};

static unsigned needs(const void *settings)
{
	(void)settings;
	return NEED_SOURCE;
}

static void watch(struct engine *engine, int fd, bool on)
{
	struct epoll_event event = {.events = EPOLLIN};

	epoll_ctl(engine->epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, fd, &event);
}

static int open_engine(const void *object, const struct handler_context *context,
	char why[static WHY_MAX], void **ret)
{
	const struct nats_settings *settings = object;
	struct engine *engine = calloc(1, sizeof(*engine));

	if (!engine)
		return because(why, -ENOMEM, "out of memory");
	if (asprintf(&engine->path, "%s.sock", settings->credentials) < 0) {
		free(engine);
		return because(why, -ENOMEM, "out of memory");
	}
	engine->intake = context->intake;
	engine->fd = -1;
	engine->forgets = !settings->common.metadata;
	if (engine->forgets)
		intake_stay_open(engine->intake);
	engine->epoll = epoll_create1(EPOLL_CLOEXEC);
	*ret = engine;
	return 0;
}

/* Does nothing where the broker has gone, or a test makes the call fail. */
static void tell(struct engine *engine, const void *packet, size_t size)
{
	if (engine->fd >= 0 && send(engine->fd, packet, size, MSG_NOSIGNAL) < 0)
		return;
}

/* By subscribe(), which comes before begin() where there are groups to take. */
static void connect_to_broker(struct engine *engine)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (engine->fd >= 0)
		return;
	strncpy(address.sun_path, engine->path, sizeof(address.sun_path) - 1);
	engine->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (engine->fd < 0 ||
		connect(engine->fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		log_error("the broker of the tests: %s", strerror(errno));
		closep(&engine->fd);
		engine->fd = -1;
		return;
	}
	watch(engine, engine->fd, true);
	watch(engine, intake_done_fd(engine->intake), true);
}

static void begin(void *object)
{
	connect_to_broker(object);
}

static void subscribe(void *object, const struct string_list *groups)
{
	struct engine *engine = object;
	AUTO_FREE char *packet = malloc(PACKET_MAX);
	size_t size = 1;

	if (!packet)
		return;
	*packet = 'S';
	for (size_t i = 0; i < groups->count; i++) {
		strcpy(packet + size, groups->items[i]);
		size += strlen(groups->items[i]) + 1;
	}
	connect_to_broker(engine);
	tell(engine, packet, size);
}

static void acknowledge(struct engine *engine)
{
	uint64_t done = intake_done(engine->intake);
	uint8_t packet[9] = "A";

	memcpy(packet + 1, &done, sizeof(done));
	if (done != engine->acknowledged)
		tell(engine, packet, sizeof(packet));
	engine->acknowledged = done;
}

static struct intake_item item_of(const struct engine *engine, size_t size)
{
	const char *group = (const char *)engine->packet + 9;
	size_t header = 9 + strlen(group) + 1;
	struct intake_item item = {.group = group,
		.payload = engine->packet + header,
		.size = (uint32_t)(size - header)};

	memcpy(&item.token, engine->packet + 1, sizeof(item.token));
	return item;
}

/* Returns whether it is done with the packet. */
static bool take_message(struct engine *engine, size_t size)
{
	struct intake_item item = item_of(engine, size);

	return intake_push(engine->intake, &item) != -EAGAIN;
}

static void take_last_message(struct engine *engine, size_t size)
{
	struct intake_item item = item_of(engine, size);

	if (intake_push_wait(engine->intake, &item) < 0)
		abort();
}

static void begin_flood(struct engine *engine, size_t size)
{
	char *packet = engine->flood_packet;
	size_t header;

	if (size > sizeof(engine->flood_packet))
		abort();
	memcpy(packet, engine->packet, size);
	header = 1 + strlen(packet + 1) + 1;
	engine->flood = (struct intake_item){.group = packet + 1,
		.payload = (uint8_t *)packet + header,
		.size = (uint32_t)(size - header)};
}

/* Once something is sent serve() is called again. */
static void flood(struct engine *engine)
{
	for (unsigned i = 0; engine->flood.group && i < FLOOD_AT_ONCE; i++)
		if (intake_push(engine->intake, &engine->flood) < 0)
			break;
}

static bool take_packet(struct engine *engine, size_t size)
{
	int64_t gaps;

	if (*engine->packet == 'R')
		begin_flood(engine, size);
	if (*engine->packet == 'M')
		return take_message(engine, size);
	engine->is_over |= *engine->packet == 'E';
	if (*engine->packet == 'D')
		intake_drop(engine->intake, (enum intake_drop)engine->packet[1]);
	if (*engine->packet == 'G') {
		memcpy(&gaps, engine->packet + 1, sizeof(gaps));
		intake_count_gaps(engine->intake, gaps);
	}
	return true;
}

static void take_packets(struct engine *engine)
{
	for (unsigned i = 0; i < PACKETS_AT_ONCE; i++) {
		ssize_t size = (ssize_t)engine->held;

		if (!size)
			size = recv(engine->fd, engine->packet, PACKET_MAX, MSG_DONTWAIT);
		if (size <= 0) {
			/* The broker has gone. */
			if (size == 0)
				watch(engine, engine->fd, false);
			return;
		}
		if (!take_packet(engine, (size_t)size)) {
			if (!engine->held)
				watch(engine, engine->fd, false);
			engine->held = (size_t)size;
			return;
		}
		if (engine->held)
			watch(engine, engine->fd, true);
		engine->held = 0;
	}
}

static void serve(void *object, struct outcome *outcome)
{
	struct engine *engine = object;

	(void)outcome;
	acknowledge(engine);
	take_packets(engine);
	flood(engine);
}

static int descriptor(const void *object)
{
	return ((const struct engine *)object)->epoll;
}

static void deliver(void *object, const struct batch *batch, struct outcome *outcome)
{
	for (unsigned i = 0; i < batch->count; i++) {
		uint8_t packet[2048] = "O";
		uint32_t size = batch->datagrams[i].size;

		size = size < sizeof(packet) - 1 ? size : sizeof(packet) - 1;
		memcpy(packet + 1, batch->datagrams[i].payload, size);
		tell(object, packet, size + 1);
	}
	outcome->delivered += batch->count;
}

/* Takes all that the broker has handed over. */
static void take_rest(struct engine *engine, uint64_t until_ns)
{
	ssize_t size = (ssize_t)engine->held;

	tell(engine, "X", 1);
	while (!engine->is_over) {
		if (!size)
			size = recv(engine->fd, engine->packet, PACKET_MAX, 0);
		if (size <= 0)
			break;
		if (*engine->packet == 'M')
			take_last_message(engine, (size_t)size);
		else
			take_packet(engine, (size_t)size);
		size = 0;
	}
	intake_end(engine->intake);
	intake_wait_empty(engine->intake, until_ns);
}

static void finish(void *object, uint64_t until_ns, struct outcome *outcome)
{
	struct engine *engine = object;

	(void)outcome;
	if (engine->forgets)
		take_rest(engine, until_ns);
	acknowledge(object);
	tell(object, "F", 1);
}

static void close_engine(void *object)
{
	struct engine *engine = object;

	if (!engine)
		return;
	if (engine->fd >= 0)
		close(engine->fd);
	close(engine->epoll);
	free(engine->path);
	free(engine);
}

const struct handler_kind engine = {
	.needs = needs,
	.open = open_engine,
	.deliver = deliver,
	.close = close_engine,
	.begin = begin,
	.exclusive = true,
	.subscribe = subscribe,
	.descriptor = descriptor,
	.serve = serve,
	.finish = finish,
};
