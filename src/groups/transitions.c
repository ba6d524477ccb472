#include "groups/transitions.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/hash.h"
#include "base/log.h"

/* Up to this number each group has a line of its own. */
#define SINGLES_MAX 8

/* Beyond this number of different ones, all are logged at once. */
#define SUMS_MAX 1024

static const struct {
	int level;
	const char *message_id;
	const char *one; /* "group NAME: ..." */
	const char *many; /* "INTERFACE: COUNT ..." */
	const char *separator; /* before the reason */
	const char *doctor; /* what stands before its command; NULL: it does not explain that. A
			       line of one group adds the name */
} kinds[] = {
	[TRANSITION_JOINED] = {LOG_INFO, MESSAGE_JOINED, "joined on", "memberships joined", ""},
	[TRANSITION_JOINED_BUT] = {LOG_WARNING, MESSAGE_JOINED, "joined on", "memberships joined",
		", but "},
	[TRANSITION_WAITING] = {LOG_NOTICE, MESSAGE_WAITING, "waiting for", "memberships waiting",
		": "},
	[TRANSITION_FAILED] = {LOG_WARNING, MESSAGE_NOT_JOINED, "not joined on",
		"memberships not joined", ": "},
	[TRANSITION_LEFT] = {LOG_NOTICE, MESSAGE_LEFT, "left on", "memberships left", ": "},
	[TRANSITION_FORGOTTEN] = {LOG_WARNING, MESSAGE_FORGOTTEN,
		"the kernel has forgotten the membership on",
		"memberships that the kernel has forgotten", "; "},
	[TRANSITION_NOT_REFRESHED] = {LOG_NOTICE, NULL, "cannot be refreshed on",
		"memberships cannot be refreshed", ": "},
	[TRANSITION_REFRESHED] = {LOG_INFO, NULL, "no other program hinders the refresh on",
		"memberships can be refreshed again", ""},
	[TRANSITION_REJOINING] = {LOG_NOTICE, NULL, "is left and joined again to be refreshed on",
		"memberships are left and joined again to be refreshed", ": "},
	[TRANSITION_SENDING] = {LOG_INFO, NULL, "sending on", "groups are sending", ""},
	[TRANSITION_NOT_SENDING] = {LOG_NOTICE, NULL, "nothing can be sent on",
		"groups can send nothing", ": "},
	[TRANSITION_NOTHING_YET] = {LOG_INFO, MESSAGE_NOTHING, "no datagram yet on",
		"groups have received no datagram yet", "",
		"; if something is sent, this finds out why: "},
	[TRANSITION_NOTHING_BUT_OTHERS] = {LOG_NOTICE, MESSAGE_NOTHING, "no datagram yet on",
		"groups have received no datagram yet", "",
		", while other groups receive there; to find out why: "},
	[TRANSITION_NOTHING_ANY_MORE] = {LOG_NOTICE, MESSAGE_NOTHING, "no datagrams any more on",
		"groups receive no datagrams any more", "",
		", while other groups receive there; to find out why: "},
	[TRANSITION_NOTHING_BY_RP_FILTER] = {LOG_NOTICE, MESSAGE_NOTHING, "no datagrams on",
		"groups receive no datagrams", "",
		", while the kernel drops packets for their source address (rp_filter); to find "
		"out why: "},
};

/* Transitions of one kind, interface and reason. */
struct sum {
	uint64_t hash;
	enum transition kind;
	unsigned count;
	char *interface, *reason;
	char *groups[SINGLES_MAX];
};

struct transitions {
	const char *mcastctl; /* as in struct group_context */
	unsigned nesting;
	struct {
		struct sum *items;
		size_t count;
	} sums; /* in the order of the first of each */
};

