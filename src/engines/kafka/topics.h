/* The topics that groups go to. A topic is known from its first datagram on. */
#pragma once

#include <librdkafka/rdkafka.h>
#include <stddef.h>

#include "base/log.h"
#include "engines/keys.h"

struct topic {
	rd_kafka_topic_t *handle; /* of the producer of now; NULL: not used yet */
	struct log_limit limit; /* of what is said of it */
	char *group;
	char name[ENGINE_ADDRESS_MAX];
};

struct topics {
	struct topic **items; /* by group */
	size_t count;
};

/* The topic of a group, which stays where it is; or NULL without memory. */
struct topic *topics_find(struct topics *topics, const char *pattern, const char *group);

/* Releases all handles, before their producer ends. */
void topics_release(struct topics *topics);

/* Frees all; the handles have been released. */
void topics_clear(struct topics *topics);
