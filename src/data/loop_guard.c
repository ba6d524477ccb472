/* When a relay drops what comes back to it, a ring falls silent and a host goes on. Nothing else
 * tells them apart for certain. So the copies of a payload are counted for each address:
 *
 * The host that sent it is one of those that are heard at the beginning: not always the first, as
 * copies of relays on another network may be read before. In a ring it is silent, while the others
 * send copies. So all that are heard at the beginning are origins, until one is found in a ring. Of
 * each address COPIES are relayed, and as many again where all origins have repeated the payload
 * meanwhile. One more begins a test: for TEST_S, all copies are dropped but those of origins that
 * did not repeat it. An address that still sends copies then, more than what was relayed meanwhile
 * can have become, is of no ring. It passes for PASS_S, and counts as all origins; but with not
 * more than twice what came during the test, as a ring that is slower than the test makes more and
 * more. Then there is another test, of twice the time, up to TEST_MAX_S. Who passes that passes for
 * as long as it goes on.
 *
 * What an address brings back of one payload tells what it is: of the next payloads none of its
 * copies is relayed, but they are tested in the same way, and an address that passes is a host
 * again. So two relays of the same two networks make one copy each.
 *
 * All origins may be relays of a ring whose host is not heard here. When the first of them repeats
 * the payload, and the others do, a pause tells what it is (pause_probe.h).
 *
 * Three tables of fixed size. What is expired gives way first, then what has the fewest copies: a
 * ring soon has more than what an attacker sends to displace it. */
#include "data/loop_guard.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/hash.h"
#include "data/returned_copies.h"
#include "data/pause_probe.h"

/* Copies of one address that are relayed until all origins have repeated the payload. */
#define COPIES 64

/* A round takes this many copies of one address at least. */
#define ROUND_MIN (COPIES / 4)

/* How long new addresses may be origins, in the first round. */
#define ORIGIN_MS 1000

#define TEST_S 1
#define TEST_MAX_S 4
#define PASS_S 60

/* The most copies of an address that one relayed copy becomes in a ring: by parallel ways back. */
#define RETURNS 4

/* A payload that was not heard for longer is new. Longer than the slowest ring takes. */
#define IDLE_MS 5000

/* How long the same address is not reported again, while it brings back other payloads, and how
 * long it is known for a relay since it last did. */
#define REPORT_MS 60000
#define RELAY_MS 3600000
#define RELAYS 16

/* The payloads that an address brings back before it is known for a relay. */
#define RELAY_FOUND 3

/* Sets of cache lines. Payloads that were heard once; at 40,000 new ones a second they are
 * remembered for 4 s. */
#define SEEN_SETS 32768
#define SEEN_WAYS 5
#define PAYLOAD_SETS 2048
#define SENDER_SETS 4096
#define WAYS 4

struct seen {
	uint32_t tags[SEEN_WAYS]; /* bits of the payload's hash; 0: free */
	uint32_t sources[SEEN_WAYS];
	uint32_t heard_ms[SEEN_WAYS];
	uint32_t next; /* to be replaced: the oldest */
};

struct entry {
	uint64_t key; /* 0: free */
	uint32_t heard_ms;
	uint32_t copies; /* since it was added */
};

/* A payload that was heard more than once. */
struct payload {
	struct entry entry;
	uint32_t since_ms; /* when it was added */
	uint32_t first; /* the first of the origins; 0: it is none any more */
	struct repeats repeats; /* of the first */
	uint32_t relayed; /* copies, of all addresses */
	uint32_t round; /* in which COPIES of each address are relayed */
	uint32_t most; /* copies of one address in this round */
	uint32_t alone; /* the first, when no other is or can become an origin; all of it is relayed
			 */
	uint32_t origins; /* 0: a pause has shown a ring */
	uint32_t awaited; /* of them, those that have not repeated it in this round; or 1 */
	uint32_t test_round; /* in which the last test began */
	uint32_t test_relayed; /* copies, before that */
	uint32_t test_ms; /* when it began */
	uint32_t test_s; /* how long it takes; 0: there was none */
};

enum state {
	COUNTING, /* relayed, up to COPIES */
	TESTING, /* dropped; they come from a ring unless they go on */
	PASSING, /* relayed: they went on */
};

