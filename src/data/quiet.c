#include "data/quiet.h"

/* A pause of this many times the usual one is none that comes by itself. */
#define PAUSES_MIN 20

/* Checks that found more, from which the rhythm is known. */
#define ACTIVE_MIN 5

/* The usual pause shrinks by this part with each shorter one. */
#define SHRINK 4

/* Checks are less than this apart: a time longer than that had one that found nothing. */
#define CHECK_MAX_S 90

void quiet_begin(struct quiet *quiet, uint64_t received, uint32_t now_s)
{
	quiet->received = received;
	quiet->since_s = now_s;
}

/* Within one interval datagrams come evenly, as far as is known; what was empty for a whole
 * interval was one pause. */
static uint64_t pause_ms(uint64_t count, uint32_t passed_s)
{
	return passed_s > CHECK_MAX_S ? passed_s * 1000ull : passed_s * 1000ull / count;
}

bool quiet_check(struct quiet *quiet, uint64_t received, uint32_t now_s)
{
	uint64_t count = received - quiet->received, pause, shrunk;

	if (!count)
		return false;
	pause = pause_ms(count, now_s - quiet->since_s);
	shrunk = quiet->usual_ms - quiet->usual_ms / SHRINK;
	quiet->usual_ms = pause > shrunk ? pause : shrunk;
	quiet->received = received;
	quiet->since_s = now_s;
	if (quiet->active < ACTIVE_MIN)
		quiet->active++;
	return true;
}

enum quiet_state quiet_state(const struct quiet *quiet, uint32_t now_s)
{
	uint64_t quiet_ms = (now_s - quiet->since_s) * 1000ull;

	if (quiet_ms < QUIET_MIN_S * 1000ull)
		return QUIET_NOT;
	if (!quiet->received)
		return QUIET_NEVER;
	return quiet->active == ACTIVE_MIN && quiet_ms >= PAUSES_MIN * quiet->usual_ms
		       ? QUIET_STOPPED
		       : QUIET_NOT;
}
