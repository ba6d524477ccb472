/* The keys of the configuration, except those of the kinds of handlers. */
#include "config/config.h"

/* Leaves room for "/groups/" and a name of one letter. */
#define RUN_DIRECTORY_MAX (SOCKET_PATH_MAX - 9)

#define KIB (1ll << 10)
#define MIB (1ll << 20)
#define GIB (1ll << 30)

#define MS 1000000ll /* in ns */
#define DAY (86400 * 1000 * MS)

#define GROUP(member, type) KEY(struct config_group, member, type)
#define HANDLER(member, type) KEY(struct config_handler, member, type)
#define FILTER(key, member, key_type) \
	.name = key, .type = (key_type), .offset = offsetof(struct config_filter, member)
#define CONFIG(member, type) KEY(struct config, member, type)

static const char *const duplicates_choices[] = {
	[DUPLICATES_KEEP] = "keep", [DUPLICATES_DROP] = "drop", NULL};

/* Users and groups in a list: more of them are one group of the system. */
#define ALLOWED_MAX 64

#define IN_QUOTES_AS_IT_IS(value) #value
#define IN_QUOTES(macro) IN_QUOTES_AS_IT_IS(macro)

/* Of groups, and of events. */
#define HANDLERS_ROW                                                            \
	{                                                                       \
		GROUP(handlers, KEY_STRINGS),                                   \
			.example = "[\"log\"]",                                 \
			.help = "Names of the handlers that get each datagram." \
	}
#define SOCKET_ROWS                                                                                \
	{GROUP(socket, KEY_BOOL), .fallback = "false",                                             \
		.help = "Whether the group has socket files, groups/NAME and groups/NAME.stream "  \
			"in run_directory."},                                                      \
		{GROUP(socket_mode, KEY_MODE), .fallback = IN_QUOTES(GROUP_SOCKET_MODE),           \
			.help = "Permissions of the socket file, and of the group at the control " \
				"socket: who may write the file may send and receive."},           \
		{GROUP(socket_group, KEY_SYSTEM_GROUP),                                            \
			.help = "The system group, by name or number, that owns the socket file. " \
				"Without it: that of the daemon."},                                \
	{                                                                                          \
		GROUP(allow_receive, KEY_PRINCIPALS),                                              \
			.max = ALLOWED_MAX, .fallback = "socket",                                  \
			.help = "Who may receive, at the socket file and at the control socket. "  \
				"[] is nobody."                                                    \
	}