/* An address that sends a payload. */
struct sender {
	struct entry entry;
	uint32_t round; /* of the payload, when last counted */
	uint32_t since_ms; /* PASSING: of the last test_s; TESTING: when the test began */
	uint32_t count; /* of copies since then; COUNTING: in this round */
	uint32_t late; /* TESTING: of them, those in the second half of the test */
	uint32_t allowed; /* PASSING: the most copies in test_s */
	bool is_origin;
	bool has_repeated; /* the payload, in this round */
	uint8_t state;
	uint8_t test_s; /* PASSING: how long the test took */
	uint8_t passed_s; /* PASSING: for how long */
};

/* An address that was found in a ring. */
struct relay {
	uint32_t source;
	uint32_t heard_ms; /* its last copy of a ring */
	uint32_t reported_ms;
	uint32_t found; /* payloads that it has brought back, since one showed that it is a host */
};

struct loop_guard {
	struct seen seen[SEEN_SETS];
	struct payload payloads[PAYLOAD_SETS][WAYS];
	struct sender senders[SENDER_SETS][WAYS];
	struct relay relays[RELAYS];
	struct hash_key key;
	struct pause_probe probe;
	uint32_t repeated_ms; /* when a payload was last repeated */
	struct returned_copies *copies; /* NULL: there were none so far */
};

_Static_assert(sizeof(struct seen) == 64, "a set takes one cache line");

struct loop_guard *loop_guard_new(void)
{
	/* Aligned, zeroed, and not resident until used. */
	struct loop_guard *guard = mmap(
		NULL, sizeof(*guard), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (guard == MAP_FAILED)
		return NULL;
	hash_key_init(&guard->key);
	return guard;
}

void loop_guard_free(struct loop_guard *guard)
{
	if (!guard)
		return;
	free(guard->copies);
	munmap(guard, sizeof(*guard));
}

struct returned_copies *loop_guard_copies(const struct loop_guard *guard)
{
	return guard ? guard->copies : NULL;
}

struct returned_copies *loop_guard_make_copies(struct loop_guard *guard)
{
	if (guard && !guard->copies)
		guard->copies = returned_copies_new();
	return loop_guard_copies(guard);
}

static uint32_t hash_source(const struct loop_guard *guard, const struct address *source)
{
	const uint64_t *key = guard->key.words;
	uint64_t words[2];

	if (source->family == AF_INET)
		return (uint32_t)hash_mix(source->v4.s_addr ^ key[0], key[1]) | 1;
	memcpy(words, &source->v6, sizeof(words));
	return (uint32_t)hash_mix(hash_mix(words[0] ^ key[0], words[1] ^ key[1]) ^ key[2], key[3]) |
	       1;
}

/* Whether the payload was heard before. Returns who sent it then; else remembers it. */
static bool was_seen(struct loop_guard *guard, uint64_t hash, uint32_t source, uint32_t now_ms,
	uint32_t *ret_first)
{
	struct seen *set = &guard->seen[hash % SEEN_SETS];
	uint32_t tag = (uint32_t)(hash >> 32) | 1, next;

#pragma GCC unroll 5
	for (unsigned i = 0; i < SEEN_WAYS; i++)
		if (set->tags[i] == tag && now_ms - set->heard_ms[i] < IDLE_MS) {
			*ret_first = set->sources[i];
			return true;
		}
	next = set->next;
	set->tags[next] = tag;
	set->sources[next] = source;
	set->heard_ms[next] = now_ms;
	set->next = next + 1 < SEEN_WAYS ? next + 1 : 0;
	return false;
}

static bool is_used(const struct entry *entry, uint32_t now_ms)
{
	return entry->key && now_ms - entry->heard_ms < IDLE_MS;
}

/* Whether a gives way to b. */
static bool is_worth_less(const struct entry *a, const struct entry *b, uint32_t now_ms)
{
	if (is_used(a, now_ms) != is_used(b, now_ms))
		return is_used(b, now_ms);
	return a->copies < b->copies ||
	       (a->copies == b->copies && now_ms - a->heard_ms > now_ms - b->heard_ms);
}

static struct payload *find_payload(struct loop_guard *guard, uint64_t hash, uint32_t now_ms)
{
	struct payload *set = guard->payloads[hash % PAYLOAD_SETS];

	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].entry.key == hash && is_used(&set[i].entry, now_ms))
			return &set[i];
	return NULL;
}

