#include "handlers/ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"

/* Drops what the earlier run had queued when it ended. Returns how many datagrams. */
static uint64_t settle_earlier_run(struct account *account)
{
	uint64_t settled = account->filtered + outcome_total(&account->outcome), lost;

	/* The daemon may have been killed after counting outcomes, before counting received. */
	if (settled > account->received)
		account->received = settled;
	lost = account->received - settled;
	account->outcome.dropped[DROP_SHUTDOWN] += lost;
	return lost;
}

static struct account *take_account(struct counters *counters, const char *key)
{
	return counters_take(counters, key, sizeof(struct account), account_layout());
}

static void log_lost(const char *handler, uint64_t lost)
{
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
		ledger->account = take_account(counters, key);
	if (!ledger->account) {
		free(ledger->name);
		free(ledger);
		return NULL;
	}
	log_lost(handler, settle_earlier_run(ledger->account));
	pthread_mutex_init(&ledger->lock, NULL);
	pthread_mutex_init(&ledger->input.lock, NULL);
	list_init(&ledger->workers);
	list_init(&ledger->interfaces);
	ledger->references = 1;
	return ledger;
}

struct ledger *ledger_ref(struct ledger *ledger)
{
	ledger->references++;
	return ledger;
}

static void interface_free(struct ledger *ledger, struct ledger_interface *interface)
{
	link_remove(&interface->link);
	counters_release(ledger->counters, interface->account);
	free(interface);
}

void ledger_unref(struct ledger *ledger)
{
	struct ledger_interface *interface;

	if (!ledger || --ledger->references)
		return;
	list_for_each(interface, &ledger->interfaces, link)
		interface_free(ledger, interface);
	pthread_mutex_destroy(&ledger->lock);
	pthread_mutex_destroy(&ledger->input.lock);
	counters_release(ledger->counters, ledger->account);
	counters_release(ledger->counters, ledger->input.account);
	string_list_clear(&ledger->left);
	free(ledger->name);
	free(ledger);
}

struct intake_book *ledger_input(struct ledger *ledger)
{
	struct intake_book *book = &ledger->input;
	AUTO_FREE char *key = NULL;
	uint64_t lost;

	if (book->account)
		return book;
	if (asprintf(&key, "input %s", ledger->name) >= 0)
		book->account = counters_take(
			ledger->counters, key, sizeof(*book->account), intake_account_members());
	if (!book->account)
		return NULL;
	lost = intake_account_settle(book->account);
	if (lost)
		log_warning("handler %s: %" PRIu64
			    " datagram%s that came in dropped, still waiting when the daemon "
			    "ended",
			ledger->name, lost, plural(lost));
	return book;
}

