/* The configuration: read, checked as a whole, and from then on immutable. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/errors.h"
#include "config/schema.h"
#include "net/target.h"

/* Where something stands in the configuration. file is owned by the struct config; NULL: it came
 * from the command line or the control socket. */
struct place {
	const char *file;
	unsigned line;
};

#define EVENTS_GROUP "events" /* no other group may have the name */

/* While files are read: the line of a key (0: it is absent), and whether its value was refused, so
 * that no later check judges it. One for each row of the schema. */
struct key_mark {
	unsigned line;
	bool failed;
};

/* What happens to a datagram that came in by another interface already. */
enum duplicates { DUPLICATES_KEEP, DUPLICATES_DROP };

#define GROUP_SOCKET_MODE 0660

struct config_group {
	char *name; /* at most GROUP_NAME_MAX of GROUP_NAME_CHARACTERS, no leading '.' */
	struct place place;
	bool is_events; /* the group of the daemon's own events: it has no address and does not
			   send; all but the keys of events_schema is zero */
	struct address address;
	int64_t port;
	struct string_list interfaces; /* names, alternative names, addresses, globs, with '!' in
					  front those to leave out; empty: all that can do
					  multicast, but lo and ports */
	struct address_list sources;
	struct address_list block_sources;
	struct string_list handlers;
	struct string_list inputs; /* handlers whose brokers' datagrams are sent to the group */
	uint64_t receive_buffer; /* bytes, as for SO_RCVBUF */
	bool coalesce; /* UDP_GRO: receive the datagrams of one buffer together */
	uint64_t refresh; /* ns between two reports of a membership; 0: only when it changes */
	uint64_t expect_within; /* ns without a datagram that are an event; 0: none are */
	struct string_list merge; /* names of the groups that it is made of; it has no address then,
				     and does not send */
	struct string_list expect_rate; /* config_expected_rate() */
	struct prefix_list expect_senders; /* anybody else is an event; empty: nobody is */
	bool expect_one_sender; /* at a time */
	char *sequence; /* how its datagrams are numbered (numbering.h); NULL: they are not */
	int64_t step; /* from one number to the next */
	int64_t ttl;
	bool loop;
	int64_t dscp;
	struct string_list send_interface; /* names, alternative names, addresses; empty: all joined
					      interfaces if interfaces is given, else the route */
	struct address source_address; /* AF_UNSPEC: the first of the interface */
	int64_t source_port; /* 0: any */
	int duplicates; /* enum duplicates */
	bool replies; /* receive what comes back to the port that it sends from */
	bool socket;
	int64_t socket_mode; /* by default GROUP_SOCKET_MODE; of the socket file, and who may use
				the group without one */
	bool socket_empty;
	struct principal socket_group; /* PRINCIPAL_NONE: that of the daemon */
	struct principal_list allow_send, allow_receive; /* with PRINCIPAL_SOCKET: also those of
							    socket_mode and socket_group */
	struct key_mark *marks; /* NULL once the configuration is loaded */
};

/* Groups that another one may be made of, by merge. */
#define MERGE_LEGS_MAX 8

/* Whether its datagrams are made here: the daemon's events, or what other groups receive. It has no
 * address, and nothing is sent to it. */
static inline bool config_group_is_made_here(const struct config_group *group)
{
	return group->is_events || group->merge.count;
}

/* Where a handler relays datagrams to. */
struct config_relay {
	struct address address;
	int64_t port;
	const char *interface; /* NULL: any */
	bool loop; /* other groups of this host receive it, too */
};

/* Takes what is wrong with the value of a key. */
typedef void config_complain(void *argument, const char *key, const char *why);