static const struct key group_keys[] = {
	{GROUP(address, KEY_ADDRESS), .required = true, .unless = "merge",
		.help = "A multicast address, of 224.0.0.0/4 or ff00::/8; a broadcast address; "
			"or an address of this host, 0.0.0.0 or ::, for unicast, which is "
			"received only."},
	{GROUP(port, KEY_NUMBER), .min = 1, .max = 65535, .required = true, .unless = "merge",
		.help = "The UDP port."},
	{GROUP(merge, KEY_STRINGS), .min = 1, .max = MERGE_LEGS_MAX,
		.example = "[\"feed-a\", \"feed-b\"]",
		.help = "Instead of an address: the names of other groups that carry the same "
			"datagrams, as redundant feeds do. The first copy of each is received, as "
			"sequence numbers them; without that, what has the same payload within 50 "
			"ms is a copy."},
	{GROUP(interfaces, KEY_STRINGS), .min = 1, .example = "[\"eth0\"]",
		.help = "The interfaces to join on: names, alternative names, addresses, globs; "
			"with ! in front, those to leave out. Without it: all that can do "
			"multicast, except lo and the ports of bridges, bonds and teams."},
	{GROUP(sources, KEY_ADDRESSES), .min = 1,
		.help = "Receive from these senders only, by a source-specific join (SSM)."},
	{GROUP(block_sources, KEY_ADDRESSES), .min = 1,
		.help = "Receive from all senders except these."},
	HANDLERS_ROW,
	{GROUP(inputs, KEY_STRINGS), .example = "[\"hq\"]",
		.help = "Names of handlers that speak to a broker: what comes from other sites "
			"there is sent to the group, from import_port."},
	{GROUP(receive_buffer, KEY_SIZE), .min = 4 * KIB,
		.max = GIB - MIB, /* it is an int, and the kernel doubles it */
		.fallback = "4M",
		.help = "The kernel's receive buffer of each membership, as for SO_RCVBUF."},
	{GROUP(coalesce, KEY_BOOL), .fallback = "false",
		.help = "Whether to receive the datagrams that a sender, or the network card, "
			"passes in one buffer together (UDP_GRO). Costs far less for streams that "
			"are sent like this. The kernel then counts the buffers that it drops, not "
			"the datagrams."},
	{GROUP(duplicates, KEY_CHOICE), .choices = duplicates_choices, .fallback = "keep",
		.help = "Whether to drop what arrives a second time because two interfaces are on "
			"the same network: the same sender, port and payload by another interface, "
			"within a second."},
	{GROUP(refresh, KEY_DURATION), .min = 1000 * MS, .max = DAY,
		.help = "How often the memberships are reported to the network again, for snooping "
			"switches that forget them because no querier asks. Without it: only when "
			"they change."},
	{GROUP(expect_within, KEY_DURATION), .min = 100 * MS, .max = 365 * DAY,
		.help = "The longest time without a datagram. A longer one is an event, silence. "
			"Without it: nothing is expected."},
	{GROUP(expect_rate, KEY_RATES), .min = 1, .max = 2,
		.help = "How many datagrams are expected: the least, like \"900/s\", or from and "
			"to, like [\"900/s\", \"1100/s\"], where the least may be \"0/s\". More or "
			"less in a second, or in a longer time for slow rates, is an event, rate. "
			"Without it: any number is."},
	{GROUP(expect_senders, KEY_PREFIXES), .min = 1,
		.help = "The senders that are expected, like \"192.0.2.0/24\". A datagram of "
			"another one is an event, unknownSender, and is delivered. Without it: "
			"all are."},
	{GROUP(expect_one_sender, KEY_BOOL), .fallback = "false",
		.help = "Whether one sender at a time is expected. Where others send as well, that "
			"is an event, senderConflict. One that takes over is none."},
	{GROUP(sequence, KEY_STRING), .max = 32, .example = "\"u32@4\"",
		.help = "How the datagrams are numbered, so that those that never come are "
			"counted: rtp, moldudp64, mpeg-ts, iperf, or an integer and the offset of "
			"its first byte in the payload, like u32@4 or u64le@8. Without it: they "
			"are not."},
	{GROUP(step, KEY_NUMBER), .min = 1, .max = 1 << 24, .fallback = "1",
		.help = "How much such an integer grows from one datagram to the next, where it "
			"counts bytes or samples."},
	{GROUP(ttl, KEY_NUMBER), .min = 0, .max = 255, .fallback = "1",
		.help = "TTL or hop limit of sent datagrams: 1 stays on the link, 0 on this host."},
	{GROUP(loop, KEY_BOOL), .fallback = "true",
		.help = "Whether receivers on this host get what is sent."},
	{GROUP(dscp, KEY_NUMBER), .min = 0, .max = 63, .fallback = "0",
		.help = "The DSCP of sent datagrams, 46 for EF."},
	{GROUP(send_interface, KEY_STRINGS), .min = 1, .example = "[\"eth0\"]",
		.help = "The interfaces to send on: names, alternative names or addresses. Without "
			"it: all joined interfaces where interfaces is given, else the kernel's "
			"route."},
	{GROUP(source_address, KEY_ADDRESS), .example = "\"192.0.2.1\"",
		.help = "The address to send from. Without it: the one that names the interface, "
			"else for IPv4 its first, for IPv6 what the kernel chooses."},
	{GROUP(source_port, KEY_NUMBER), .min = 1, .max = 65535,
		.help = "The port to send from. Without it: any."},
	{GROUP(replies, KEY_BOOL), .fallback = "false",
		.help = "Whether what comes back to the port that the group sends from is received "
			"as datagrams of the group."},
	SOCKET_ROWS,
	{GROUP(allow_send, KEY_PRINCIPALS), .max = ALLOWED_MAX, .fallback = "socket",
		.help = "Who may send, at the socket file and at the control socket. [] is "
			"nobody."},
	{GROUP(socket_empty, KEY_BOOL), .fallback = "true",
		.help = "Whether programs at the socket file get datagrams without payload, which "
			"many take for the end of the connection."},
};

const struct schema group_schema = {
	group_keys, ARRAY_SIZE(group_keys), sizeof(struct config_group)};

static const struct key events_keys[] = {HANDLERS_ROW, SOCKET_ROWS};

const struct schema events_schema = {
	events_keys, ARRAY_SIZE(events_keys), sizeof(struct config_group)};

static const char *const drop_policies[] = {
	[DROP_NEWEST] = "newest", [DROP_OLDEST] = "oldest", NULL};

static const char *const strips[] = {[STRIP_NONE] = "none", [STRIP_RTP] = "rtp", NULL};

static const struct key handler_keys[] = {
	{HANDLER(type, KEY_STRING), .required = true, .example = "\"file\"",
		.help = "The kind of handler, see below."},
	{HANDLER(queue, KEY_SIZE), .min = 64 * KIB, .max = GIB, .fallback = "4M",
		.help = "Size of the queue of a slow handler. Each datagram takes about 60 bytes "
			"beside its payload. Not for the type udp, which never waits."},
	{HANDLER(queue_datagrams, KEY_NUMBER), .min = 1, .max = 1000000000,
		.help = "The most datagrams in the queue, whatever their size. Without it: as many "
			"as fit."},
	{HANDLER(drop, KEY_CHOICE), .choices = drop_policies, .fallback = "newest",
		.help = "Which datagrams to drop when the queue is full."},
	{HANDLER(strip, KEY_CHOICE), .choices = strips, .fallback = "none",
		.help = "What to take away from each datagram that passes the filter: the "
			"header of RTP. What has none is dropped."},
};

