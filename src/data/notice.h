/* What the daemon tells of itself: the events of the group "events" (mcastd.conf(5)). They are
 * called notices here, as libevent has a struct event. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "net/address.h"

struct text;

enum notice_kind {
	NOTICE_MEMBERSHIP, /* a membership was joined, waits, cannot be joined, or was left */
	NOTICE_RELAY_LOOP, /* an address brings back what was relayed */
	NOTICE_SAME_NETWORK_TWICE, /* two interfaces are on one network */
	NOTICE_LOSS, /* count numbers of a stream never came */
	NOTICE_REORDER, /* count came after a higher one */
	NOTICE_DUPLICATES, /* count came twice */
	NOTICE_RATE, /* count datagrams in some time are not what the group expects */
	NOTICE_UNKNOWN_SENDER, /* count datagrams of a sender that the group does not expect */
	NOTICE_SENDER_CONFLICT, /* two senders send to a group that expects one */
	NOTICE_MERGE_LEG_SILENT, /* a group that is made of others lacks one of them */
	NOTICE_SILENCE, /* a group received nothing within expect_within */
	NOTICE_SUPPRESSED, /* there are more events than are told at once: count of them wait */
	NOTICE_KINDS,
};

enum notice_state { NOTICE_ONCE, NOTICE_BEGIN, NOTICE_END };

/* What is NULL or 0 does not belong to the kind. */
struct notice {
	enum notice_kind kind;
	enum notice_state state;
	const char *group, *interface, *handler; /* names */
	const char *other_interface; /* NOTICE_SAME_NETWORK_TWICE: the second one */
	const struct address *source; /* the sender */
	const char *other_source; /* NOTICE_SENDER_CONFLICT: the second one, as text */
	const char *leg; /* NOTICE_MERGE_LEG_SILENT: a group */
	const char *detail; /* NOTICE_MEMBERSHIP: its state; and why, where there is a reason */
	const char *why;
	uint64_t count; /* datagrams, or numbers of them */
	uint64_t nanoseconds; /* NOTICE_SILENCE: how long nothing came; NOTICE_RATE: in what time
				 count came */
	int level; /* of the log line, as in syslog(3) */
	const char *text; /* the log line; NULL: the caller has logged it */
};

/* Takes notices. Embedded in the object that does. */
struct notice_sink {
	void (*take)(struct notice_sink *sink, const struct notice *notice);
};

/* Hands a notice on, from the loop only. What it points to is valid until this returns. Accepts
 * NULL as sink. */
static inline void notice_send(struct notice_sink *sink, const struct notice *notice)
{
	if (sink)
		(sink->take)(sink, notice); /* not the macro of that name */
}

/* "membership", "relayLoop", ...: the member event of the JSON object. */
const char *notice_name(enum notice_kind kind);

/* The MESSAGE_ of base/log.h for its log line. */
const char *notice_message_id(const struct notice *notice);

/* The member count: datagrams or numbers where the kind counts them, else how many notices it
 * stands for, which is at least 1. Only of a kind that measures it may be 0. */
uint64_t notice_count(const struct notice *notice);

/* The count of a notice that stands for those before it, too, with their count; 0: there is none.
 * It is the sum, or the last one where it was measured. */
uint64_t notice_add_count(const struct notice *notice, uint64_t before);

/* Appends the JSON object, without a line feed. timestamp_ns is CLOCK_REALTIME. */
void notice_append_json(struct text *text, const struct notice *notice, uint64_t timestamp_ns);

/* What limits hold for: the kind, the group, and the sender, or else the interface. */
uint64_t notice_topic_hash(const struct notice *notice);
bool notice_topic_equal(const struct notice *a, const struct notice *b);

/* A copy with all that it points to, to be freed with free(3). NULL without memory. */
struct notice *notice_copy(const struct notice *notice);
