#include "groups/events.h"

#include <event2/event_struct.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "base/timer.h"

/* Most events in one second. The last one of them tells how many wait. */
#define LIMIT 100

/* Most topics that are remembered, each for a second or as long as it waits; and of those, with a
 * sender: whoever sends can make up any number of them. A further sender counts as none. */
#define TOPICS_MAX 65536
#define SENDERS_MAX 1024

#define BUCKETS 4096

/* As datagrams of this host have usually. A handler that relays takes one off. */
#define EVENT_TTL 64

/* A topic, and the last notice of it. */
struct topic {
	struct link in_bucket;
	struct link in_queue; /* told or waiting */
	struct notice *notice; /* count is of all that were not told yet */
	uint64_t happened_ns; /* CLOCK_REALTIME */
	unsigned untold; /* notices */
	uint64_t hash;
	enum notice_state told; /* the last one */
	uint64_t free_ns; /* it may be told again, CLOCK_MONOTONIC; 0: it was not told yet */
	bool is_ahead; /* the last one was told before that time */
};

struct events {
	struct notice_sink sink;
	struct groups *groups; /* NULL: nothing is told */
	struct events_watcher *watcher; /* NULL: there is none */
	struct origin *origin;
	struct event timer;
	struct link buckets[BUCKETS];
	struct link told; /* not free yet, in the order of free_ns */
	struct link waiting; /* to be told as soon as the limit allows */
	size_t count, senders, waiting_count;
	uint64_t lost; /* notices that were not remembered, since it was told how many */
	uint64_t told_ns[LIMIT]; /* when the last events were told, a ring; 0: none */
	unsigned next; /* the oldest of them */
	uint64_t summed_ns; /* when it was last told how many wait; 0: never */
	struct log_limit sum_limit;
	struct text text; /* scratch */
};

static bool is_over(uint64_t since_ns, uint64_t now)
{
	return !since_ns || now >= since_ns + NS_PER_S;
}

/* Whether this number of events may be told now. */
static bool has_room(const struct events *events, unsigned count, uint64_t now)
{
	return is_over(events->told_ns[(events->next + count - 1) % LIMIT], now);
}

/* ---- Telling ---- */

static struct group *find_group(const struct events *events)
{
	return events->groups ? groups_find(events->groups, EVENTS_GROUP) : NULL;
}

static bool is_heard(const struct events *events)
{
	const struct group *group = find_group(events);

	return events->watcher || (group && group->outlets.count);
}

static void deliver(struct events *events, const struct notice *notice, uint64_t happened_ns)
{
	struct group *group = find_group(events);
	struct datagram datagram = {.ttl = EVENT_TTL, .timestamp_ns = clock_ns(CLOCK_REALTIME)};
	struct batch batch = {.origin = events->origin, .count = 1, .datagrams = &datagram};

	text_clear(&events->text);
	notice_append_json(&events->text, notice, happened_ns);
	if (!group || text_failed(&events->text))
		return;
	datagram.payload = (const uint8_t *)events->text.data;
	datagram.size = (uint32_t)events->text.length;
	group->counters->received++;
	group->counters->received_bytes += datagram.size;
	group->counters->last_received_ns = datagram.timestamp_ns;
	for (size_t i = 0; i < group->outlets.count; i++)
		group->outlets.items[i]->deliver(group->outlets.items[i], &batch);
}

/* others: how many more notices of the topic it stands for. */
static void write_log(const struct notice *notice, unsigned others)
{
	struct log_fields fields = {.message_id = notice_message_id(notice),
		.group = notice->group,
		.interface = notice->interface,
		.handler = notice->handler};

	if (others)
		log_event(notice->level, &fields, "%s (and %u event%s like this before)",
			notice->text, others, plural(others));
	else
		log_event(notice->level, &fields, "%s", notice->text);
}

/* Returns when it was told. That is after the time of the datagram, so that for readers of it, too,
 * no second has more than LIMIT. */
static uint64_t tell(
	struct events *events, const struct notice *notice, uint64_t happened_ns, unsigned others)
{
	uint64_t now;

	if (notice->text)
		write_log(notice, others);
	if (events->watcher)
		events->watcher->told(events->watcher, notice, happened_ns);
	deliver(events, notice, happened_ns);
	now = clock_ns(CLOCK_MONOTONIC);
	events->told_ns[events->next] = now;
	events->next = (events->next + 1) % LIMIT;
	return now;
}

