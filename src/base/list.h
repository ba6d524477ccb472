/* Doubly linked lists of objects that embed a link. A list is the link before its first and behind
 * its last object; so that an object leaves its list without knowing which one that is. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

/* Zeroed, an object's link is in no list. */
struct link {
	struct link *next, *previous;
};

/* An empty list at this place, which must not move while objects are in it. */
static inline void list_init(struct link *list)
{
	list->next = list->previous = list;
}

static inline bool list_is_empty(const struct link *list)
{
	return list->next == list;
}

/* Whether an object is in a list. */
static inline bool link_is_used(const struct link *link)
{
	return link->next;
}

/* Adds an object that is in no list at the end. */
static inline void list_append(struct link *list, struct link *link)
{
	link->next = list;
	link->previous = list->previous;
	list->previous->next = link;
	list->previous = link;
}

/* Takes the object out of its list, if it is in one. */
static inline void link_remove(struct link *link)
{
	if (!link->next)
		return;
	link->previous->next = link->next;
	link->next->previous = link->previous;
	*link = (struct link){0};
}

/* The first or last object, NULL when there is none. */
#define list_first(list, type, member) \
	(list_is_empty(list) ? NULL : container_of((list)->next, type, member))
#define list_last(list, type, member) \
	(list_is_empty(list) ? NULL : container_of((list)->previous, type, member))

/* Goes through the objects with item, a pointer to them. The one at hand may leave the list, and be
 * freed; the one after it must stay. */
#define list_for_each(item, list, member)                                                         \
	for (struct link *at_ = (list)->next, *next_ = at_->next;                                 \
		at_ != (list) && ((item) = container_of(at_, __typeof__(*(item)), member), true); \
		at_ = next_, next_ = at_->next)
