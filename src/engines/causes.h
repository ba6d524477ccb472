/* Why there is no connection: each cause is logged once until one holds again, as several servers,
 * and several addresses of one, take turns. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define CAUSES_MAX 64 /* that are told apart; more are not logged */

/* What comes behind it in a cause does not make it another one. */
#define CLOCK_SAYS "the clock of this host says "

struct causes {
	uint64_t hashes[CAUSES_MAX];
	unsigned count;
};

/* Whether it has to be logged: it is new, and known from now on. */
bool engine_causes_add(struct causes *causes, const char *text);

/* All are news again. */
void engine_causes_forget(struct causes *causes);
