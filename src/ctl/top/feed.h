/* Where top's numbers come from: rounds of calls to the daemon, of which one is under way at most.
 * The daemon may go away and return. */
#pragma once

#include "ctl/session.h"
#include "ctl/top/model.h"

/* The daemon as a whole, as it was in the last round. */
struct daemon_status {
	char version[32];
	int64_t pid, groups, handlers, joined, waiting, failed;
	char started[TIMESTAMP_MAX];
};

struct feed {
	struct session *session;
	const char *const *names; /* of the groups wanted */
	size_t name_count; /* 0: all */
	struct client *client; /* NULL: not connected */
	struct model *model;
	struct daemon_status status;
	unsigned replies; /* that came of the round under way */
	bool is_busy; /* a round is under way */
	uint64_t begun_ns; /* of the round under way, or the last one; CLOCK_MONOTONIC */
	uint64_t answered_ns; /* the end of the last whole round; 0: none yet */
	struct text why; /* it has failed since, as what follows "mcastd"; empty: it has not */
};

/* Begins a round, and connects first if need be. Where that fails, why says it. */
void feed_begin(struct feed *feed);

/* Takes what has arrived. Returns 1 when the round is complete, 0 when more is to come, or -1 when
 * it has failed, and why says it. */
int feed_take(struct feed *feed);

/* The connection was lost: a negative errno of client_wait(). */
void feed_lose(struct feed *feed, int error);

/* One sentence for when it has failed, on standard error or as JSON. */
void feed_explain(const struct feed *feed, struct text *text);

void feed_clear(struct feed *feed);
