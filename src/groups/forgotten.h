/* Which memberships the kernel has removed: with their interface, which may be back under the same
 * index, or when the protocol of an interface was reset. It does not tell the sockets.
 *
 * What was found may be older than a membership: each is compared with what was found after it was
 * joined only, by a clock that counts the findings. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/joined.h"

struct forgotten {
	uint32_t now; /* the clock */
	struct {
		struct gone {
			unsigned ifindex;
			uint32_t at;
		} * items;
		size_t count;
	} gone; /* interfaces that were deleted, or left the namespace */
	struct joined joined; /* all memberships of this host */
	bool has_joined;
	bool is_sure; /* nothing of this process was joined or left while the list was read */
	uint32_t began; /* when reading the list did */
};

/* The time now. forgotten may be NULL, in all of these. */
uint32_t forgotten_now(const struct forgotten *forgotten);

/* A finding begins: returns its time, which is later than all before. */
uint32_t forgotten_tick(struct forgotten *forgotten);

/* Returns 0 or -ENOMEM. */
int forgotten_note_gone(struct forgotten *forgotten, const unsigned *indexes, size_t count);

/* Takes over the kernel's list, empties *joined, and replaces the list from before. */
void forgotten_note_joined(
	struct forgotten *forgotten, struct joined *joined, uint32_t began, bool is_sure);

/* All memberships were compared. */
void forgotten_clear(struct forgotten *forgotten);

/* Whether the interface was deleted after a time. */
bool forgotten_is_gone(const struct forgotten *forgotten, unsigned ifindex, uint32_t since);

/* Whether the group is not joined on the interface by anybody, as far as the kernel's list tells,
 * which was read after a time. The list may not be exact. */
bool forgotten_seems_left(const struct forgotten *forgotten, const struct address *group,
	unsigned ifindex, uint32_t since);

/* The same, but that a list that may not be exact is read again first. */
bool forgotten_is_left(
	struct forgotten *forgotten, const struct address *group, unsigned ifindex, uint32_t since);

/* As joined_is_older(). */
bool forgotten_is_older(
	const struct forgotten *forgotten, const struct address *group, unsigned ifindex);
