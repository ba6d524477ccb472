/* All groups, by name: changing them as a whole, and the taps that watch them. */
#pragma once

#include "base/errors.h"
#include "base/list.h"
#include "groups/group.h"
#include "handlers/handlers.h"

struct groups;
struct link_change;
struct users;

/* Watches groups by name, also those that come later, as far as a user may receive them: a
 * subscriber. Zeroed otherwise. */
struct tap {
	struct outlet outlet;
	struct link link;
	const struct peer *peer; /* must live as long as the tap */
	/* There will be nothing of this group any more. is_gone: it was removed, and the tap names
	 * it; else a reload has taken from the user one that the tap names, or watched. May remove
	 * the tap. */
	void (*lost)(struct tap *tap, const struct group *group, bool is_gone);
	const char *const *names; /* sorted, each once; they must live as long as the tap */
	size_t name_count; /* 0: all groups but that of events */
};

/* What the groups share with the rest of the daemon, which must live longer. */
struct groups_setup {
	struct event_base *base;
	struct users *users; /* of the programs at group sockets */
	struct counters *counters;
	struct store *store;
	struct notice_sink *notices; /* for events; NULL: nobody takes them */
	struct loop_guard *guard; /* of all relays: it may have memberships pause */
	bool receive_only; /* there are no sockets to send from */
	pid_t running; /* for a check: the daemon that runs, whose sockets are not in the way; else
			  0 */
	const char *mcastctl; /* the beginning of a command that asks this daemon; NULL: that
				 without the name of a socket */
	/* The groups have followed a change of the links. */
	void (*changed)(void *argument);
	void *argument;
};

/* An empty set, or NULL without memory. */
struct groups *groups_new(const struct groups_setup *setup);

/* What was found of an earlier run. */
const struct restored *groups_restored(const struct groups *groups);

/* Leaves all groups, except where the socket is stored for the next run. Accepts NULL. */
void groups_free(struct groups *groups);

/* Begins a change to the groups of wanted, with the handlers of a plan that is prepared. Then come
 * groups_prepare(), and groups_commit() or groups_abandon(), each until it says that there is no
 * more to do. wanted must live until the commit, and as long as the groups after it; that which it
 * replaces until the end of the commit. With dry_run no file is made either, and nothing can be
 * committed. Returns 0 or -ENOMEM. */
int groups_begin_change(struct groups *groups, const struct config *wanted,
	const struct handlers_plan *handlers, bool dry_run);

/* Makes the next group that is new or changed, beside what runs: all that can fail. A membership
 * that cannot be joined is no failure, its state tells why. Returns 1 while there is more to do;
 * then 0, or a negative errno with the reasons in errors, and nothing has changed. */
int groups_prepare(struct groups *groups, struct errors *errors);

/* Puts the next group in its place, and joins it; at the start, groups_reconcile() joins. Groups
 * that did not change keep their sockets, connections and counters; those that changed keep their
 * connections and counters; those that Join made stay. Returns whether there is more to do. */
bool groups_commit(struct groups *groups);

/* Frees the next group that was prepared. Returns whether there is more to do: not where no change
 * is under way. */
bool groups_abandon(struct groups *groups);

/* Whether a change is under way. */
bool groups_are_changing(const struct groups *groups);

/* Has the waiter called once a change has ended. */
void groups_wait(struct groups *groups, struct send_waiter *waiter);

/* Joins one more group until the daemon stops. Returns 0, -EEXIST, -ENOMEM, or -EBUSY while a
 * change is under way. */
int groups_join(
	struct groups *groups, const struct config_group *config, struct handlers *handlers);

/* Leaves a group that groups_join() made. Returns 0, -ENOENT, -EPERM when the configuration has it,
 * or -EBUSY while a change is under way. */
int groups_leave(struct groups *groups, const char *name);

/* After a change: makes the memberships match the current interfaces, all of them at the start, and
 * where there are many groups, soon and in portions. */
void groups_reconcile(struct groups *groups);

/* Does so soon, in portions that do not hold up the loop, for the groups that are concerned. change
 * is NULL where nothing has told of a change, and all groups are compared. Routes and queueing
 * disciplines are followed as well. */
void groups_follow_links(struct groups *groups, const struct link_change *change);

/* hints_check() for all of them. */
void groups_check_hints(struct groups *groups);

/* The network interfaces as last read for all groups. */
const struct interface_list *groups_interfaces(const struct groups *groups);

struct group *groups_find(const struct groups *groups, const char *name);

/* What the group of this name was joined as; NULL: there is none, or the configuration has it. */
const struct config_group *groups_find_joined(const struct groups *groups, const char *name);

/* In the order of their names. */
size_t groups_count(const struct groups *groups);
struct group *groups_at(const struct groups *groups, size_t i);

/* The place of the first group whose name comes after this one: for who continues after groups may
 * have come and gone. */
size_t groups_after(const struct groups *groups, const char *name);

/* Reports the memberships of a group, or of all, to the network again, as refresh_ask(). */
void groups_refresh(struct groups *groups, struct refresh_request *request);

/* Adds the memberships of all groups to the numbers of their states. */
void groups_count_memberships(
	const struct groups *groups, unsigned counts[static MEMBERSHIP_STATES]);

/* Attaches a tap to the groups of its names, also to those that a reload or Join makes later.
 * Returns 0 or -ENOMEM. Not to be called from a deliver(). */
int groups_add_tap(struct groups *groups, struct tap *tap);
void groups_remove_tap(struct groups *groups, struct tap *tap);
