/* What the daemon tells of itself: the events of the group "events" (mcastd.conf(5)). They are
 * called notices here, as libevent has a struct event. */
#pragma once

#include <stdint.h>

#include "net/address.h"

enum notice_kind {
	NOTICE_MEMBERSHIP, /* a membership was joined, waits, or cannot be joined */
	NOTICE_RELAY_LOOP, /* an address brings back what was relayed */
	NOTICE_SAME_NETWORK_TWICE, /* two interfaces are on one network */
	NOTICE_SILENCE, /* a group received nothing within expect_within */
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
	const char *detail; /* NOTICE_MEMBERSHIP: its state; and why, where there is a reason */
	const char *why;
	uint64_t count; /* datagrams */
	uint64_t nanoseconds; /* NOTICE_SILENCE: how long nothing came */
	int level; /* of the log line, as in syslog(3) */
	const char *text; /* the log line; NULL: the caller has logged it */
};

/* Takes notices. Embedded in the object that does. */
struct notice_sink {
	void (*take)(struct notice_sink *sink, const struct notice *notice);
};

/* Hands a notice on. Accepts NULL as sink. */
static inline void notice_send(struct notice_sink *sink, const struct notice *notice)
{
	if (sink)
		(sink->take)(sink, notice); /* take() is a macro, too */
}