static void log_one(enum transition kind, const char *mcastctl, const char *group,
	const char *interface, const char *reason)
{
	struct log_fields fields = {kinds[kind].message_id, .group = group, .interface = interface};
	const char *doctor = kinds[kind].doctor;

	/* Without an explanation in the catalog there are no fields to look it up by. */
	log_event(kinds[kind].level, fields.message_id ? &fields : &(struct log_fields){0},
		"group %s: %s %s%s%s%s%s%s%s", group, kinds[kind].one, interface,
		kinds[kind].separator, reason, doctor ? doctor : "", doctor ? mcastctl : "",
		doctor ? " doctor " : "", doctor ? group : "");
}

static void log_sum(const struct sum *sum, const char *mcastctl)
{
	const char *doctor = kinds[sum->kind].doctor;

	if (sum->count > SINGLES_MAX)
		log_event(kinds[sum->kind].level,
			&(struct log_fields){
				kinds[sum->kind].message_id, .interface = sum->interface},
			"%s: %u %s%s%s%s%s%s", sum->interface, sum->count, kinds[sum->kind].many,
			kinds[sum->kind].separator, sum->reason, doctor ? doctor : "",
			doctor ? mcastctl : "", doctor ? " doctor" : "");
	else
		for (unsigned i = 0; i < sum->count; i++)
			log_one(sum->kind, mcastctl, sum->groups[i], sum->interface, sum->reason);
}

static void sum_clear(struct sum *sum)
{
	for (unsigned i = 0; i < SINGLES_MAX; i++)
		free(sum->groups[i]);
	free(sum->interface);
	free(sum->reason);
}

static void flush(struct transitions *transitions)
{
	for (size_t i = 0; i < transitions->sums.count; i++) {
		log_sum(&transitions->sums.items[i], transitions->mcastctl);
		sum_clear(&transitions->sums.items[i]);
	}
	free(transitions->sums.items);
	memset(&transitions->sums, 0, sizeof(transitions->sums));
}

struct transitions *transitions_new(const char *mcastctl)
{
	struct transitions *transitions = calloc(1, sizeof(*transitions));

	if (transitions)
		transitions->mcastctl = mcastctl;
	return transitions;
}

void transitions_free(struct transitions *transitions)
{
	if (!transitions)
		return;
	flush(transitions);
	free(transitions);
}

void transitions_begin(struct transitions *transitions)
{
	if (transitions)
		transitions->nesting++;
}

void transitions_end(struct transitions *transitions)
{
	if (transitions && !--transitions->nesting)
		flush(transitions);
}

static struct sum *find(const struct transitions *transitions, uint64_t hash)
{
	for (size_t i = transitions->sums.count; i-- > 0;)
		if (transitions->sums.items[i].hash == hash)
			return &transitions->sums.items[i];
	return NULL;
}

/* Returns NULL without memory. */
static struct sum *add_sum(struct transitions *transitions, uint64_t hash, enum transition kind,
	const char *interface, const char *reason)
{
	struct sum sum = {.hash = hash,
		.kind = kind,
		.interface = strdup(interface),
		.reason = strdup(reason)};

	if (transitions->sums.count == SUMS_MAX)
		flush(transitions);
	if (!sum.interface || !sum.reason || array_add(&transitions->sums, sum) < 0) {
		sum_clear(&sum);
		return NULL;
	}
	return &transitions->sums.items[transitions->sums.count - 1];
}

void transition_add(struct transitions *transitions, enum transition kind, const char *group,
	const char *interface, const char *reason)
{
	struct sum *sum = NULL;
	uint64_t hash;

	reason = reason ? reason : "";
	if (transitions && transitions->nesting) {
		hash = hash_bytes(HASH_BEGIN, &kind, sizeof(kind));
		hash = hash_bytes(hash, interface, strlen(interface) + 1);
		hash = hash_bytes(hash, reason, strlen(reason));
		sum = find(transitions, hash);
		sum = sum ? sum : add_sum(transitions, hash, kind, interface, reason);
	}
	if (sum && sum->count < SINGLES_MAX && !(sum->groups[sum->count] = strdup(group)))
		sum = NULL;
	if (sum)
		sum->count++;
	else
		log_one(kind, transitions ? transitions->mcastctl : "mcastctl", group, interface,
			reason);
}
