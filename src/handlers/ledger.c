#include "handlers/ledger.h"

#include <stdlib.h>

struct ledger *ledger_new(void)
{
	struct ledger *ledger = calloc(1, sizeof(*ledger));

	if (!ledger)
		return NULL;
	pthread_mutex_init(&ledger->lock, NULL);
	ledger->references = 1;
	return ledger;
}

struct ledger *ledger_ref(struct ledger *ledger)
{
	pthread_mutex_lock(&ledger->lock);
	ledger->references++;
	pthread_mutex_unlock(&ledger->lock);
	return ledger;
}

void ledger_unref(struct ledger *ledger)
{
	unsigned left;

	if (!ledger)
		return;
	pthread_mutex_lock(&ledger->lock);
	left = --ledger->references;
	pthread_mutex_unlock(&ledger->lock);
	if (left)
		return;
	pthread_mutex_destroy(&ledger->lock);
	free(ledger);
}

void ledger_received(struct ledger *ledger, unsigned received, const struct outcome *outcome)
{
	pthread_mutex_lock(&ledger->lock);
	ledger->account.received += received;
	outcome_add(&ledger->account.outcome, outcome);
	pthread_mutex_unlock(&ledger->lock);
}

void ledger_kept_out(struct ledger *ledger, const struct filtered *kept_out)
{
	pthread_mutex_lock(&ledger->lock);
	ledger->account.received += kept_out->filtered + kept_out->over_rate;
	ledger->account.filtered += kept_out->filtered;
	ledger->account.outcome.dropped[DROP_RATE] += kept_out->over_rate;
	pthread_mutex_unlock(&ledger->lock);
}
