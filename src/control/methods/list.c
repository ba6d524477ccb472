/* ListGroups, ListHandlers, and GetStats, which is both: every group and handler with its counters.
 * The lists are made in pieces, each of which is of one moment. */
#include <string.h>

#include "base/json.h"
#include "control/describe.h"
#include "control/methods/names.h"

/* Elements of a piece; shorter lists are of one moment altogether. */
#define PIECE_ITEMS 64

/* A handler names its groups, and a group its senders: this many of them take as long as one more
 * element. */
#define PIECE_NAMES 256
#define PIECE_SENDERS 8

struct listing {
	struct answer answer;
	struct client *client; /* who gets it */
	const struct control_backend *backend;
	struct string_list names; /* of the groups or handlers, when is_named */
	bool is_named;
	size_t charged; /* to the user, for the names */
	bool senders; /* of groups; they are kept from now on */
	bool groups, handlers; /* lists that are not complete yet; the groups come first */
	bool begun; /* the first of them */
	size_t at; /* the next element */
	char last[GROUP_NAME_MAX + 1]; /* name of the element before, empty for none */
};

static size_t count(const struct listing *listing)
{
	if (listing->is_named)
		return listing->names.count;
	return listing->groups ? groups_count(listing->backend->groups)
			       : handlers_count(listing->backend->handlers);
}

static const char *name_at(const struct listing *listing, size_t i)
{
	if (listing->is_named)
		return listing->names.items[i];
	return listing->groups ? groups_at(listing->backend->groups, i)->config->name
			       : handler_name(handlers_at(listing->backend->handlers, i));
}

/* The list may have changed since the last piece, but for names that were asked for: it continues
 * after the last name, as it is sorted. */
static void resume(struct listing *listing)
{
	const struct control_backend *backend = listing->backend;

	if (!listing->is_named)
		listing->at = listing->groups ? groups_after(backend->groups, listing->last)
					      : handlers_after(backend->handlers, listing->last);
}

/* For who may receive the group, root and the daemon's own user. */
static bool may_see_senders(struct client *client, const struct group *group)
{
	const struct peer *peer = client_peer(client);

	return client_user(client)->privileged ||
	       (peer && group_permits(group, peer, ACCESS_RECEIVE));
}

/* The group of an element; NULL: it is not shown, or has gone since it was named. */
static struct group *group_to_show(const struct listing *listing, size_t i)
{
	struct groups *groups = listing->backend->groups;
	struct group *group;

	if (listing->is_named)
		return groups_find(groups, listing->names.items[i]);
	group = groups_at(groups, i);
	return group_is_hidden(group) ? NULL : group;
}

/* The same for a handler. */
static struct handler *handler_to_show(const struct listing *listing, size_t i)
{
	struct handlers *handlers = listing->backend->handlers;

	return listing->is_named ? handlers_find(handlers, listing->names.items[i])
				 : handlers_at(handlers, i);
}

/* Returns how many elements it counts for. */
static int put_group(const struct listing *listing, struct group *group, struct text *text)
{
	struct group_shows shows = {.sources = may_see_senders(listing->client, group)};

	shows.senders = shows.sources && listing->senders;
	if (shows.senders)
		sender_watch_ask(group);
	describe_group(text, group, shows);
	return 1 + (shows.senders ? (int)(known_senders_count(group->sender_watch.known) /
					    PIECE_SENDERS)
				  : 0);
}

/* Appends the next element. Returns how many elements it counts for. */
static int put_next(struct listing *listing, struct text *text)
{
	const struct control_backend *backend = listing->backend;
	size_t i = listing->at++;
	struct group *group = listing->groups ? group_to_show(listing, i) : NULL;
	struct handler *handler = listing->groups ? NULL : handler_to_show(listing, i);

	if (!group && !handler)
		return 0;
	if (*listing->last && !text->length)
		text_append(text, ",", 1); /* the element before is written already */
	snprintf(listing->last, sizeof(listing->last), "%s", name_at(listing, i));
	if (group)
		return put_group(listing, group, text);
	describe_handler(text, backend->groups, handler);
	return 1 + (int)(groups_count(backend->groups) / PIECE_NAMES);
}

/* Continues the first list, for as many elements as there is room for; where each piece is a reply
 * of its own, it is a list of its own, too. Returns whether it is complete. */
static bool put_list(struct listing *listing, struct text *text, int *room)
{
	if (listing->begun) {
		resume(listing);
	} else {
		listing->at = 0;
		*listing->last = '\0';
	}
	if (!listing->begun || listing->answer.is_many)
		json_put_open(text, listing->groups ? "groups" : "handlers", '[');
	listing->begun = true;
	while (*room > 0 && listing->at < count(listing))
		*room -= put_next(listing, text);
	if (listing->at >= count(listing) || listing->answer.is_many)
		json_put_close(text, ']');
	if (listing->at < count(listing))
		return false;
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
	struct listing *listing = container_of(answer, struct listing, answer);

	user_release(client_user(listing->client), MEMORY_OUTPUT, listing->charged);
	string_list_clear(&listing->names);
	free(listing);
}

/* Takes the names of the model. */
static enum call_result reply(struct client *client, struct listing *model)
{
	struct listing *listing;

	if (model->names.count > PIECE_ITEMS && names_are_too_much(client)) {
		string_list_clear(&model->names);
		return CALL_DONE;
	}
	listing = calloc(1, sizeof(*listing));
	if (!listing) {
		string_list_clear(&model->names);
		client_close(client);
		return CALL_DONE;
	}
	*listing = *model;
	listing->answer.next = next;
	listing->answer.free = free_listing;
	listing->client = client;
	listing->backend = method_backend(client);
	listing->charged = string_list_memory(&listing->names);
	user_hold(client_user(client), MEMORY_OUTPUT, listing->charged);
	client_start_answer(client, &listing->answer);
	return CALL_DONE;
}

static enum call_result call_list_groups(struct client *client, const struct call *call)
{
	struct listing model = {.groups = true, .answer.is_many = call->more};
	json_t *array = NULL;
	const struct parameter rows[] = {
		{"groups", PARAMETER_NAMES, false, &array},
		{"senders", PARAMETER_FLAG, false, &model.senders},
	};

	if (method_read(client, call, rows, ARRAY_SIZE(rows)) < 0 ||
		names_read(client, array, false, "the answer has all", &model.names) < 0)
		return CALL_DONE;
	model.is_named = model.names.count;
	return reply(client, &model);
}

static enum call_result call_list_handlers(struct client *client, const struct call *call)
{
	struct listing model = {.handlers = true};
	json_t *array = NULL;
	const struct parameter rows[] = {{"handlers", PARAMETER_NAMES, false, &array}};

	if (method_read(client, call, rows, ARRAY_SIZE(rows)) < 0 ||
		names_read_handlers(client, array, &model.names) < 0)
		return CALL_DONE;
	model.is_named = model.names.count;
	return reply(client, &model);
}

static enum call_result call_get_stats(struct client *client, const struct call *call)
{
	if (method_read_none(client, call) < 0)
		return CALL_DONE;
	return reply(client, &(struct listing){.groups = true, .handlers = true});
}

const struct method list_groups_method = {.name = "io.mcastd.ListGroups", .call = call_list_groups};
const struct method list_handlers_method = {
	.name = "io.mcastd.ListHandlers", .call = call_list_handlers};
const struct method get_stats_method = {.name = "io.mcastd.GetStats", .call = call_get_stats};
