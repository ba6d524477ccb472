/* The topics that groups go to. A topic is known from its first datagram on. */
#pragma once

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "engines/keys.h"

struct topic {
	rd_kafka_topic_t *handle; /* of the producer of now; NULL: not used yet */
	struct log_limit limit; /* of what is said of it */
	int refused; /* why it takes nothing, a rd_kafka_resp_err_t; 0: it does, or may */
	bool is_told; /* that is logged */
	uint64_t refused_ns; /* when it was refused last */
	char *group;
	char name[ENGINE_ADDRESS_MAX];
};

struct topics {
	struct topic **items; /* by group */
	size_t count;
};

/* The topic of a group, which stays where it is; or NULL without memory. */
struct topic *topics_find(struct topics *topics, const char *pattern, const char *group);

/* One that takes nothing, and was refused in the last seconds; NULL: none. What is sent no more is
 * no error for ever. */
const struct topic *topics_refused(const struct topics *topics, uint64_t now_ns);

/* Releases all handles, before their producer ends. */
void topics_release(struct topics *topics);

/* Frees all; the handles have been released. */
void topics_clear(struct topics *topics);