/* Behind those that are free before it, which are nearly always all of them. list_append() adds in
 * front of any link. */
static void insert_told(struct events *events, struct topic *topic)
{
	struct link *behind = events->told.previous;

	while (behind != &events->told &&
		container_of(behind, struct topic, in_queue)->free_ns > topic->free_ns)
		behind = behind->previous;
	list_append(behind->next, &topic->in_queue);
}

static void tell_topic(struct events *events, struct topic *topic)
{
	uint64_t now = tell(events, topic->notice, topic->happened_ns, topic->untold - 1);

	topic->is_ahead = now < topic->free_ns;
	topic->free_ns = (topic->is_ahead ? topic->free_ns : now) + NS_PER_S;
	topic->told = topic->notice->state;
	topic->untold = 0;
	topic->notice->count = 0;
	events->waiting_count--;
	link_remove(&topic->in_queue);
	insert_told(events, topic);
}

static void tell_sum(struct events *events)
{
	uint64_t count = events->waiting_count + events->lost;
	char text[128];
	struct notice notice = {.kind = NOTICE_SUPPRESSED,
		.group = EVENTS_GROUP,
		.count = count,
		.level = LOG_NOTICE};

	snprintf(text, sizeof(text),
		"group " EVENTS_GROUP ": %" PRIu64 " more events wait: at most %d a second are "
		"told",
		count, LIMIT);
	if (log_limit_pass(&events->sum_limit))
		notice.text = text;
	events->lost = 0;
	events->summed_ns = tell(events, &notice, clock_ns(CLOCK_REALTIME), 0);
}

/* Whether it is time to tell how many wait: with the last event that the limit allows, or when
 * nothing else is left to tell; and once a second. */
static bool is_sum_due(const struct events *events, uint64_t now)
{
	return (events->waiting_count > 1 || events->lost) && is_over(events->summed_ns, now) &&
	       (!events->waiting_count || !has_room(events, 2, now));
}

static void tell_waiting(struct events *events)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	while (has_room(events, 1, now)) {
		struct topic *first = list_first(&events->waiting, struct topic, in_queue);

		if (is_sum_due(events, now))
			tell_sum(events);
		else if (first)
			tell_topic(events, first);
		else
			return;
	}
}

/* ---- Topics ---- */

static void topic_free(struct events *events, struct topic *topic)
{
	events->count--;
	events->senders -= topic->notice->source != NULL;
	link_remove(&topic->in_bucket);
	link_remove(&topic->in_queue);
	free(topic->notice);
	free(topic);
}

static void queue(struct events *events, struct topic *topic)
{
	link_remove(&topic->in_queue);
	list_append(&events->waiting, &topic->in_queue);
	events->waiting_count++;
}

static struct topic *find_topic(struct events *events, const struct notice *notice, uint64_t hash)
{
	struct topic *topic;

	list_for_each(topic, &events->buckets[hash % BUCKETS], in_bucket)
		if (topic->hash == hash && notice_topic_equal(topic->notice, notice))
			return topic;
	return NULL;
}

/* A new one, which waits. Returns NULL without room or memory. */
static struct topic *add_topic(struct events *events, const struct notice *notice, uint64_t hash)
{
	struct topic *topic = events->count < TOPICS_MAX ? calloc(1, sizeof(*topic)) : NULL;

	if (!topic)
		return NULL;
	topic->notice = notice_copy(notice);
	if (!topic->notice) {
		free(topic);
		return NULL;
	}
	topic->notice->count = 0;
	topic->hash = hash;
	list_append(&events->buckets[hash % BUCKETS], &topic->in_bucket);
	events->count++;
	events->senders += notice->source != NULL;
	queue(events, topic);
	return topic;
}

/* Replaces what the topic tells next, but for a line of the log that is not replaced by another.
 * Without memory all of it stays, and only counts more. */
static void update(struct topic *topic, const struct notice *notice)
{
	uint64_t count = notice_add_count(notice, topic->notice->count);
	struct notice next = *notice, *copy = NULL;

	if (!next.text && topic->untold) {
		next.text = topic->notice->text;
		next.level = topic->notice->level;
	}
	if (topic->untold || topic->free_ns)
		copy = notice_copy(&next);
	if (copy) {
		free(topic->notice);
		topic->notice = copy;
	}
	topic->notice->count = count;
	topic->happened_ns = clock_ns(CLOCK_REALTIME);
	topic->untold++;
}

