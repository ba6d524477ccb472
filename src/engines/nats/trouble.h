/* What is wrong with a handler for NATS: there is no connection, or the server refuses something,
 * or something does not come in, in this order. It is shown until it is over, which is logged, too.
 * Each cause is logged once until a connection holds again: servers that are away take turns. One
 * of the other two is news again as well when nothing was wrong meanwhile. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "engines/causes.h"
#include "engines/nats/link.h"

struct ledger;

#define NATS_SHOWN_MAX 1024 /* more than any error has */

enum trouble_kind { TROUBLE_NONE, TROUBLE_CONNECTION, TROUBLE_REFUSAL, TROUBLE_INPUT };

struct trouble {
	const char *name; /* of the handler */
	struct ledger *ledger;
	const void *object; /* the handler, for the ledger */
	char refusal[NATS_WHY_MAX]; /* "": nothing is refused */
	uint64_t refusal_until_ns; /* 0: until something is stored */
	char shown[NATS_SHOWN_MAX]; /* the error that the ledger has, unescaped; "": none */
	enum trouble_kind kind; /* of that error */
	bool is_told; /* it, or one since nothing was wrong, was logged */
	struct log_limit forget_limit; /* how often causes are news again */
	struct causes causes; /* that were logged since all was well */
};

/* The server refuses something. until_ns 0: until something is stored. */
void trouble_refuse(struct trouble *trouble, uint64_t until_ns, const char *format, ...)
	PRINTF_LIKE(3, 4);

/* Something is stored. */
void trouble_stored(struct trouble *trouble);

/* A connection holds: causes are news again. */
void trouble_connected(struct trouble *trouble);

/* Shows what is wrong now, if that has changed: with the connection, and with what comes in; NULL:
 * nothing. */
void trouble_show(
	struct trouble *trouble, const char *of_connection, const char *of_input, uint64_t now_ns);

/* When it has to be shown again; 0: never. */
uint64_t trouble_deadline(const struct trouble *trouble);
