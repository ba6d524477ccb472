/* The keys of the configuration, but for those of the kinds of handlers. */
#include "config/config.h"

/* Leaves room for "/groups/" and a name of one letter. */
#define RUN_DIRECTORY_MAX (SOCKET_PATH_MAX - 9)

#define KIB (1ll << 10)
#define MIB (1ll << 20)
#define GIB (1ll << 30)

#define GROUP(member) .offset = offsetof(struct config_group, member)
#define HANDLER(member) .offset = offsetof(struct config_handler, member)
#define CONFIG(member) .offset = offsetof(struct config, member)

static const struct key group_keys[] = {
	{.name = "address",
		.type = KEY_ADDRESS,
		GROUP(address),
		.required = true,
		.help = "The multicast address, of 224.0.0.0/4 or ff00::/8."},
	{.name = "port",
		.type = KEY_NUMBER,
		GROUP(port),
		.min = 1,
		.max = 65535,
		.required = true,
		.help = "The UDP port."},
	{.name = "interfaces",
		.type = KEY_STRINGS,
		GROUP(interfaces),
		.min = 1,
		.help = "Names or globs of the interfaces to join on; without it, every one that "
			"can do multicast, but lo."},
	{.name = "sources",
		.type = KEY_ADDRESSES,
		GROUP(sources),
		.min = 1,
		.help = "Receive from these senders only, by a source-specific join."},
	{.name = "block_sources",
		.type = KEY_ADDRESSES,
		GROUP(block_sources),
		.min = 1,
		.help = "Receive from all but these senders."},
	{.name = "handlers",
		.type = KEY_STRINGS,
		GROUP(handlers),
		.help = "Names of the handlers that every datagram goes to."},
	{.name = "receive_buffer",
		.type = KEY_SIZE,
		GROUP(receive_buffer),
		.min = 4 * KIB,
		.max = GIB - MIB, /* it is an int, and the kernel doubles it */
		.fallback = "4M",
		.help = "The kernel's receive buffer of each membership, as for SO_RCVBUF."},
	{.name = "coalesce",
		.type = KEY_BOOL,
		GROUP(coalesce),
		.fallback = "false",
		.help = "Whether to take datagrams of one sender that the network hands over as "
			"one buffer "
			"together (UDP_GRO): far cheaper for streams that are sent so. The kernel "
			"counts what it drops by the buffer."},
	{.name = "ttl",
		.type = KEY_NUMBER,
		GROUP(ttl),
		.min = 0,
		.max = 255,
		.fallback = "1",
		.help = "TTL or hop limit of what is sent: 1 stays on the link, 0 on the host."},
	{.name = "loop",
		.type = KEY_BOOL,
		GROUP(loop),
		.fallback = "true",
		.help = "Whether receivers on this host get what is sent."},
	{.name = "send_interface",
		.type = KEY_STRING,
		GROUP(send_interface),
		.help = "The interface to send on; without it, the only one of the group, or the "
			"kernel's route."},
	{.name = "socket",
		.type = KEY_BOOL,
		GROUP(socket),
		.fallback = "false",
		.help = "Whether the group is a socket file, too: groups/NAME in run_directory."},
	{.name = "socket_mode",
		.type = KEY_MODE,
		GROUP(socket_mode),
		.fallback = "0660",
		.help = "Permissions of the socket file."},
	{.name = "socket_group",
		.type = KEY_STRING,
		GROUP(socket_group),
		.help = "Group, by name or number, that owns the socket file."},
};

const struct schema group_schema = {
	group_keys, ARRAY_SIZE(group_keys), sizeof(struct config_group)};

static const char *const drop_policies[] = {
	[DROP_NEWEST] = "newest", [DROP_OLDEST] = "oldest", NULL};

