#include "control/listing.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"

struct listing {
	struct answer answer;
	const struct control_backend *backend;
	unsigned lists; /* that are not done with */
	bool begun; /* the first of them */
	size_t at; /* in the first of them */
	char last[GROUP_NAME_MAX +
		  1]; /* what comes before that, if anything: lists may change between two pieces */
	bool separate; /* the next element is the first of a piece, but not of its array */
};

static void separate(struct listing *listing, struct text *text)
{
	if (listing->separate)
		text_append(text, ",", 1);
	listing->separate = false;
}

static void remember(struct listing *listing, const char *name)
{
	size_t length = strnlen(name, GROUP_NAME_MAX);

	memcpy(listing->last, name, length);
	listing->last[length] = '\0';
	listing->at++;
}

/* Groups are sorted: the list goes on after the last name, whatever came and went meanwhile. */
static void resume_groups(struct listing *listing)
{
	const struct groups *groups = listing->backend->groups;
	size_t low = 0, high = groups_count(groups);

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(groups_at(groups, middle)->config->name, listing->last) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	listing->at = low;
}

/* Handlers are in the order of the configuration, and change with it only: the list goes on after
 * the same handler. */
static void resume_handlers(struct listing *listing)
{
	const struct handlers *handlers = listing->backend->handlers;

	for (size_t i = 0; i < handlers_count(handlers); i++)
		if (!strcmp(handler_name(handlers_at(handlers, i)), listing->last))
			listing->at = i + 1;
}

/* Appends groups while there is room in the piece. Returns whether that were all. */
static bool list_groups(struct listing *listing, struct text *text, unsigned *room)
{
	const struct groups *groups = listing->backend->groups;

	for (; *room && listing->at < groups_count(groups); (*room)--) {
		struct group *group = groups_at(groups, listing->at);

		separate(listing, text);
		describe_group(text, group);
		remember(listing, group->config->name);
	}
	return listing->at >= groups_count(groups);
}

static bool list_handlers(struct listing *listing, struct text *text, unsigned *room)
{
	const struct control_backend *backend = listing->backend;
	unsigned cost = 1 + (unsigned)(groups_count(backend->groups) / PIECE_NAMES);

	while (*room && listing->at < handlers_count(backend->handlers)) {
		struct handler *handler = handlers_at(backend->handlers, listing->at);

		separate(listing, text);
		describe_handler(text, backend->groups, handler);
		remember(listing, handler_name(handler));
		*room -= cost < *room ? cost : *room;
	}
	return listing->at >= handlers_count(backend->handlers);
}

/* Goes on with the first list, begins it if need be. Returns whether it is done with. */
static bool list_some(struct listing *listing, struct text *text, unsigned *room)
{
	bool groups = listing->lists & LIST_GROUPS;
	bool done;

	if (!listing->begun) {
		listing->begun = true;
		listing->at = 0;
		listing->last[0] = '\0';
		listing->separate = false;
		json_put_open(text, groups ? "groups" : "handlers", '[');
	}
	done = groups ? list_groups(listing, text, room) : list_handlers(listing, text, room);
	if (!done)
		return false;
	json_put_close(text, ']');
	listing->begun = false;
	listing->lists &= groups ? ~(unsigned)LIST_GROUPS : 0;
	return true;
}

static bool next(struct answer *answer, struct text *text)
{
	struct listing *listing = container_of(answer, struct listing, answer);
	unsigned room = PIECE_ITEMS;

	listing->separate = listing->begun && *listing->last;
	if (listing->separate)
		(listing->lists & LIST_GROUPS ? resume_groups : resume_handlers)(listing);
	while (listing->lists && list_some(listing, text, &room))
		;
	return !listing->lists;
}

static void free_listing(struct answer *answer)
{
	free(container_of(answer, struct listing, answer));
}

enum call_result listing_reply(struct client *client, const struct call *call, unsigned lists)
{
	struct listing *listing;

	if (method_read_none(client, call) < 0)
		return CALL_DONE;
	listing = calloc(1, sizeof(*listing));
	if (!listing) {
		client_reply(client, NULL);
		return CALL_DONE;
	}
	listing->answer = (struct answer){.next = next, .free = free_listing};
	listing->backend = method_backend(client);
	listing->lists = lists;
	client_start_answer(client, &listing->answer);
	return CALL_DONE;
}
