/* The fan-out: the subscribers of one user, with the same system groups, that want the same groups
 * in the same framing. A batch is formatted once for all of them, and written to each from the same
 * bytes. What some did not read at once waits in shared buffers, once for all of them. */
#include "control/subscriber.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/hash.h"
#include "base/json.h"
#include "formats/format.h"

/* Size of the shared buffers that collect small answers; a larger answer gets one of its own. */
#define SHARED_SIZE (16 * 1024)

/* Groups whose gaps a subscriber may have, however much its user holds. */
#define GAPS_LEAST 64

struct fan_out {
	struct tap tap;
	struct link link; /* in the set */
	struct client_set *set;
	struct user *user;
	struct peer peer;
	char terminator;
	struct string_list groups; /* sorted and unique; none: all groups */
	size_t charged; /* to the user, for groups */
	uint64_t hash; /* of groups */
	struct link subscribers;
	struct shared_buffer *buffer; /* to which answers are added; NULL: none waits */
};

/* How many datagrams of a group a subscriber missed since it was last told. */
struct gap {
	char group[GROUP_NAME_MAX + 1];
	uint64_t count;
};

struct gaps {
	struct gap *items; /* sorted by group */
	size_t count;
};

struct subscriber {
	struct link link; /* in the fan-out */
	struct fan_out *fan_out;
	struct client_stream stream;
	struct client *client;
	struct gaps
		gaps; /* while there are any, nothing is sent until half of the output is read */
};

/* The answers for one batch. The first of them, shared_count, are in shared buffers, too. */
struct formatted_batch {
	struct fan_out *fan_out;
	struct text *text; /* all answers, one after the other */
	unsigned count; /* of answers; 0 without memory for them */
	size_t ends[BATCH_MAX]; /* in text */
	unsigned shared_count;
	struct {
		struct shared_buffer *buffer;
		size_t start;
	} shared[BATCH_MAX];
};

static void begin_answer(struct text *text)
{
	json_put_open(text, NULL, '{');
	json_put_open(text, "parameters", '{');
}

static void end_answer(struct text *text, char terminator)
{
	json_put_close(text, '}');
	json_put_true(text, "continues");
	json_put_close(text, '}');
	text_append(text, &terminator, 1);
}

static void format_batch(struct formatted_batch *formatted, const struct batch *batch)
{
	struct text *text = formatted->text;
	struct format_head head = {0};

	text_clear(text);
	for (unsigned i = 0; i < batch->count; i++) {
		begin_answer(text);
		json_put_member(text, "datagram");
		format_json(text, &head, batch->origin, &batch->datagrams[i]);
		end_answer(text, formatted->fan_out->terminator);
		formatted->ends[i] = text->length;
	}
	formatted->count = text_failed(text) ? 0 : batch->count;
}

static size_t start_of(const struct formatted_batch *formatted, unsigned i)
{
	return i ? formatted->ends[i - 1] : 0;
}

/* Which answer the byte at this offset belongs to. */
static unsigned find_answer(const struct formatted_batch *formatted, size_t offset)
{
	unsigned i = 0;

	while (i < formatted->count && formatted->ends[i] <= offset)
		i++;
	return i;
}

/* Makes room for size more bytes in the fan-out's buffer. */
static int make_room(struct fan_out *fan_out, size_t size)
{
	struct shared_buffer *buffer = fan_out->buffer;

	if (buffer && buffer->capacity - buffer->length >= size)
		return 0;
	buffer = shared_buffer_new(fan_out->user, size > SHARED_SIZE ? size : SHARED_SIZE);
	if (!buffer)
		return -ENOMEM;
	shared_buffer_unref(fan_out->buffer);
	fan_out->buffer = buffer;
	return 0;
}

/* Copies the answers up to this one to shared buffers, unless they are there. They keep their
 * order, so that several that wait for one subscriber are contiguous. */
static int share_up_to(struct formatted_batch *formatted, unsigned last)
{
	struct fan_out *fan_out = formatted->fan_out;

	for (unsigned i = formatted->shared_count; i <= last; i++) {
		size_t start = start_of(formatted, i), size = formatted->ends[i] - start;
		struct shared_buffer *buffer;
		int r = make_room(fan_out, size);

		if (r < 0)
			return r;
		buffer = fan_out->buffer;
		memcpy(buffer->data + buffer->length, formatted->text->data + start, size);
		formatted->shared[i].buffer = shared_buffer_ref(buffer);
		formatted->shared[i].start = buffer->length;
		buffer->length += size;
		formatted->shared_count = i + 1;
	}
	return 0;
}

