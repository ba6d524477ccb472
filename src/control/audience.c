#include "control/audience.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct audience {
	struct tap tap;
	struct client_set *set;
	struct audience *next;
	struct audience_key key;
	struct seat *seats;
	struct block *block; /* where what is kept is added; NULL: nothing is */
};

/* When all have read all, nothing is kept. */
static void tidy(struct audience *audience)
{
	if (audience->block && audience->block->references == 1)
		block_unref(take(audience->block));
}

static void deliver(struct outlet *outlet, const struct batch *batch)
{
	struct audience *audience = container_of(outlet, struct audience, tap.outlet);
	struct press *press = &audience->set->press;

	press_print(press, batch, audience->key.terminator);
	for (struct seat *seat = audience->seats; seat; seat = seat->next)
		seat->deliver(seat, press, batch);
	press_clear(press);
	tidy(audience);
}

int audience_keep(
	struct seat *seat, struct press *press, unsigned i, size_t skipped, struct outbox *output)
{
	return press_keep(press, &seat->audience->block, i, skipped, output);
}

void audience_has_read(struct seat *seat)
{
	tidy(seat->audience);
}

void audience_free_names(char **names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

/* FNV-1a. Most audiences differ in it, and long lists of names are only compared when they are the
 * same. */
static uint64_t hash_names(char **names, size_t count)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < count; i++)
		for (const char *at = names[i];; at++) {
			hash = (hash ^ (unsigned char)*at) * 0x100000001b3;
			if (!*at)
				break;
		}
	return hash;
}

static bool is_same(const struct audience_key *a, const struct audience_key *b)
{
	if (a->hash != b->hash || a->user != b->user || a->terminator != b->terminator ||
		a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->names[i], b->names[i]))
			return false;
	return true;
}

static struct audience *find_audience(struct client_set *set, const struct audience_key *key)
{
	struct audience *audience = set->audiences;

	while (audience && !is_same(&audience->key, key))
		audience = audience->next;
	return audience;
}

static struct audience *make_audience(struct client_set *set, const struct audience_key *key)
{
	struct audience *audience = calloc(1, sizeof(*audience));

	if (!audience)
		return NULL;
	audience->set = set;
	audience->key = *key;
	audience->tap = (struct tap){
		.outlet = {.deliver = deliver, .needs = NEED_ALL | NEED_PROMPT},
		.names = (const char *const *)key->names,
		.name_count = key->count};
	if (groups_add_tap(set->backend->groups, &audience->tap) < 0) {
		free(audience);
		return NULL;
	}
	audience->next = set->audiences;
	set->audiences = audience;
	return audience;
}

int audience_enter(struct client_set *set, const struct audience_key *key, struct seat *seat)
{
	struct audience_key full = *key;
	struct audience *audience;

	full.hash = hash_names(key->names, key->count);
	audience = find_audience(set, &full);
	if (audience)
		audience_free_names(key->names, key->count);
	else
		audience = make_audience(set, &full);
	if (!audience)
		return -ENOMEM;
	seat->audience = audience;
	seat->next = audience->seats;
	seat->link = &audience->seats;
	if (seat->next)
		seat->next->link = &seat->next;
	audience->seats = seat;
	return 0;
}

static void free_audience(struct audience *audience)
{
	struct audience **link = &audience->set->audiences;

	while (*link != audience)
		link = &(*link)->next;
	*link = audience->next;
	groups_remove_tap(audience->set->backend->groups, &audience->tap);
	block_unref(audience->block);
	audience_free_names(audience->key.names, audience->key.count);
	free(audience);
}

void audience_leave(struct seat *seat)
{
	struct audience *audience = seat->audience;

	*seat->link = seat->next;
	if (seat->next)
		seat->next->link = seat->link;
	if (!audience->seats)
		free_audience(audience);
}
