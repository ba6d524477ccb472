/* Has the groups follow the links and routes. The links are listed in the background, as the kernel
 * may hold that up; the groups that a change concerns are reconciled in portions of some
 * milliseconds, with other events in between. Each group is reconciled as a whole. Links that
 * change meanwhile are listed again, and concern groups again. */
#pragma once

#include <stdbool.h>

struct event_base;
struct follow;
struct forgotten;
struct group;
struct interface_list;
struct link_change;
struct transitions;

struct follow_callbacks {
	/* The links have changed: follow_group() is to be called for each group. */
	void (*changed)(void *argument);
	/* All that were concerned are reconciled. */
	void (*done)(void *argument);
};

/* Returns NULL without memory or descriptors. All that is given must live longer. */
struct follow *follow_new(struct event_base *base, struct forgotten *forgotten,
	struct transitions *transitions, const struct follow_callbacks *callbacks, void *argument);

/* No group may be due any more. Accepts NULL. */
void follow_free(struct follow *follow);

/* The interfaces as last read, always at the same place. */
const struct interface_list *follow_interfaces(const struct follow *follow);

/* The links or routes may have changed. change is NULL where nothing says so, and all groups are to
 * be compared with what there is. */
void follow_links(struct follow *follow, const struct link_change *change);

/* Has the group reconciled soon, where the change concerns it. */
void follow_group(struct follow *follow, struct group *group);

/* Reads the links at once, for the caller to reconcile all groups, between follow_read_now() and
 * follow_settle(). Returns 0 or a negative errno. */
int follow_read_now(struct follow *follow);
void follow_settle(struct follow *follow);

/* For those that cannot wait until a change is noticed: lists the links, and has the groups that
 * are concerned follow. Where the kernel holds that up, it goes on in the background, and
 * follow_interfaces() stays what it was. */
void follow_look(struct follow *follow);