/* Adds an answer without its first skipped bytes to what waits for a subscriber. */
static int enqueue_answer(
	struct formatted_batch *formatted, unsigned i, size_t skipped, struct outbox *output)
{
	size_t start, size = formatted->ends[i] - start_of(formatted, i);
	int r = share_up_to(formatted, i);

	if (r < 0)
		return r;
	start = formatted->shared[i].start;
	return outbox_add_shared(
		output, formatted->shared[i].buffer, start + skipped, start + size);
}

static int compare_gap(const void *group, const void *gap)
{
	return strcmp(group, ((const struct gap *)gap)->group);
}

/* A subscriber that misses datagrams of very many groups, while its user holds too much anyway. */
static void disconnect_greedy(struct subscriber *subscriber)
{
	struct client *client = subscriber->client;

	if (!client_output(client)->broken && log_limit_pass(&client_set(client)->gaps_limit))
		log_warning(
			"control socket: disconnecting a subscriber of uid %u: it does not read, "
			"and has missed datagrams of %zu groups",
			(unsigned)client_user(client)->uid, subscriber->gaps.count);
	client_abort(client);
}

/* Without memory the gap is not counted. */
static void count_gap(struct subscriber *subscriber, const char *group, unsigned count)
{
	struct user *user = client_user(subscriber->client);
	struct gaps *gaps = &subscriber->gaps;
	size_t at = lower_bound(group, gaps->items, gaps->count, sizeof(*gaps->items), compare_gap);

	if (at == gaps->count || strcmp(gaps->items[at].group, group)) {
		struct gap *items;

		if (gaps->count >= GAPS_LEAST && user_holds_too_much(user, MEMORY_OUTPUT)) {
			disconnect_greedy(subscriber);
			return;
		}
		items = array_grow(gaps->items, gaps->count, sizeof(*items));
		if (!items)
			return;
		user_hold(user, MEMORY_OUTPUT, sizeof(*items));
		gaps->items = items;
		memmove(items + at + 1, items + at, (gaps->count++ - at) * sizeof(*items));
		items[at].count = 0;
		snprintf(items[at].group, sizeof(items[at].group), "%s", group);
	}
	gaps->items[at].count += count;
}

static void clear_gaps(struct subscriber *subscriber)
{
	struct gaps *gaps = &subscriber->gaps;

	user_release(subscriber->fan_out->user, MEMORY_OUTPUT, gaps->count * sizeof(*gaps->items));
	free(gaps->items);
	*gaps = (struct gaps){0};
}

/* A shared buffer with this text; NULL without memory. */
static struct shared_buffer *share_text(struct user *user, const struct text *text)
{
	struct shared_buffer *buffer = text_failed(text) ? NULL
							 : shared_buffer_new(user, text->length);

	if (!buffer)
		return NULL;
	memcpy(buffer->data, text->data, text->length);
	buffer->length = text->length;
	return buffer;
}

/* Tells the subscriber what it missed. Without memory the gaps stay. */
static void tell_gaps(struct subscriber *subscriber)
{
	struct outbox *output = client_output(subscriber->client);
	struct gaps *gaps = &subscriber->gaps;
	AUTO_TEXT struct text text = {0};
	struct shared_buffer *buffer;

	if (!gaps->count)
		return;
	for (size_t i = 0; i < gaps->count; i++) {
		begin_answer(&text);
		json_put_open(&text, "gap", '{');
		json_put_string(&text, "group", gaps->items[i].group);
		json_put_number(&text, "count", gaps->items[i].count);
		json_put_close(&text, '}');
		end_answer(&text, subscriber->fan_out->terminator);
	}
	buffer = share_text(output->user, &text);
	if (!buffer)
		return;
	if (outbox_add_shared(output, buffer, 0, buffer->length) == 0)
		clear_gaps(subscriber);
	shared_buffer_unref(buffer);
}

/* The same, once it has read half of the output. */
static void tell_gaps_if_read(struct subscriber *subscriber)
{
	if (client_output(subscriber->client)->size < OUTPUT_MAX / 2 &&
		client_has_room(subscriber->client))
		tell_gaps(subscriber);
}

/* Enqueues what the subscriber did not take, from this offset on. An answer that was partly written
 * must be completed, whatever that takes; without memory the connection is aborted. */