/* What is known of the address, or NULL. */
static struct relay *find_relay(struct loop_guard *guard, uint32_t source, uint32_t now_ms)
{
	for (unsigned i = 0; i < RELAYS; i++)
		if (guard->relays[i].source == source &&
			now_ms - guard->relays[i].heard_ms < RELAY_MS)
			return &guard->relays[i];
	return NULL;
}

static bool is_relay(const struct relay *known)
{
	return known && known->found >= RELAY_FOUND;
}

/* Adds it if need be. One that is heard at the beginning is an origin, unless it is known for a
 * relay. */
static struct sender *find_sender(
	struct loop_guard *guard, struct payload *payload, uint32_t source, uint32_t now_ms)
{
	uint64_t key = payload->entry.key ^ (source + 1ull) * 0x9e3779b97f4a7c15;
	struct sender *set = guard->senders[key % SENDER_SETS], *sender = set;

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].entry.key == key &&
			(int32_t)(set[i].entry.heard_ms - payload->since_ms) >= 0)
			return &set[i];
		if (is_worth_less(&set[i].entry, &sender->entry, now_ms))
			sender = &set[i];
	}
	*sender = (struct sender){.entry = {.key = key, .heard_ms = now_ms},
		.round = payload->round,
		.is_origin = payload->round == 1 && now_ms - payload->since_ms < ORIGIN_MS &&
			     (source == payload->first ||
				     !is_relay(find_relay(guard, source, now_ms)))};
	/* Where COPIES of others may come soon, it is awaited from the next round on. */
	sender->has_repeated = payload->most > ROUND_MIN;
	payload->origins += sender->is_origin;
	payload->awaited += sender->is_origin && !sender->has_repeated;
	return sender;
}

static struct payload *add_payload(
	struct loop_guard *guard, uint64_t hash, uint32_t first, uint32_t now_ms)
{
	struct payload *set = guard->payloads[hash % PAYLOAD_SETS], *payload = set;
	struct sender *sender;

	for (unsigned i = 1; i < WAYS; i++)
		if (is_worth_less(&set[i].entry, &payload->entry, now_ms))
			payload = &set[i];
	*payload = (struct payload){.entry = {.key = hash, .copies = 1},
		.since_ms = now_ms,
		.first = first,
		.round = 1};
	repeats_init(&payload->repeats);
	sender = find_sender(guard, payload, first, now_ms);
	sender->count = sender->entry.copies = 1;
	return payload;
}

/* Whether all but some origins and those that pass are being tested: all at once, as copies of one
 * may be what those of another have become. */
static bool is_testing(const struct payload *payload, uint32_t now_ms)
{
	return now_ms - payload->test_ms < payload->test_s * 1000;
}

static void begin_round(struct payload *payload)
{
	payload->round++;
	payload->most = 0;
	payload->awaited = payload->origins ? payload->origins : 1;
}

static bool is_origin(const struct sender *sender, const struct payload *payload)
{
	return sender->is_origin && payload->origins;
}

static void begin_test(struct payload *payload, uint32_t test_s, uint32_t now_ms)
{
	payload->test_s = test_s < TEST_MAX_S ? test_s : TEST_MAX_S;
	payload->test_ms = now_ms;
	payload->test_relayed = payload->relayed;
	payload->test_round = payload->round;
}

/* Of an address that is not tested. */
static void count_copy(struct sender *sender, struct payload *payload)
{
	if (sender->round != payload->round) {
		/* One that did not repeat it keeps its first copy. */
		if (sender->has_repeated)
			sender->count = 0;
		sender->has_repeated = false;
		sender->round = payload->round;
	}
	if (++sender->count > payload->most)
		payload->most = sender->count;
	if (sender->entry.copies < 2 || sender->has_repeated)
		return;
	sender->has_repeated = true;
	if (is_origin(sender, payload) && payload->awaited)
		payload->awaited--;
}

/* What is known for a relay, is found in a ring, or passes. */
static void end_as_origin(struct sender *sender, struct payload *payload)
{
	if (!is_origin(sender, payload))
		return;
	sender->is_origin = false;
	payload->origins--;
	if (payload->awaited && (sender->round != payload->round || !sender->has_repeated))
		payload->awaited--;
}