static const struct key handler_keys[] = {
	{.name = "type",
		.type = KEY_STRING,
		HANDLER(type),
		.required = true,
		.help = "The kind of handler, see below."},
	{.name = "queue",
		.type = KEY_SIZE,
		HANDLER(queue),
		.min = 64 * KIB,
		.max = GIB,
		.fallback = "4M",
		.help = "How many bytes may wait for a handler that is slow, each datagram with "
			"some 60 "
			"of its own; for all types but unix and udp, which never wait."},
	{.name = "queue_datagrams",
		.type = KEY_NUMBER,
		HANDLER(queue_datagrams),
		.min = 1,
		.max = 1000000000,
		.help = "How many datagrams may wait, whatever their size; without it, as many as "
			"fit into the queue."},
	{.name = "drop",
		.type = KEY_CHOICE,
		HANDLER(drop),
		.choices = drop_policies,
		.fallback = "newest",
		.help = "What gives way when the queue is full: the newest or the oldest "
			"datagrams."},
};

const struct schema handler_schema = {
	handler_keys, ARRAY_SIZE(handler_keys), sizeof(struct config_handler)};

#define FILTER(member) .offset = offsetof(struct config_filter, member)

/* Those with a dot stand in a block of their own: filter: { sources = [...]; }. */
static const struct key filter_keys[] = {
	{.name = "filter.sources",
		.type = KEY_PREFIXES,
		FILTER(sources),
		.min = 1,
		.help = "Only datagrams from these senders, as addresses or prefixes "
			"(10.0.0.0/8)."},
	{.name = "filter.block_sources",
		.type = KEY_PREFIXES,
		FILTER(block_sources),
		.min = 1,
		.help = "No datagrams from these senders."},
	{.name = "filter.min_size",
		.type = KEY_NUMBER,
		FILTER(min_size),
		.min = 0,
		.max = DATAGRAM_MAX,
		.fallback = "0",
		.help = "Only payloads of so many bytes or more."},
	{.name = "filter.max_size",
		.type = KEY_NUMBER,
		FILTER(max_size),
		.min = 0,
		.max = DATAGRAM_MAX,
		.fallback = "65507",
		.help = "Only payloads of so many bytes or fewer."},
	{.name = "filter.prefix",
		.type = KEY_STRING,
		FILTER(prefix),
		.max = 256,
		.help = "Only payloads that begin so: text, or 0x and hexadecimal digits."},
	{.name = "rate",
		.type = KEY_RATE,
		FILTER(rate_interval_ns),
		.help = "The most datagrams in a time; what is beyond is dropped."},
	{.name = "burst",
		.type = KEY_NUMBER,
		FILTER(burst),
		.min = 1,
		.max = 1000000000,
		.help = "How many may come at once within the rate; without it, those of one "
			"second."},
	{.name = "sample",
		.type = KEY_NUMBER,
		FILTER(sample),
		.min = 1,
		.max = 1000000000,
		.fallback = "1",
		.help = "One in so many datagrams; the others are filtered."},
};

const struct schema filter_schema = {
	filter_keys, ARRAY_SIZE(filter_keys), sizeof(struct config_filter)};

static const struct key control_keys[] = {
	{.name = "socket",
		.type = KEY_PATH,
		CONFIG(control_socket),
		.max = SOCKET_PATH_MAX,
		.fallback = "/run/mcastd.sock",
		.help = "Path of the control socket."},
};

const struct schema control_schema = {
	control_keys, ARRAY_SIZE(control_keys), sizeof(struct config)};

static const struct key config_keys[] = {
	{.name = "user",
		.type = KEY_STRING,
		CONFIG(user),
		.max = GROUP_NAME_MAX,
		.help = "Whom to run as after a start as root, once the groups are joined; without "
			"it, root."},
	{.name = "group",
		.type = KEY_STRING,
		CONFIG(group),
		.max = GROUP_NAME_MAX,
		.help = "The system group to run with then; without it, that of the user."},
	{.name = "run_directory",
		.type = KEY_PATH,
		CONFIG(run_directory),
		.max = RUN_DIRECTORY_MAX,
		.help = "Where the directory of group sockets lies; without it, "
			"$RUNTIME_DIRECTORY or /run/mcastd."},
};

const struct schema config_schema = {config_keys, ARRAY_SIZE(config_keys), sizeof(struct config)};
