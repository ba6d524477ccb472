/* ListGroups, ListHandlers, and GetStats, which is both: every group and handler with its counters.
 * The lists are made in pieces, each of which is of one moment. */
#include <string.h>

#include "base/json.h"
#include "control/describe.h"
#include "control/method.h"

/* Elements of a piece; shorter lists are of one moment altogether. */
#define PIECE_ITEMS 64

/* A handler names its groups: this many of them take as long as one more element. */
#define PIECE_NAMES 256

struct listing {
	struct answer answer;
	struct client *client; /* who gets it */
	const struct control_backend *backend;
	bool groups, handlers; /* lists that are not complete yet; the groups come first */
	bool begun; /* the first of them */
	size_t at; /* the next element */
	char last[GROUP_NAME_MAX + 1]; /* name of the element before, empty for none */
};

static size_t count(const struct listing *listing)
{
	return listing->groups ? groups_count(listing->backend->groups)
			       : handlers_count(listing->backend->handlers);
}

static const char *name_at(const struct listing *listing, size_t i)
{
	return listing->groups ? groups_at(listing->backend->groups, i)->config->name
			       : handler_name(handlers_at(listing->backend->handlers, i));
}

/* The list may have changed since the last piece. It is sorted by name, so it continues after the
 * last name. */
static void resume(struct listing *listing)
{
	size_t end = count(listing);

	if (listing->at && listing->at <= end &&
		!strcmp(name_at(listing, listing->at - 1), listing->last))
		return;
	listing->at = 0;
	while (listing->at < end && strcmp(name_at(listing, listing->at), listing->last) <= 0)
		listing->at++;
}

/* The group of events, while nobody gets any. */
static bool is_hidden(const struct group *group)
{
	return group->config->is_events && !group->outlets.count && !group->socket;
}

/* For who may receive the group, root and the daemon's own user. */
static bool may_see_senders(struct client *client, const struct group *group)
{
	const struct peer *peer = client_peer(client);

	return client_user(client)->privileged ||
	       (peer && group_permits(group, peer, ACCESS_RECEIVE));
}

/* Appends the next element. Returns how many elements it counts for. */
static int put_next(struct listing *listing, struct text *text)
{
	const struct control_backend *backend = listing->backend;
	size_t i = listing->at++;

	if (listing->groups && is_hidden(groups_at(backend->groups, i)))
		return 0;
	if (*listing->last && !text->length)
		text_append(text, ",", 1); /* the element before is written already */
	snprintf(listing->last, sizeof(listing->last), "%s", name_at(listing, i));
	if (listing->groups) {
		describe_group(text, groups_at(backend->groups, i),
			may_see_senders(listing->client, groups_at(backend->groups, i)));
		return 1;
	}
	describe_handler(text, backend->groups, handlers_at(backend->handlers, i));
	return 1 + (int)(groups_count(backend->groups) / PIECE_NAMES);
}

/* Continues the first list, for as many elements as there is room for. Returns whether it is
 * complete. */
static bool put_list(struct listing *listing, struct text *text, int *room)
{
	if (listing->begun) {
		resume(listing);
	} else {
		json_put_open(text, listing->groups ? "groups" : "handlers", '[');
		listing->begun = true;
		listing->at = 0;
		*listing->last = '\0';
	}
	while (*room > 0 && listing->at < count(listing))
		*room -= put_next(listing, text);
	if (listing->at < count(listing))
		return false;
	json_put_close(text, ']');
	listing->begun = false;
	*(listing->groups ? &listing->groups : &listing->handlers) = false;
	return true;
}

static bool next(struct answer *answer, struct text *text)
{
	struct listing *listing = container_of(answer, struct listing, answer);
	int room = PIECE_ITEMS;

	while ((listing->groups || listing->handlers) && put_list(listing, text, &room))
		;
	return !listing->groups && !listing->handlers;
}

static void free_listing(struct answer *answer)
{
	free(container_of(answer, struct listing, answer));
}

static enum call_result reply_lists(
	struct client *client, const struct call *call, bool groups, bool handlers)
{
	struct listing *listing;

	if (method_read_none(client, call) < 0)
		return CALL_DONE;
	listing = calloc(1, sizeof(*listing));
	if (!listing) {
		client_close(client);
		return CALL_DONE;
	}
	*listing = (struct listing){.answer = {.next = next, .free = free_listing},
		.client = client,
		.backend = method_backend(client),
		.groups = groups,
		.handlers = handlers};
	client_start_answer(client, &listing->answer);
	return CALL_DONE;
}

static enum call_result call_list_groups(struct client *client, const struct call *call)
{
	return reply_lists(client, call, true, false);
}

static enum call_result call_list_handlers(struct client *client, const struct call *call)
{
	return reply_lists(client, call, false, true);
}

static enum call_result call_get_stats(struct client *client, const struct call *call)
{
	return reply_lists(client, call, true, true);
}

const struct method list_groups_method = {.name = "io.mcastd.ListGroups", .call = call_list_groups};
const struct method list_handlers_method = {
	.name = "io.mcastd.ListHandlers", .call = call_list_handlers};
const struct method get_stats_method = {.name = "io.mcastd.GetStats", .call = call_get_stats};