static void begin_to_pass(struct sender *sender, struct payload *payload, uint32_t now_ms)
{
	end_as_origin(sender, payload);
	sender->state = PASSING;
	sender->test_s = (uint8_t)payload->test_s;
	sender->passed_s = 0;
	sender->allowed = 2 * sender->count + COPIES / 4;
	sender->since_ms = now_ms;
	sender->count = 1;
}

/* Whether an address that was found not to be of a ring goes on as before. */
static bool may_pass(struct sender *sender, uint32_t now_ms)
{
	uint32_t passed_s = (now_ms - sender->since_ms) / 1000;

	if (passed_s >= sender->test_s) {
		sender->passed_s += passed_s;
		sender->since_ms = now_ms;
		sender->count = 0;
	}
	if (sender->passed_s >= PASS_S && sender->test_s < TEST_MAX_S)
		return false;
	return ++sender->count <= sender->allowed;
}

/* A copy during the test, or the first one after it. In a ring, those in the second half of the
 * test are what was relayed meanwhile, and came back by up to RETURNS ways. */
static enum loop_verdict test(struct sender *sender, struct payload *payload, uint32_t now_ms)
{
	if (sender->state != TESTING || sender->since_ms != payload->test_ms) {
		sender->state = TESTING;
		sender->since_ms = payload->test_ms;
		sender->count = sender->late = 0;
	}
	sender->count++;
	sender->late += now_ms - payload->test_ms >= payload->test_s * 500;
	if (is_testing(payload, now_ms))
		return LOOP_AGAIN;
	if (sender->late > RETURNS * (payload->relayed - payload->test_relayed)) {
		begin_to_pass(sender, payload, now_ms);
		return LOOP_NONE;
	}
	if (payload->round == payload->test_round && payload->awaited) {
		begin_test(payload, payload->test_s, now_ms);
		return LOOP_AGAIN;
	}
	if (payload->round == payload->test_round)
		begin_round(payload);
	sender->state = COUNTING;
	sender->has_repeated = false;
	sender->round = payload->round;
	sender->count = 0;
	count_copy(sender, payload);
	return LOOP_NONE;
}

/* Whether its copies are relayed during a test: of origins that were silent before. */
static bool is_exempt(struct sender *sender, const struct payload *payload)
{
	if (!is_origin(sender, payload))
		return false;
	if (sender->round != payload->round || !sender->has_repeated)
		sender->since_ms = payload->test_ms;
	return sender->since_ms == payload->test_ms;
}

static enum loop_verdict judge_sender(
	struct sender *sender, struct payload *payload, bool is_known, uint32_t now_ms)
{
	bool is_found = sender->state == COUNTING && sender->round == payload->round &&
			sender->count >= COPIES / 2;

	if (sender->state == PASSING) {
		if (may_pass(sender, now_ms)) {
			payload->awaited = 0;
			return LOOP_NONE;
		}
		begin_round(payload);
		begin_test(payload, 2u * sender->test_s, now_ms);
	}
	if (sender->state != COUNTING ||
		(is_testing(payload, now_ms) && !is_exempt(sender, payload))) {
		/* What is in the same ring has about as many copies. */
		if (is_found)
			end_as_origin(sender, payload);
		if (test(sender, payload, now_ms) == LOOP_NONE)
			return LOOP_NONE;
		return is_found ? LOOP_FOUND : LOOP_AGAIN;
	}
	if (is_known && payload->origins > 1)
		end_as_origin(sender, payload);
	if (sender->count >= ROUND_MIN && sender->round == payload->round && !payload->awaited)
		begin_round(payload);
	count_copy(sender, payload);
	if (sender->count <= COPIES)
		return is_known && !is_origin(sender, payload) ? LOOP_AGAIN : LOOP_NONE;
	end_as_origin(sender, payload);
	begin_test(payload, TEST_S, now_ms);
	test(sender, payload, now_ms);
	return LOOP_FOUND;
}

static struct relay *oldest_relay(struct loop_guard *guard, uint32_t now_ms)
{
	struct relay *oldest = guard->relays;

	for (unsigned i = 1; i < RELAYS; i++)
		if (now_ms - guard->relays[i].heard_ms > now_ms - oldest->heard_ms)
			oldest = &guard->relays[i];
	return oldest;
}

