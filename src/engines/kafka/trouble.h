/* Why a handler delivers nothing to Kafka: shown until it works again, and logged once. */
#pragma once

#include <stdint.h>

#include "base/log.h"

struct ledger;

struct trouble {
	const char *name; /* of the handler */
	struct ledger *ledger;
	const void *object;
	int cause; /* of what is shown: a rd_kafka_resp_err_t; 0: nothing is wrong */
	const void *topic; /* it concerns this one alone; NULL: all */
	int heard_cause; /* what the library said last of a connection, */
	char heard[WHY_MAX]; /* which matters once nothing works */
	struct log_limit limit;
};

/* A text of the library or of a broker, to be shown: escaped. Returns ret. */
const char *trouble_text(const char *string, char ret[static WHY_MAX]);

/* Shows the text, and logs it where the cause is new. */
void trouble_show(struct trouble *trouble, int cause, const void *topic, const char *text);

/* It works again, for this topic; NULL: what concerns all. Says so where something was shown. */
void trouble_end(struct trouble *trouble, const void *topic);

/* Remembers what the library says of a connection. */
void trouble_hear(struct trouble *trouble, int cause, const char *reason);

/* Nothing works: shows what was heard last, or the silence. */
void trouble_show_heard(struct trouble *trouble, uint64_t silence_ns);