/* What the configuration must know about a kind of handler. struct handler_kind embeds it. */
struct config_kind {
	const char *name; /* the value of the key "type" */
	/* Whether deliver() may block: disk, journal, a terminal, a program. It then runs in its
	 * own thread, behind a bounded queue; otherwise in the loop, and must return at once. */
	bool may_block;
	struct schema schema; /* the kind's own keys */
	/* For a kind that is no type of handlers, but a block of its name in a group: the keys that
	 * may stand there, the first ones of schema. The rest of schema is taken from the group's
	 * keys of these names. The handler is named "GROUP.KIND". count is 0 for other kinds. */
	struct schema block;
	/* Checks what no single row can; or NULL. Returns 0, or -EINVAL with the reason in why and
	 * the key at fault in *ret_key. */
	int (*check)(const void *settings, const char **ret_key, char why[static WHY_MAX]);
	/* Whether it relays datagrams, and where to, so that a group that would hear its own
	 * handler is refused. NULL: it does not. */
	bool (*relays)(const void *settings, struct config_relay *ret);
	/* Whether it sends with the address of the sender. NULL: it does not. */
	bool (*keeps_source)(const void *settings);
	/* The port that it sends from; 0: any. NULL where keeps_source is. */
	int64_t (*source_port)(const void *settings);
	/* It sends what it gets beyond this network: it gets neither replies nor what came in by
	 * inputs, which leaves from import_port. */
	bool exports;
	/* A group may name it in inputs. */
	bool imports;
	/* Whether it can be used by a group of this name. NULL: by all. Returns 0, or -EINVAL with
	 * the reason in why. */
	int (*check_group)(const void *settings, const char *group, char why[static WHY_MAX]);
	/* Whether two handlers of the kind are one and the same client for their broker, which
	 * disconnects the first of them then. NULL: none are. */
	bool (*is_same_client)(const void *settings, const void *other);
	/* Whether two handlers of the kind take in the same of what comes for a group. NULL: the
	 * kind imports nothing. */
	bool (*takes_in_same)(const void *settings, const void *other, const char *group);
	/* Reports the files that it has to read and cannot, by their keys; or NULL. Not a part of
	 * check: only who runs the daemon can read them. */
	void (*check_files)(const void *settings, config_complain *complain, void *argument);
	/* The path of the file that it writes, which no other handler may write unless it is a
	 * character device. NULL, or the function returns NULL: it writes none. */
	const char *(*file)(const void *settings);
};

/* Conditions in a filter: each is tried with each datagram. */
#define MATCHES_MAX 16

/* What may be asked of a datagram. All that is given must hold. */
struct config_test {
	struct prefix_list sources; /* empty: all */
	struct prefix_list block_sources;
	int64_t min_size, max_size; /* bytes */
	char *prefix; /* the payload's first bytes: text, or "0x" and hexadecimal digits */
	struct string_list match; /* conditions on the payload (match.h) */
};

/* Whether anything is asked. */
bool config_test_is_given(const struct config_test *test);

/* Which datagrams a handler gets, before its queue: those for which the first test holds, and the
 * second one, where it is given, does not. */
struct config_filter {
	struct config_test is, is_not;
	uint64_t rate_interval_ns; /* between two datagrams; 0: no limit */
	int64_t burst; /* datagrams at once, within the rate; 0: those of one second */
	int64_t sample; /* one datagram out of this number */
};

struct text;

/* What expect_rate says, in datagrams a second; most is 0 where it says nothing of it. Returns 0,
 * or -EINVAL with the reason in why. */
int config_expected_rate(const struct string_list *rate, double *ret_least, double *ret_most,
	char why[static WHY_MAX]);

/* Appends the bytes that a prefix stands for. Returns 0, or -EINVAL when 0x is not followed by
 * pairs of hexadecimal digits. */
int config_filter_prefix(const char *prefix, struct text *bytes);

/* Reports what no single key of a filter can check: the key at fault, and why. */
void config_filter_check(const struct config_filter *filter,
	void (*report)(void *argument, const char *key, const char *why), void *argument);

enum drop_policy { DROP_NEWEST, DROP_OLDEST };

