#include "data/pause_probe.h"

#define REPEATS_MIN 16
#define REPEATS_MAX (1 << 24)
#define FEW 4 /* at most one of 4 that are expected */
#define SUSPICIONS 2
#define PAUSE_MIN_MS 4
#define PAUSE_MAX_MS 100
#define RESTS 9 /* after a pause, 9 times its duration without one for another payload */
#define RESTS_MANY 99 /* after MANY_PAUSES without a ring: what is read comes late by them */
#define MANY_PAUSES 8
#define MINUTE_MS 60000

/* After this time a pause that was asked for has been forgotten by the reader. */
#define FORGOTTEN_MS 1000

void repeats_init(struct repeats *repeats)
{
	*repeats = (struct repeats){.max = REPEATS_MIN};
}

static bool is_free(const struct pause_probe *probe, uint32_t now_ms)
{
	return !probe->hash || now_ms - probe->asked_ms > FORGOTTEN_MS;
}

static bool is_resting(const struct pause_probe *probe, uint32_t now_ms)
{
	return now_ms - probe->rest_ms < probe->rest_takes_ms;
}

static void ask(
	struct pause_probe *probe, uint64_t hash, uint32_t ms, uint32_t expected, uint32_t now_ms)
{
	probe->hash = hash;
	probe->asked_ms = now_ms;
	probe->ms = ms;
	probe->expected = expected;
	probe->count = 0;
	probe->is_counting = false;
}

void pause_probe_consider(
	struct pause_probe *probe, struct repeats *repeats, uint64_t hash, uint32_t now_ms)
{
	uint32_t took = now_ms > repeats->since_ms ? now_ms - repeats->since_ms : 1;
	uint32_t ms = 2 * took > PAUSE_MIN_MS ? 2 * took : PAUSE_MIN_MS;

	if (ms > PAUSE_MAX_MS)
		repeats->suspicions = 0;
	else if (is_free(probe, now_ms) && (repeats->suspicions || !is_resting(probe, now_ms)))
		ask(probe, hash, ms, repeats->count * ms / took, now_ms);
	repeats->count = 0;
}

uint32_t pause_probe_take(struct pause_probe *probe)
{
	uint32_t ms = probe->ms;

	probe->ms = 0;
	return ms;
}

void pause_probe_refuse(struct pause_probe *probe)
{
	probe->hash = 0;
}

void pause_probe_end(struct pause_probe *probe)
{
	probe->is_counting = probe->hash;
}

static void begin_rest(struct pause_probe *probe, uint32_t paused_ms, uint32_t now_ms)
{
	if (now_ms - probe->rest_ms >= MINUTE_MS)
		probe->pauses = 0;
	probe->rest_ms = now_ms;
	probe->rest_takes_ms = paused_ms * (++probe->pauses > MANY_PAUSES ? RESTS_MANY : RESTS);
}

bool pause_probe_was_queued(
	struct pause_probe *probe, struct repeats *repeats, bool is_all, uint32_t now_ms)
{
	uint32_t count = probe->count, expected = probe->expected;

	if (probe->hash)
		begin_rest(probe, now_ms - probe->asked_ms, now_ms);
	ask(probe, 0, 0, 0, 0);
	if (!repeats)
		return false;
	/* A ring goes on at once, and a burst of a host does not. */
	repeats->count = 1;
	repeats->since_ms = now_ms;
	if (!count || count * FEW > expected || !is_all) {
		repeats->suspicions = 0;
		if (count && repeats->max < REPEATS_MAX)
			repeats->max *= 4;
		return false;
	}
	if (++repeats->suspicions < SUSPICIONS)
		return false;
	probe->pauses = 0;
	return true;
}