static void enqueue(struct subscriber *subscriber, struct formatted_batch *formatted, size_t taken,
	const char *group)
{
	struct client *client = subscriber->client;

	for (unsigned i = find_answer(formatted, taken); i < formatted->count; i++) {
		size_t start = start_of(formatted, i), skipped = taken > start ? taken - start : 0;
		bool room = !subscriber->gaps.count && client_has_room(client);

		if ((room || skipped) &&
			enqueue_answer(formatted, i, skipped, client_output(client)) == 0)
			continue;
		if (skipped)
			client_abort(client);
		count_gap(subscriber, group, formatted->count - i);
		return;
	}
}

static void deliver_to(
	struct subscriber *subscriber, struct formatted_batch *formatted, const struct batch *batch)
{
	struct outbox *output = client_output(subscriber->client);
	const struct text *text = formatted->text;
	size_t taken = 0;

	tell_gaps_if_read(subscriber);
	if (!formatted->count)
		count_gap(subscriber, batch->origin->group, batch->count);
	else if (!output->size && !subscriber->gaps.count)
		taken = client_try(subscriber->client, text->data, text->length);
	if (taken < text->length && !output->broken)
		enqueue(subscriber, formatted, taken, batch->origin->group);
	client_watch(subscriber->client);
}

/* Releases the fan-out's buffer when all have read all of it. */
static void tidy(struct fan_out *fan_out)
{
	if (fan_out->buffer && fan_out->buffer->references == 1)
		shared_buffer_unref(take(fan_out->buffer));
}

/* Its user has had its share of the loop's time. */
static void skip(struct fan_out *fan_out, const struct batch *batch)
{
	struct subscriber *subscriber;

	list_for_each(subscriber, &fan_out->subscribers, link)
		count_gap(subscriber, batch->origin->group, batch->count);
}

static void deliver(struct outlet *outlet, const struct batch *batch)
{
	struct fan_out *fan_out = container_of(outlet, struct fan_out, tap.outlet);
	struct formatted_batch formatted;
	struct subscriber *subscriber;
	bool has_time = user_may_deliver(fan_out->user);

	if (!has_time) {
		skip(fan_out, batch);
		return;
	}
	formatted.fan_out = fan_out;
	formatted.text = &fan_out->set->formatted;
	formatted.shared_count = 0;
	format_batch(&formatted, batch);
	list_for_each(subscriber, &fan_out->subscribers, link) {
		if (has_time)
			deliver_to(subscriber, &formatted, batch);
		else
			count_gap(subscriber, batch->origin->group, batch->count);
		has_time = has_time && user_delivered(fan_out->user);
	}
	while (formatted.shared_count)
		shared_buffer_unref(formatted.shared[--formatted.shared_count].buffer);
	text_recycle(formatted.text, TEXT_SPARE);
	tidy(fan_out);
}

/* With the terminator of each name. */
static uint64_t hash_names(const struct string_list *names)
{
	uint64_t hash = HASH_BEGIN;

	for (size_t i = 0; i < names->count; i++)
		hash = hash_bytes(hash, names->items[i], strlen(names->items[i]) + 1);
	return hash;
}

static bool same_names(const struct string_list *a, const struct string_list *b)
{
	for (size_t i = 0; i < a->count && i < b->count; i++)
		if (strcmp(a->items[i], b->items[i]))
			return false;
	return a->count == b->count;
}

/* Most fan-outs differ in the hash: long lists of names are compared only when it is the same. */
static struct fan_out *find_fan_out(struct client *client, const struct string_list *groups)
{
	uint64_t hash = hash_names(groups);
	struct fan_out *fan_out;

	list_for_each(fan_out, &client_set(client)->fan_outs, link)
		if (fan_out->hash == hash && fan_out->user == client_user(client) &&
			fan_out->terminator == client_terminator(client) &&
			peer_equal(&fan_out->peer, client_peer(client)) &&
			same_names(&fan_out->groups, groups))
			return fan_out;
	return NULL;
}

/* The last answer, the same for all; NULL without memory. */
static struct shared_buffer *make_refusal(
	struct fan_out *fan_out, const struct group *group, bool is_gone)
{
	AUTO_TEXT struct text why = {0}, text = {0};