/* What is taken away from datagrams that have passed the filter. */
enum strip { STRIP_NONE, STRIP_RTP };

struct config_handler {
	char *name;
	struct place place;
	char *type; /* the name of the kind */
	const struct config_kind *kind;
	void *settings; /* kind->schema.size bytes */
	uint64_t queue; /* bytes */
	int64_t queue_datagrams; /* 0: as many as fit */
	int drop; /* enum drop_policy */
	int strip; /* enum strip */
	struct config_filter filter;
	struct key_mark *marks; /* of all its parts; NULL once the configuration is loaded */
};

/* A table of keys, and what it fills in. A handler has three: the keys of every handler, those of
 * its filter, and those of its kind. */
struct config_part {
	const struct schema *schema;
	void *settings;
	struct key_mark *marks; /* one a row; NULL once the configuration is loaded */
};

#define HANDLER_PARTS 3

/* Writes the parts, without that of a kind which is not known. They are read-only where the handler
 * is. Returns their number. */
size_t config_handler_parts(
	const struct config_handler *handler, struct config_part ret[static HANDLER_PARTS]);

/* The HTTP server: metrics and the status page. */
struct config_http {
	struct place place;
	struct string_list listen; /* addresses that listen_address_parse() takes; empty: off */
	bool senders; /* whether answers have addresses of senders */
	int64_t socket_mode; /* of the files of UNIX sockets */
	struct principal socket_group; /* PRINCIPAL_NONE: that of the daemon */
};

#define CONTROL_SOCKET_DEFAULT "/run/mcastd.sock"

struct config {
	struct config_group *groups; /* in the order of the files */
	size_t group_count;
	struct config_group events;
	struct config_handler *handlers; /* by name; "log" and "journal" are always there */
	size_t handler_count;
	char *control_socket;
	struct config_http http;
	char *run_directory;
	int64_t import_port; /* that what comes in by inputs is sent from; 0: there are none */
	char *user, *group; /* to run as, when started as root; NULL: none */
	struct place user_place, group_place, run_directory_place, control_place; /* of the keys
									that are given */
	struct string_list files; /* those that were read, in their order */
	struct errors warnings; /* of config_find_warnings() */
};

/* Reads path and then (all).conf of the directory beside it in the order of their names, and checks
 * all of it. The directory is conf.d for mcastd.conf, and NAME.d for any other NAME.conf. path may
 * be NULL: compiled defaults alone. kinds lists every kind of handler, NULL at the end. Returns 0
 * and a configuration to be freed with config_free(); or -EINVAL with at least one line in errors,
 * each "file:line: what is wrong, what to write instead"; without the line where the file itself
 * cannot be read. */
int config_load(const char *path, const struct config_kind *const *kinds, struct errors *errors,
	struct config **ret);

/* Adds to config->warnings what is permitted, but hardly what was meant: one line each, "file:line:
 * groups.NAME: warning: ...". For a configuration without errors, before it runs. Takes n log n. */
void config_find_warnings(struct config *config);

/* The same of one more group, alone: "group NAME: warning: ...". */
void config_find_group_warnings(
	const struct config *config, const struct config_group *group, struct errors *warnings);

/* Adds an error about something that a key of the file decides: "FILE:LINE: WHY", or why alone
 * where place has no file, as the default holds. */
void config_add_error(struct errors *errors, const struct place *place, const char *format, ...)
	PRINTF_LIKE(3, 4);

void config_free(struct config *config);
DEFINE_CLEANUP(struct config *, config_free)

/* All keys but those of the kinds. */
extern const struct schema group_schema; /* struct config_group */
extern const struct schema events_schema; /* struct config_group, with is_events */
extern const struct schema handler_schema; /* struct config_handler */
extern const struct schema filter_schema; /* struct config_filter, of any handler */
extern const struct schema control_schema; /* struct config */
extern const struct schema http_schema; /* struct config_http */
extern const struct schema config_schema; /* struct config */