void ledger_abandon_intake(const struct ledger *ledger, struct intake *intake)
{
	uint64_t left = intake ? intake_abandon(intake) : 0;

	if (left)
		log_warning("handler %s: %" PRIu64
			    " datagram%s that came in dropped, not sent before it had to stop",
			ledger->name, left, plural(left));
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

void ledger_set_object(struct ledger *ledger, const void *object)
{
	pthread_mutex_lock(&ledger->lock);
	ledger->object = object;
	*ledger->error = '\0';
	pthread_mutex_unlock(&ledger->lock);
}

void ledger_set_error_locked(struct ledger *ledger, const void *object, const char *text)
{
	if (object == ledger->object && (text || *ledger->error))
		snprintf(ledger->error, sizeof(ledger->error), "%s", text ? text : "");
}

void ledger_set_error(struct ledger *ledger, const void *object, const char *text)
{
	pthread_mutex_lock(&ledger->lock);
	ledger_set_error_locked(ledger, object, text);
	pthread_mutex_unlock(&ledger->lock);
}

const char *ledger_error(struct ledger *ledger)
{
	pthread_mutex_lock(&ledger->lock);
	memcpy(ledger->shown, ledger->error, sizeof(ledger->shown));
	pthread_mutex_unlock(&ledger->lock);
	return *ledger->shown ? ledger->shown : NULL;
}

int ledger_leave(struct ledger *ledger, const char *text)
{
	int r;

	pthread_mutex_lock(&ledger->lock);
	r = string_list_add(&ledger->left, text);
	pthread_mutex_unlock(&ledger->lock);
	return r;
}

void ledger_take_left(struct ledger *ledger, struct string_list *ret)
{
	pthread_mutex_lock(&ledger->lock);
	*ret = ledger->left;
	ledger->left = (struct string_list){0};
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

void ledger_count_lost(struct ledger *ledger, uint64_t read, uint64_t count)
{
	struct account *account = ledger->account;
	uint64_t counted = account->read == read ? account->received - account->before_read : 0;
	uint64_t lost = counted < count ? count - counted : 0;

	pthread_mutex_lock(&ledger->lock);
	account->received += lost;
	account->outcome.dropped[DROP_SHUTDOWN] += lost;
	pthread_mutex_unlock(&ledger->lock);
}

static void add_filtered(struct account *account, const struct filtered *filtered)
{
	account->received += filtered->filtered + filtered->over_rate;
	account->filtered += filtered->filtered;
	account->outcome.dropped[DROP_RATE] += filtered->over_rate;
}

void ledger_filtered(struct ledger *ledger, const struct filtered *filtered)
{
	pthread_mutex_lock(&ledger->lock);
	add_filtered(ledger->account, filtered);
	pthread_mutex_unlock(&ledger->lock);
}

/* ---- Copies by several interfaces ---- */

static struct ledger_interface *interface_new(struct ledger *ledger, const char *name)
{
	struct ledger_interface *interface = calloc(1, sizeof(*interface) + strlen(name) + 1);
	AUTO_FREE char *key = NULL;

	if (!interface)
		return NULL;
	strcpy(interface->name, name);
	if (asprintf(&key, "handler %s on %s", ledger->name, name) >= 0)
		interface->account = take_account(ledger->counters, key);
	if (!interface->account) {
		free(interface);
		return NULL;
	}
	settle_earlier_run(interface->account);
	list_append(&ledger->interfaces, &interface->link);
	return interface;
}

struct ledger_interface *ledger_interface(struct ledger *ledger, const char *name)
{
	struct ledger_interface *interface, *found = NULL;

	list_for_each(interface, &ledger->interfaces, link)
		if (!strcmp(interface->name, name))
			found = interface;
	if (!found)
		found = interface_new(ledger, name);
	if (!found)
		return NULL;
	found->users++;
	return found;
}

/* Frees those that have been unused for longest. */
static void limit_unused(struct ledger *ledger)
{
	struct ledger_interface *interface;
	unsigned unused = 0;

	list_for_each(interface, &ledger->interfaces, link)
		unused += !interface->users;
	list_for_each(interface, &ledger->interfaces, link)
		if (!interface->users && unused > LEDGER_UNUSED_MAX) {
			interface_free(ledger, interface);
			unused--;
		}
}

void ledger_interface_unref(struct ledger *ledger, struct ledger_interface *interface)
{
	if (!interface || --interface->users)
		return;
	link_remove(&interface->link);
	list_append(&ledger->interfaces, &interface->link);
	limit_unused(ledger);
}

void ledger_interface_filtered(struct ledger_interface *interface, const struct filtered *filtered)
{
	add_filtered(interface->account, filtered);
}

void ledger_interface_received(
	struct ledger_interface *interface, unsigned received, const struct outcome *outcome)
{
	interface->account->received += received;
	outcome_add(&interface->account->outcome, outcome);
}

/* Not below 0: a daemon that was killed may have counted one, and not the other. */
static void subtract(uint64_t *from, uint64_t what)
{
	*from -= what < *from ? what : *from;
}

void ledger_other_interfaces(
	const struct ledger *ledger, const struct account *account, struct account *ret)
{
	const struct ledger_interface *interface;

	*ret = *account;
	list_for_each(interface, &ledger->interfaces, link) {
		subtract(&ret->filtered, interface->account->filtered);
		subtract(&ret->outcome.delivered, interface->account->outcome.delivered);
		for (int i = 0; i < DROP_REASONS; i++)
			subtract(&ret->outcome.dropped[i], interface->account->outcome.dropped[i]);
	}
	ret->received = ret->filtered + outcome_total(&ret->outcome);
}
