/* Why there is no connection: each cause is logged once until one holds again, as several servers,
 * and several addresses of one, take turns. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"

#define CAUSES_MAX 64 /* that are told apart; with more, the first one is forgotten */

/* What comes behind it in a cause does not make it another one. */
#define CLOCK_SAYS "the clock of this host says "

struct causes {
	uint64_t hashes[CAUSES_MAX];
	unsigned count; /* those beyond CAUSES_MAX have taken the place of the first ones */
	struct log_limit limit; /* how often another one is new then */
};

/* Whether it has to be logged: it is new, and known from now on. */
bool engine_causes_add(struct causes *causes, const char *text);

/* All are news again. */
void engine_causes_forget(struct causes *causes);
