/* Reports memberships to the network again, without a gap in what is received: a snooping switch
 * forgets a port whose carrier was lost, and the kernel only reports what has changed. So the
 * socket's source filter is changed and changed back at once; what the kernel then sends is the
 * state of now, once for the change and once more for safety (RFC 3376, 4.2.12, 6.4; RFC 3810).
 *
 * Meanwhile, for microseconds, an any-source membership only takes the senders that it is known to
 * have. They are learned for a moment before. Several sockets of one group on one interface are
 * changed together, as the kernel reports what all of them want. Nothing can be reported where a
 * socket of another program has the group, too.
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
	} senders;
};

struct report_callbacks {
	/* Before the socket is changed: fills in what it is joined to, and returns the descriptor.
	 * It must stay open until end(), or until report_cancel() returns. Datagrams of other
	 * senders may be queued there until then. */
	int (*begin)(struct report *report, struct multicast_membership *ret);
	/* Afterwards. r is a negative errno where the socket could not be changed back: it is to be
	 * closed and joined again. */
	void (*end)(struct report *report, int r);
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

/* Waits where the socket is being changed, and end() is called then. Not to be called from the
 * callbacks, except for the report that has ended. */
void report_cancel(struct report *report);

/* Senders may be learned while it waits. */
static inline bool report_is_learning(const struct report *report)
{
	return report->queue && !report->is_running;
}

/* A sender of the membership. */
void report_learn(struct report *report, const union endpoint *sender);
