#include "control/subscription.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/escape.h"
#include "control/audience.h"
#include "control/gaps.h"

struct subscription {
	struct seat seat;
	struct client_stream stream;
	struct client *client;
	struct gaps
		gaps; /* while there are any, nothing is sent until half of the output is read */
};

static void tell_gaps(struct subscription *subscription)
{
	struct outbox *output = client_output(subscription->client);

	if (!gaps_any(&subscription->gaps) || output->size >= OUTPUT_MAX / 2 ||
		!client_has_room(subscription->client))
		return;
	gaps_tell(&subscription->gaps, client_terminator(subscription->client), output);
}

/* Keeps what the client did not take, from the byte at this place on. The answer that it has begun
 * is ended whatever it takes; without memory for that the connection is of no use any more. */
static void keep(
	struct subscription *subscription, struct press *press, size_t taken, const char *group)
{
	struct outbox *output = client_output(subscription->client);

	for (unsigned i = press_find(press, taken); i < press->count; i++) {
		size_t start = press_start(press, i), skipped = taken > start ? taken - start : 0;
		bool room = !gaps_any(&subscription->gaps) && client_has_room(subscription->client);

		if ((room || skipped) &&
			audience_keep(&subscription->seat, press, i, skipped, output) == 0)
			continue;
		if (skipped)
			client_break(subscription->client);
		gaps_count(&subscription->gaps, group, press->count - i);
		return;
	}
}

static void deliver(struct seat *seat, struct press *press, const struct batch *batch)
{
	struct subscription *subscription = container_of(seat, struct subscription, seat);
	struct outbox *output = client_output(subscription->client);
	size_t taken = 0;

	tell_gaps(subscription);
	if (!press->count)
		gaps_count(&subscription->gaps, batch->origin->group, batch->count);
	else if (!output->size && !gaps_any(&subscription->gaps))
		taken = client_try(subscription->client, press->text.data, press->text.length);
	if (taken < press->text.length && !output->broken)
		keep(subscription, press, taken, batch->origin->group);
	client_watch(subscription->client);
}

static void written(struct client_stream *stream)
{
	struct subscription *subscription = container_of(stream, struct subscription, stream);

	audience_has_read(&subscription->seat);
	tell_gaps(subscription);
}

static void free_subscription(struct client_stream *stream)
{
	struct subscription *subscription = container_of(stream, struct subscription, stream);

	audience_leave(&subscription->seat);
	gaps_clear(&subscription->gaps);
	free(subscription);
}

int subscription_start(struct client *client, char **names, size_t count)
{
	struct subscription *subscription = calloc(1, sizeof(*subscription));
	struct audience_key key = {.user = client_user(client),
		.terminator = client_terminator(client),
		.names = names,
		.count = count};

	if (!subscription)
		return -ENOMEM;
	subscription->client = client;
	subscription->stream = (struct client_stream){
		.written = written, .free = free_subscription};
	subscription->seat.deliver = deliver;
	if (audience_enter(client_set(client), &key, &subscription->seat) < 0) {
		free(subscription);
		return -ENOMEM;
	}
	client_start_stream(client, &subscription->stream);
	return 0;
}
