#include "engines/mqtt/topics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "engines/keys.h"

static int compare_group(const void *group, const void *item)
{
	return strcmp(group, (*(struct topic *const *)item)->group);
}

static void topic_free(struct topic *topic)
{
	free(topic->group);
	free(topic->name);
	free(topic);
}
DEFINE_CLEANUP(struct topic *, topic_free)

static struct topic *topic_new(const char *pattern, const char *site, const char *group)
{
	CLEANUP(topic_freep) struct topic *topic = calloc(1, sizeof(*topic));
	char base[ENGINE_ADDRESS_MAX];

	if (!topic || !(topic->group = strdup(group)) ||
		engine_address(base, sizeof(base), pattern, group) < 0)
		return NULL;
	if (asprintf(&topic->name, "%s/%s", base, site) < 0) {
		topic->name = NULL;
		return NULL;
	}
	return take(topic);
}

struct topic *topics_find(
	struct topics *topics, const char *pattern, const char *site, const char *group)
{
	size_t place = lower_bound(
		group, topics->items, topics->count, sizeof(*topics->items), compare_group);
	struct topic *topic;

	if (place < topics->count && !strcmp(topics->items[place]->group, group))
		return topics->items[place];
	topic = topic_new(pattern, site, group);
	if (!topic)
		return NULL;
	if (array_add(topics, topic) < 0) {
		topic_free(topic);
		return NULL;
	}
	memmove(topics->items + place + 1, topics->items + place,
		(topics->count - 1 - place) * sizeof(*topics->items));
	topics->items[place] = topic;
	return topic;
}

const struct topic *topics_refused(const struct topics *topics, uint64_t now_ns, uint64_t shown_ns)
{
	for (size_t i = 0; i < topics->count; i++) {
		const struct topic *topic = topics->items[i];

		if (topic->refusal && now_ns < topic->refused_ns + shown_ns)
			return topic;
	}
	return NULL;
}

void topics_clear(struct topics *topics)
{
	for (size_t i = 0; i < topics->count; i++)
		topic_free(topics->items[i]);
	free(topics->items);
	*topics = (struct topics){0};
}