/* A group with the defaults, to be filled in with schema_set(&group_schema, ...). Copies name. */
int config_group_init(struct config_group *group, const char *name);
void config_group_clear(struct config_group *group);

/* A copy that may outlive the configuration; it has no place. Returns 0 or -ENOMEM. */
int config_group_copy(struct config_group *ret, const struct config_group *group);

/* Moves the group into the configuration, which then owns it; *group is left empty. Pointers into
 * config->groups are no longer valid. Returns 0, or -ENOMEM and nothing has changed. */
int config_add_group(struct config *config, struct config_group *group);

/* Adds a handler that does not come from a file, such as the one that prints in ad hoc mode, with
 * its defaults. Returns it, or NULL without memory. Pointers into config->handlers are no longer
 * valid. */
struct config_handler *config_add_handler(
	struct config *config, const char *name, const struct config_kind *kind);

/* Checks what no single key can: the name, which must not be EVENTS_GROUP, sources of the group's
 * family, no sources beside block_sources, names of interfaces, handlers that exist in config, that
 * the group does not hear itself, and that do not let any host send into a network, the path of the
 * group socket. Adds one line for each error, "file:line: groups.NAME.KEY: ..." or "group NAME:
 * KEY: ..." when it did not come from a file, and returns their number. Does not compare it with
 * other groups. */
size_t config_check_group(
	const struct config *config, const struct config_group *group, struct errors *errors);

/* Whether an item can be that of a list of interfaces; may_be_pattern: also a glob, and with ! in
 * front. Returns 0, or -EINVAL with what is wrong in why. */
int config_check_interface(const char *item, bool may_be_pattern, char why[static WHY_MAX]);

/* Whether the list lets those who may by socket_mode and socket_group. */
bool config_asks_socket(const struct principal_list *list);

/* Whether sources or block_sources let datagrams of this sender in. */
bool config_group_takes(const struct config_group *group, const struct address *source);

/* Whether datagrams of senders of this family come in to the group: of its own, or that of one of
 * those that it is made of. False where there is no address. */
bool config_group_receives(
	const struct config *config, const struct config_group *group, sa_family_t family);

/* Whether the filter of a handler lets no sender of the group pass, as all that it names are of the
 * other family. */
bool config_filter_misses(const struct config *config, const struct config_group *group,
	const struct config_handler *handler);

/* Takes linear time: for the legs of merged groups. NULL: there is none. */
const struct config_group *config_find_group(const struct config *config, const char *name);

/* Takes log n. NULL: there is none. */
const struct config_handler *config_find_handler(const struct config *config, const char *name);

/* Whether it sends with the address of the sender, which takes CAP_NET_RAW at the start. */
bool config_handler_keeps_source(const struct config_handler *handler);

/* Whether it has the block relay. */
bool config_group_is_relayed(const struct config_group *group);

/* Whether all keys are equal; the place does not matter. */
bool config_group_equal(const struct config_group *a, const struct config_group *b);
bool config_handler_equal(const struct config_handler *a, const struct config_handler *b);

/* Whether a running handler can be the other one: they differ in their queues at most. */
bool config_handler_goes_on(const struct config_handler *was, const struct config_handler *next);

/* Orders groups by what they join: address, port, interfaces and sources. 0: the same. The order is
 * any, but always the same. */
int config_group_compare_joins(const struct config_group *a, const struct config_group *b);

/* ---- For this room only: nothing else changes a configuration ---- */

/* The compiled defaults, without any handler. NULL without memory. */
struct config *config_new(void);

/* A handler with its defaults, at the end; config_sort_handlers() must follow before any is
 * searched for. kind may be NULL: it is not known, and there are no settings. NULL without memory.
 */
struct config_handler *config_append_handler(
	struct config *config, const char *name, const struct config_kind *kind);
void config_sort_handlers(struct config *config);

/* Frees what only reading and checking need. */
void config_forget_marks(struct config *config);
