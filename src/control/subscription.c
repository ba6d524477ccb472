#include "control/subscription.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/escape.h"
#include "data/format.h"
#include "groups/groups.h"

/* What a subscriber missed of one group since it was last told. */
struct gap {
	struct gap *next;
	uint64_t count;
	char group[];
};

struct subscription {
	struct tap tap;
	struct client_stream stream;
	struct client *client;
	char **names;
	size_t name_count;
	struct gap *gaps;
	bool missing; /* a gap is open: nothing is sent until half of the output is read */
	struct text text;
};

static void count_gap(struct subscription *subscription, const char *group, unsigned count)
{
	struct gap *gap = subscription->gaps;

	while (gap && strcmp(gap->group, group))
		gap = gap->next;
	if (!gap) {
		gap = calloc(1, sizeof(*gap) + strlen(group) + 1);
		if (!gap)
			return;
		strcpy(gap->group, group);
		gap->next = subscription->gaps;
		subscription->gaps = gap;
	}
	gap->count += count;
	subscription->missing = true;
}

static void tell_gaps(struct subscription *subscription)
{
	struct text *text = &subscription->text;

	while (subscription->gaps) {
		struct gap *gap = subscription->gaps;

		subscription->gaps = gap->next;
		text_clear(text);
		text_append_string(text, "{\"gap\":{\"group\":");
		text_append_json(text, gap->group, strlen(gap->group));
		text_printf(text, ",\"count\":%llu}}", (unsigned long long)gap->count);
		client_reply_raw(subscription->client, text->data, text->length, true);
		free(gap);
	}
	subscription->missing = false;
}

static void tell_datagram(
	struct subscription *subscription, const struct origin *origin, const struct datagram *datagram)
{
	struct text *text = &subscription->text;

	text_clear(text);
	text_append_string(text, "{\"datagram\":");
	format_json(text, origin, datagram);
	text_append(text, "}", 1);
	if (text_failed(text))
		count_gap(subscription, origin->group, 1);
	else
		client_reply_raw(subscription->client, text->data, text->length, true);
}

static void deliver(struct outlet *outlet, const struct batch *batch)
{
	struct subscription *subscription = container_of(outlet, struct subscription, tap.outlet);

	if (subscription->missing && client_backlog(subscription->client) < OUTPUT_MAX / 2)
		tell_gaps(subscription);
	for (unsigned i = 0; i < batch->count; i++) {
		if (subscription->missing || client_backlog(subscription->client) >= OUTPUT_MAX) {
			count_gap(subscription, batch->origin->group, batch->count - i);
			break;
		}
		tell_datagram(subscription, batch->origin, &batch->datagrams[i]);
	}
}

static void drained(struct client_stream *stream)
{
	tell_gaps(container_of(stream, struct subscription, stream));
}

static void free_subscription(struct client_stream *stream)
{
	struct subscription *subscription = container_of(stream, struct subscription, stream);

	groups_remove_tap(client_set(subscription->client)->backend->groups, &subscription->tap);
	while (subscription->gaps) {
		struct gap *next = subscription->gaps->next;

		free(subscription->gaps);
		subscription->gaps = next;
	}
	for (size_t i = 0; i < subscription->name_count; i++)
		free(subscription->names[i]);
	free(subscription->names);
	text_free(&subscription->text);
	free(subscription);
}

int subscription_start(struct client *client, char **names, size_t count)
{
	struct subscription *subscription = calloc(1, sizeof(*subscription));

	if (!subscription)
		return -ENOMEM;
	subscription->client = client;
	subscription->stream = (struct client_stream){.drained = drained, .free = free_subscription};
	subscription->tap.outlet = (struct outlet){.deliver = deliver, .needs = NEED_ALL};
	subscription->tap.names = (const char *const *)names;
	subscription->tap.name_count = count;
	if (groups_add_tap(client_set(client)->backend->groups, &subscription->tap) < 0) {
		free(subscription);
		return -ENOMEM;
	}
	subscription->names = names;
	subscription->name_count = count;
	client_start_stream(client, &subscription->stream);
	return 0;
}