/* The address was found in a ring. is_lone: it may be a host's, whose address the relays of the
 * ring keep. Returns whether it is to be reported. */
static bool add_relay(struct loop_guard *guard, uint32_t source, bool is_lone, uint32_t now_ms)
{
	struct relay *relay = find_relay(guard, source, now_ms);
	bool is_news = !relay || now_ms - relay->reported_ms >= REPORT_MS;

	if (!relay) {
		relay = oldest_relay(guard, now_ms);
		*relay = (struct relay){.source = source};
	}
	relay->heard_ms = now_ms;
	relay->found += !is_lone;
	if (is_news)
		relay->reported_ms = now_ms;
	return is_news;
}

uint32_t loop_guard_take_pause(struct loop_guard *guard)
{
	return pause_probe_take(&guard->probe);
}

void loop_guard_refuse_pause(struct loop_guard *guard)
{
	pause_probe_refuse(&guard->probe);
}

void loop_guard_end_pause(struct loop_guard *guard)
{
	pause_probe_end(&guard->probe);
}

/* One that is found to be a ring is tested like others. */
void loop_guard_was_queued(struct loop_guard *guard, bool is_all, uint64_t now_ns)
{
	uint32_t now_ms = (uint32_t)(now_ns / NS_PER_MS);
	uint64_t hash = guard->probe.hash;
	struct payload *payload = hash ? find_payload(guard, hash, now_ms) : NULL;
	struct repeats *repeats = payload && payload->first ? &payload->repeats : NULL;
	struct sender *sender;

	if (!pause_probe_was_queued(&guard->probe, repeats, is_all, now_ms))
		return;
	sender = find_sender(guard, payload, payload->first, now_ms);
	sender->count = COPIES;
	sender->round = payload->round;
	payload->first = payload->alone = payload->origins = 0;
	payload->awaited = 1;
	begin_test(payload, TEST_S, now_ms);
}

/* A copy of a payload that was heard before. */
static enum loop_verdict judge_address(
	struct loop_guard *guard, struct payload *payload, uint32_t id, uint32_t now_ms)
{
	struct sender *sender = find_sender(guard, payload, id, now_ms);
	struct relay *relay = find_relay(guard, id, now_ms);
	enum loop_verdict verdict;

	sender->entry.heard_ms = now_ms;
	sender->entry.copies++;
	verdict = judge_sender(sender, payload, is_relay(relay), now_ms);
	if (relay && sender->state == PASSING)
		relay->found = 0;
	else if (relay && verdict != LOOP_NONE)
		relay->heard_ms = now_ms;
	if (id == payload->first && !is_origin(sender, payload))
		payload->first = 0;
	else if (id == payload->first)
		payload->alone = payload->origins == 1 && payload->round > 1 &&
						 sender->state == COUNTING
					 ? id
					 : 0;
	return verdict;
}

enum loop_verdict loop_guard_judge(struct loop_guard *guard, const void *payload, size_t size,
	const struct address *source, uint64_t now_ns)
{
	uint64_t hash = hash_keyed(&guard->key, payload, size);
	uint32_t now_ms = (uint32_t)(now_ns / NS_PER_MS), id = hash_source(guard, source), first;
	struct payload *known = NULL;
	enum loop_verdict verdict = LOOP_NONE;

	/* Where nothing is repeated, this is all. */
	if (now_ms - guard->repeated_ms < IDLE_MS)
		known = find_payload(guard, hash, now_ms);
	if (!known && !was_seen(guard, hash, id, now_ms, &first))
		return LOOP_NONE;
	if (!known)
		known = add_payload(guard, hash, first, now_ms);
	known->entry.heard_ms = guard->repeated_ms = now_ms;
	known->entry.copies++;
	if (id == known->alone)
		known->awaited = 0;
	else
		verdict = judge_address(guard, known, id, now_ms);
	if (id == known->first)
		pause_probe_count(&guard->probe, &known->repeats, hash, !known->awaited, now_ms);
	known->relayed += verdict == LOOP_NONE;
	if (verdict == LOOP_FOUND && !add_relay(guard, id, !known->origins, now_ms))
		return LOOP_AGAIN;
	return verdict;
}