/* Those that are free may be told again, or are forgotten. */
static void expire(struct events *events, uint64_t now)
{
	struct topic *topic;

	while ((topic = list_first(&events->told, struct topic, in_queue)) &&
		topic->free_ns <= now) {
		if (topic->untold)
			queue(events, topic);
		else
			topic_free(events, topic);
	}
}

/* ---- */

/* Sets the timer to what comes next; in between, nothing is to be done. */
static void schedule(struct events *events, uint64_t now)
{
	const struct topic *told = list_first(&events->told, struct topic, in_queue);
	uint64_t room = events->told_ns[events->next] + NS_PER_S, due = 0;
	uint64_t sum = events->summed_ns + NS_PER_S;
	struct timeval delay;

	if (events->waiting_count)
		due = room;
	else if (events->lost)
		due = room > sum ? room : sum;
	if (told)
		due = earlier_ns(due, told->free_ns);
	if (!due)
		return;
	delay = ns_timeval(due > now ? due - now : 0);
	timer_start(&events->timer, &delay);
}

static void on_timer(evutil_socket_t fd, short what, void *argument)
{
	struct events *events = argument;
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	(void)fd, (void)what;
	expire(events, now);
	tell_waiting(events);
	schedule(events, clock_ns(CLOCK_MONOTONIC));
}

/* Whether the notice ends what was said to begin: it need not wait, and the next one waits the
 * longer. */
static bool is_end(const struct topic *topic, const struct notice *notice)
{
	return notice->state == NOTICE_END && topic->told == NOTICE_BEGIN && topic->free_ns &&
	       !topic->is_ahead && !topic->untold;
}

/* Nothing is told from here: the sender may be a handler that would get the event, in the middle of
 * its deliver(). */
static void take_notice(struct notice_sink *sink, const struct notice *notice)
{
	struct events *events = container_of(sink, struct events, sink);
	struct notice general = *notice;
	uint64_t hash = notice_topic_hash(notice);
	struct topic *topic;

	if (!notice->text && !is_heard(events))
		return;
	topic = find_topic(events, notice, hash);
	if (!topic && notice->source && events->senders >= SENDERS_MAX) {
		general.source = NULL;
		hash = notice_topic_hash(&general);
		topic = find_topic(events, &general, hash);
	}
	if (!topic)
		topic = add_topic(events, &general, hash);
	if (topic && is_end(topic, notice))
		queue(events, topic);
	if (topic)
		update(topic, &general);
	else
		events->lost++;
	if (events->groups)
		schedule(events, clock_ns(CLOCK_MONOTONIC));
}

struct events *events_new(struct event_base *base)
{
	struct events *events = calloc(1, sizeof(*events));
	const struct address none = {.family = AF_UNSPEC};

	if (!events)
		return NULL;
	events->sink.take = take_notice;
	events->origin = origin_new(EVENTS_GROUP, &none, 0, "", 0);
	for (size_t i = 0; i < BUCKETS; i++)
		list_init(&events->buckets[i]);
	list_init(&events->told);
	list_init(&events->waiting);
	evtimer_assign(&events->timer, base, on_timer, events);
	if (!events->origin) {
		events_free(events);
		return NULL;
	}
	return events;
}

void events_free(struct events *events)
{
	struct topic *topic;

	if (!events)
		return;
	evtimer_del(&events->timer);
	list_for_each(topic, &events->told, in_queue)
		topic_free(events, topic);
	list_for_each(topic, &events->waiting, in_queue)
		topic_free(events, topic);
	origin_unref(events->origin);
	text_free(&events->text);
	free(events);
}

struct notice_sink *events_sink(struct events *events)
{
	return &events->sink;
}

void events_watch(struct events *events, struct events_watcher *watcher)
{
	events->watcher = watcher;
}

void events_begin(struct events *events, struct groups *groups)
{
	events->groups = groups;
}

void events_end(struct events *events)
{
	struct topic *topic;

	if (!events || !events->groups)
		return;
	list_for_each(topic, &events->told, in_queue)
		if (topic->untold)
			queue(events, topic);
	tell_waiting(events);
	evtimer_del(&events->timer);
	events->groups = NULL;
}
