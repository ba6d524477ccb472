#include "handlers/ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"

/* Drops what the earlier run had queued when it ended. */
static void settle_earlier_run(struct account *account, const char *handler)
{
	uint64_t settled = account->filtered + outcome_total(&account->outcome), lost;

	/* The daemon may have been killed after counting outcomes, before counting received. */
	if (settled > account->received)
		account->received = settled;
	lost = account->received - settled;
	account->outcome.dropped[DROP_SHUTDOWN] += lost;
	if (lost)
		log_warning("handler %s: %" PRIu64
			    " datagram%s dropped, still queued when the daemon ended",
			handler, lost, plural(lost));
}

struct ledger *ledger_new(struct counters *counters, const char *handler)
{
	struct ledger *ledger = calloc(1, sizeof(*ledger));
	AUTO_FREE char *key = NULL;

	if (!ledger)
		return NULL;
	ledger->counters = counters;
	ledger->name = strdup(handler);
	if (ledger->name && asprintf(&key, "handler %s", handler) >= 0)
		ledger->account = counters_take(
			counters, key, sizeof(*ledger->account), account_layout());
	if (!ledger->account) {
		free(ledger->name);
		free(ledger);
		return NULL;
	}
	settle_earlier_run(ledger->account, handler);
	pthread_mutex_init(&ledger->lock, NULL);
	list_init(&ledger->workers);
	ledger->references = 1;
	return ledger;
}

struct ledger *ledger_ref(struct ledger *ledger)
{
	ledger->references++;
	return ledger;
}

void ledger_unref(struct ledger *ledger)
{
	if (!ledger || --ledger->references)
		return;
	pthread_mutex_destroy(&ledger->lock);
	counters_release(ledger->counters, ledger->account);
	free(ledger->name);
	free(ledger);
}

uint64_t ledger_kind_hash(const char *name, const char *const *counters)
{
	uint64_t hash = hash_bytes(HASH_BEGIN, name, strlen(name) + 1);

	for (size_t i = 0; counters && counters[i]; i++)
		hash = hash_bytes(hash, counters[i], strlen(counters[i]) + 1);
	return hash;
}

void ledger_set_kind(struct ledger *ledger, uint64_t kind)
{
	struct account *account = ledger->account;

	pthread_mutex_lock(&ledger->lock);
	if (account->kind != kind)
		memset(account->outcome.counted, 0, sizeof(account->outcome.counted));
	account->kind = kind;
	pthread_mutex_unlock(&ledger->lock);
}

void ledger_settle(struct ledger *ledger, uint64_t kind, const struct outcome *outcome)
{
	struct outcome settled = *outcome;

	if (ledger->account->kind != kind)
		memset(settled.counted, 0, sizeof(settled.counted));
	outcome_add(&ledger->account->outcome, &settled);
}

void ledger_received(struct ledger *ledger, unsigned received, const struct outcome *outcome)
{
	pthread_mutex_lock(&ledger->lock);
	ledger->account->received += received;
	outcome_add(&ledger->account->outcome, outcome);
	pthread_mutex_unlock(&ledger->lock);
}

void ledger_filtered(struct ledger *ledger, const struct filtered *filtered)
{
	pthread_mutex_lock(&ledger->lock);
	ledger->account->received += filtered->filtered + filtered->over_rate;
	ledger->account->filtered += filtered->filtered;
	ledger->account->outcome.dropped[DROP_RATE] += filtered->over_rate;
	pthread_mutex_unlock(&ledger->lock);
}