	if (is_gone)
		text_printf(&why, "group %s was removed; mcastctl groups lists those that are left",
			group->config->name);
	else
		permission_explain(
			group->config, &group->owner, &fan_out->peer, ACCESS_RECEIVE, &why);
	json_put_open(&text, NULL, '{');
	json_put_string(
		&text, "error", is_gone ? "io.mcastd.NoSuchGroup" : "io.mcastd.NotPermitted");
	json_put_open(&text, "parameters", '{');
	json_put_string(&text, "group", group->config->name);
	json_put_string(&text, "message", text_string(&why));
	json_put_close(&text, '}');
	json_put_close(&text, '}');
	text_append(&text, &fan_out->terminator, 1);
	return share_text(fan_out->user, &text);
}

/* Ends all subscribers; the last one frees the fan-out. */
static void on_lost(struct tap *tap, const struct group *group, bool is_gone)
{
	struct fan_out *fan_out = container_of(tap, struct fan_out, tap);
	struct shared_buffer *refusal = make_refusal(fan_out, group, is_gone);
	bool is_last;

	do {
		struct subscriber *subscriber = list_first(
			&fan_out->subscribers, struct subscriber, link);
		struct client *client = subscriber->client;

		is_last = subscriber->link.next == &fan_out->subscribers;
		tell_gaps(subscriber);
		if (refusal)
			outbox_add_shared(client_output(client), refusal, 0, refusal->length);
		client_end_stream(client);
	} while (!is_last);
	shared_buffer_unref(refusal);
}

/* Estimates the memory of a fan-out: that of its names, and of its place in each group. */
static size_t cost(const struct string_list *names)
{
	return sizeof(struct fan_out) + string_list_memory(names) +
	       names->count * sizeof(struct fan_out *);
}

static struct fan_out *fan_out_new(struct client *client, struct string_list *groups)
{
	struct client_set *set = client_set(client);
	struct fan_out *fan_out = calloc(1, sizeof(*fan_out));

	if (!fan_out)
		return NULL;
	*fan_out = (struct fan_out){.set = set,
		.user = client_user(client),
		.terminator = client_terminator(client),
		.groups = *groups,
		.hash = hash_names(groups),
		.tap = {.outlet = {.deliver = deliver, .needs = NEED_ALL | NEED_PROMPT},
			.names = (const char *const *)groups->items,
			.name_count = groups->count,
			.lost = on_lost}};
	fan_out->tap.peer = &fan_out->peer;
	list_init(&fan_out->subscribers);
	if (peer_copy(&fan_out->peer, client_peer(client)) < 0 ||
		groups_add_tap(set->backend->groups, &fan_out->tap) < 0) {
		peer_clear(&fan_out->peer);
		free(fan_out);
		return NULL;
	}
	list_append(&set->fan_outs, &fan_out->link);
	fan_out->charged = cost(groups);
	user_hold(fan_out->user, MEMORY_OUTPUT, fan_out->charged);
	*groups = (struct string_list){0};
	return fan_out;
}

static void fan_out_free(struct fan_out *fan_out)
{
	link_remove(&fan_out->link);
	groups_remove_tap(fan_out->set->backend->groups, &fan_out->tap);
	shared_buffer_unref(fan_out->buffer);
	peer_clear(&fan_out->peer);
	user_release(fan_out->user, MEMORY_OUTPUT, fan_out->charged);
	string_list_clear(&fan_out->groups);
	free(fan_out);
}

static void on_written(struct client_stream *stream)
{
	struct subscriber *subscriber = container_of(stream, struct subscriber, stream);

	tidy(subscriber->fan_out);
	tell_gaps_if_read(subscriber);
}

static void free_subscriber(struct client_stream *stream)
{
	struct subscriber *subscriber = container_of(stream, struct subscriber, stream);

	link_remove(&subscriber->link);
	clear_gaps(subscriber);
	if (list_is_empty(&subscriber->fan_out->subscribers))
		fan_out_free(subscriber->fan_out);
	free(subscriber);
}

int subscriber_new(struct client *client, struct string_list *groups)
{
	struct subscriber *subscriber = calloc(1, sizeof(*subscriber));
	struct fan_out *fan_out = subscriber ? find_fan_out(client, groups) : NULL;

	if (subscriber && !fan_out)
		fan_out = fan_out_new(client, groups);
	if (!fan_out) {
		free(subscriber);
		return -ENOMEM;
	}
	subscriber->client = client;
	subscriber->fan_out = fan_out;
	subscriber->stream = (struct client_stream){.written = on_written, .free = free_subscriber};
	list_append(&fan_out->subscribers, &subscriber->link);
	client_start_stream(client, &subscriber->stream);
	return 0;
}
