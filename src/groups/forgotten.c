#include "groups/forgotten.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"

uint32_t forgotten_now(const struct forgotten *forgotten)
{
	return forgotten ? forgotten->now : 0;
}

uint32_t forgotten_tick(struct forgotten *forgotten)
{
	return ++forgotten->now;
}

int forgotten_note_gone(struct forgotten *forgotten, const unsigned *indexes, size_t count)
{
	uint32_t now = forgotten_tick(forgotten);
	int r = 0;

	for (size_t i = 0; i < count && r >= 0; i++)
		r = array_add(&forgotten->gone, (struct gone){indexes[i], now});
	return r;
}

static void drop_joined(struct forgotten *forgotten)
{
	joined_clear(&forgotten->joined);
	forgotten->has_joined = false;
}

void forgotten_note_joined(
	struct forgotten *forgotten, struct joined *joined, uint32_t began, bool is_sure)
{
	drop_joined(forgotten);
	forgotten->joined = *joined;
	*joined = (struct joined){0};
	forgotten->has_joined = true;
	forgotten->began = began;
	forgotten->is_sure = is_sure;
}

void forgotten_clear(struct forgotten *forgotten)
{
	drop_joined(forgotten);
	free(forgotten->gone.items);
	memset(&forgotten->gone, 0, sizeof(forgotten->gone));
}

bool forgotten_is_gone(const struct forgotten *forgotten, unsigned ifindex, uint32_t since)
{
	for (size_t i = 0; forgotten && i < forgotten->gone.count; i++)
		if (forgotten->gone.items[i].ifindex == ifindex &&
			forgotten->gone.items[i].at > since)
			return true;
	return false;
}

/* The kernel counts through its list for each part that is read, so that a membership that is left
 * meanwhile hides another one. */
static void read_again(struct forgotten *forgotten)
{
	uint32_t began = forgotten_tick(forgotten);
	struct joined joined = {0};

	if (joined_read(&joined) >= 0)
		forgotten_note_joined(forgotten, &joined, began, true);
	else
		drop_joined(forgotten);
}

bool forgotten_seems_left(const struct forgotten *forgotten, const struct address *group,
	unsigned ifindex, uint32_t since)
{
	return forgotten && forgotten->has_joined && forgotten->began > since &&
	       !joined_contains(&forgotten->joined, group, ifindex);
}

bool forgotten_is_left(
	struct forgotten *forgotten, const struct address *group, unsigned ifindex, uint32_t since)
{
	if (!forgotten_seems_left(forgotten, group, ifindex, since))
		return false;
	if (!forgotten->is_sure)
		read_again(forgotten);
	return forgotten_seems_left(forgotten, group, ifindex, since);
}

bool forgotten_is_older(
	const struct forgotten *forgotten, const struct address *group, unsigned ifindex)
{
	return forgotten && forgotten->has_joined &&
	       joined_is_older(&forgotten->joined, group, ifindex);
}