const struct schema handler_schema = {
	handler_keys, ARRAY_SIZE(handler_keys), sizeof(struct config_handler)};

/* Keys with a dot stand in an inner block: filter: { sources = [...]; not: { prefix = "..."; }; }.
 * prefix: of their names; test: the member; only: what the words begin with. */
#define TEST_ROWS(prefix_, test, only)                                                            \
	{FILTER(prefix_ "sources", test.sources, KEY_PREFIXES), .min = 1,                         \
		.help = only " datagrams from these senders, as addresses or prefixes "           \
			     "(10.0.0.0/8)."},                                                    \
		{FILTER(prefix_ "block_sources", test.block_sources, KEY_PREFIXES), .min = 1,     \
			.help = only " datagrams that are not from these senders."},              \
		{FILTER(prefix_ "min_size", test.min_size, KEY_NUMBER), .min = 0,                 \
			.max = DATAGRAM_MAX, .fallback = "0",                                     \
			.help = only " payloads of at least this size, in bytes."},               \
		{FILTER(prefix_ "max_size", test.max_size, KEY_NUMBER), .min = 0,                 \
			.max = DATAGRAM_MAX, .fallback = "65527",                                 \
			.help = only " payloads of at most this size, in bytes."},                \
		{FILTER(prefix_ "prefix", test.prefix, KEY_STRING), .max = 256,                   \
			.help = only " payloads that begin with this text, or with these bytes: " \
				     "0x and hexadecimal digits."},                               \
	{                                                                                         \
		FILTER(prefix_ "match", test.match, KEY_STRINGS),                                 \
			.min = 1, .max = MATCHES_MAX, .example = "[\"u16@2 == 7\"]",              \
			.help = only " payloads that fulfil these conditions, see below."         \
	}

static const struct key filter_keys[] = {
	TEST_ROWS("filter.", is, "Only"),
	TEST_ROWS("filter.not.", is_not, "With the others in not, all of which must hold: no"),
	{FILTER("rate", rate_interval_ns, KEY_RATE),
		.help = "The highest rate of datagrams. Those above it are dropped."},
	{FILTER("burst", burst, KEY_NUMBER), .min = 1, .max = 1000000000,
		.help = "The number of datagrams that may arrive at once within the rate. Without "
			"it: those of one second."},
	{FILTER("sample", sample, KEY_NUMBER), .min = 1, .max = 1000000000, .fallback = "1",
		.help = "Pass one datagram out of this number. The others are filtered."},
};

const struct schema filter_schema = {
	filter_keys, ARRAY_SIZE(filter_keys), sizeof(struct config_filter)};

static const struct key control_keys[] = {
	{.name = "socket",
		.type = KEY_PATH,
		.offset = offsetof(struct config, control_socket),
		.max = SOCKET_PATH_MAX,
		.fallback = CONTROL_SOCKET_DEFAULT,
		.help = "Path of the control socket. $MCASTD_SOCKET comes before the default."},
};

const struct schema control_schema = {
	control_keys, ARRAY_SIZE(control_keys), sizeof(struct config)};

/* As many as anybody needs, and few enough that each reload may compare them one by one. */
#define LISTEN_MAX 16

#define HTTP(member, type) KEY(struct config_http, member, type)

static const struct key http_keys[] = {
	{HTTP(listen, KEY_STRINGS), .max = LISTEN_MAX, .example = "[\"127.0.0.1:9184\"]",
		.help = "Where to listen: ADDRESS:PORT, with the address of IPv6 in brackets, or "
			"the path of a UNIX socket. Without it: nowhere."},
	{HTTP(senders, KEY_BOOL), .fallback = "false",
		.help = "Whether the answers may have the addresses of senders. Whoever can "
			"connect sees them."},
	{HTTP(socket_mode, KEY_MODE), .fallback = "0666",
		.help = "Permissions of the files of UNIX sockets."},
	{HTTP(socket_group, KEY_SYSTEM_GROUP),
		.help = "The system group, by name or number, that owns these files. Without it: "
			"that of the daemon."},
};

const struct schema http_schema = {http_keys, ARRAY_SIZE(http_keys), sizeof(struct config_http)};

static const struct key config_keys[] = {
	{CONFIG(user, KEY_STRING), .max = GROUP_NAME_MAX, .example = "\"daemon\"",
		.help = "The user to become after a start as root. Without it: root."},
	{CONFIG(group, KEY_STRING), .max = GROUP_NAME_MAX, .example = "\"daemon\"",
		.help = "The system group to run as then. Without it: that of the user."},
	{CONFIG(run_directory, KEY_PATH), .max = RUN_DIRECTORY_MAX,
		.help = "The parent of the directory of group sockets. Without it: "
			"$RUNTIME_DIRECTORY or /run/mcastd."},
	{CONFIG(import_port, KEY_NUMBER), .min = 1, .max = 65535,
		.help = "The port that what comes in by inputs is sent from. No handler gives a "
			"broker what comes from it: it must be the same in all daemons of a "
			"network."},
};

const struct schema config_schema = {config_keys, ARRAY_SIZE(config_keys), sizeof(struct config)};
