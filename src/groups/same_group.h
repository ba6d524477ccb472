/* Which of the daemon's sockets have joined the same group on the same interface: groups of the
 * configuration that differ in their ports. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct address;
struct membership;
struct same_groups;

/* Returns NULL without memory. */
struct same_groups *same_groups_new(void);

/* None may be left. Accepts NULL, as all of these do. */
void same_groups_free(struct same_groups *same);

/* Has joined, and is about to leave. */
void same_groups_add(struct same_groups *same, struct membership *membership);
void same_groups_remove(struct same_groups *same, struct membership *membership);

/* The first one, or the one after another; NULL: there are no more. */
struct membership *same_groups_next(const struct same_groups *same, const struct address *group,
	unsigned ifindex, const struct membership *after);

size_t same_groups_count(struct same_groups *same, const struct address *group, unsigned ifindex);

/* Differs once any was added or removed. */
uint32_t same_groups_changes(const struct same_groups *same);
