/* Reports memberships to the network again, without a gap in what is received: a snooping switch
 * forgets a port whose carrier was lost, or that it has long not heard of, and the kernel only
 * reports what has changed. report_sockets.h says how.
 *
 * The senders that a membership has are learned for a moment before, and kept for the next time.
 * Several sockets of one group on one interface are changed together, as the kernel reports what
 * all of them want. Nothing can be reported where a socket of another program has the group, too.
 *
 * The sockets are changed in the background: the kernel searches all memberships of the interface
 * for each, under a lock that others may hold for long. */
#pragma once

#include <stdbool.h>

#include "net/multicast.h"

struct event_base;
struct reports;

/* Embedded in whoever has the socket, and zeroed before. */
struct report {
	struct reports *queue; /* NULL: it is not queued */
	bool is_running; /* its socket is being changed */
	bool again; /* it is to be reported once more afterwards */
	size_t position; /* in the queue */
	struct address group;
	unsigned ifindex;
	bool rejoins;
	struct {
		struct address *items;
		size_t count;
	} senders; /* the last heard come first; until report_cancel() */
};

struct report_result {
	bool is_reported;
	int there_r; /* where it is not: a negative errno, or 0: it is for later */
	int back_r; /* a negative errno: the socket could not be changed back, and is to be closed
		       and joined again */
};

struct report_callbacks {
	/* Before the socket is changed: fills in what it is joined to, and returns the descriptor.
	 * It must stay open until end(), or until report_cancel() returns. Datagrams of other
	 * senders may be queued there until then. */
	int (*begin)(struct report *report, struct multicast_membership *ret);
	void (*end)(struct report *report, const struct report_result *result);
};

/* Returns NULL without memory or descriptors. callbacks must live longer. */
struct reports *reports_new(struct event_base *base, const struct report_callbacks *callbacks);

/* None may be queued any more. Accepts NULL. */
void reports_free(struct reports *reports);

/* Reports a membership within about 10 ms; many take longer, but do not hold up the loop. With
 * rejoins it leaves and joins instead: what IGMPv1, IGMPv2 and MLDv1 need, which know nothing of
 * sources. Returns 0 or -ENOMEM; 0 also where it is queued already. */
int report_add(struct reports *reports, struct report *report, const struct address *group,
	unsigned ifindex, bool rejoins);

/* Before the socket is closed. Waits where it is being changed, and end() is called then. Not to be
 * called from the callbacks, except for the report that has ended. */
void report_cancel(struct report *report);

/* Senders may be learned while it waits. */
static inline bool report_is_learning(const struct report *report)
{
	return report->queue && !report->is_running;
}

/* A sender of the membership. */
void report_learn(struct report *report, const union endpoint *sender);
