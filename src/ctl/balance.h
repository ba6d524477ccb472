/* The promise that every datagram is accounted for, checked for one handler:
 * received = filtered + delivered + all of dropped + queued. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/text.h"

struct balance {
	const char *name;
	json_int_t received, filtered, delivered, dropped, queued;
};

/* Reads one of ListHandlers' handlers; the name lives as long as that. Returns 0 or -EBADMSG. */
int balance_read(const json_t *handler, struct balance *ret);

bool balance_holds(const struct balance *balance);

/* All the numbers, in a sentence. */
void balance_explain(struct text *text, const struct balance *balance);
