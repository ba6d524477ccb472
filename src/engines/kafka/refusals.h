/* What brokers refuse, or the library for them: how it is counted, and what is said of it. */
#pragma once

#include "base/errors.h"

enum {
	COUNTED_UNKNOWN_TOPIC,
	COUNTED_NOT_AUTHORIZED,
	COUNTED_TOO_LARGE,
	COUNTED_EXPIRED,
	COUNTED_RESTARTS,
	COUNTED_RESENT,
};

struct refusal {
	int error; /* a rd_kafka_resp_err_t */
	int counter;
	const char *hint;
};

/* NULL: the error is no refusal, and may be any other failure. */
const struct refusal *refusal_find(int error);

/* Says that a topic takes nothing, and what to do. Returns ret. */
const char *refusal_describe(const char *topic, int error, char ret[static WHY_MAX]);
