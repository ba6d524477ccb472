/* Why a handler delivers nothing to Kafka: shown until it works again, and logged once. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"

struct ledger;

struct trouble {
	const char *name; /* of the handler */
	struct ledger *ledger;
	const void *object;
	int cause; /* of what concerns all topics: a rd_kafka_resp_err_t; 0: nothing is wrong */
	char refusal[WHY_MAX]; /* what concerns one topic, and is shown while there is no cause; "":
				  nothing does */
	int heard_cause; /* what the library said last of a connection, */
	char heard[2 * WHY_MAX]; /* which matters once nothing works */
	struct log_limit limit;
};

/* A text of the library or of a broker, to be shown: escaped. Returns ret. */
const char *trouble_text(const char *string, char ret[static WHY_MAX]);

/* Nothing works: shows the text, and logs it where the cause is new. */
void trouble_show(struct trouble *trouble, int cause, const char *text);

/* It works again. Says so where something was shown. */
void trouble_end(struct trouble *trouble);

/* Without saying so: a topic is refused, which is told. */
void trouble_clear(struct trouble *trouble);

/* What one topic is refused for; NULL: none is. */
void trouble_refuse(struct trouble *trouble, const char *text);

static inline bool trouble_is_shown(const struct trouble *trouble)
{
	return trouble->cause || *trouble->refusal;
}

/* Remembers what the library says of a connection. advice: what to do; NULL: what the cause is
 * advised with. */
void trouble_hear(struct trouble *trouble, int cause, const char *reason, const char *advice);

/* Nothing works: shows what was heard last, or the silence. */
void trouble_show_heard(struct trouble *trouble, uint64_t silence_ns);
