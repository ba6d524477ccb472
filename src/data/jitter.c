#include "data/jitter.h"

#include <math.h>

#include "base/cleanup.h"
#include "base/clock.h"

/* The clocks of RFC 3551, of AES67 and of ST 2110. */
static const uint32_t clocks[] = {8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 88200,
	90000, 96000, 176400, 192000, 352800, 384000, 27000000};

/* How far what is measured may be from a clock, in parts: less than half of what two are apart. */
#define TOLERANCE 0.009

/* Finds the clock after a second, and begins again where there is none: the stream paused, or is
 * not sent in real time. */
static void find_clock(struct jitter *jitter, uint32_t timestamp, uint64_t arrived_ns)
{
	double hz, seconds = (double)(arrived_ns - jitter->begun_ns) / NS_PER_S;

	if (seconds < 1)
		return;
	hz = jitter->span / seconds;
	for (unsigned i = 0; i < ARRAY_SIZE(clocks); i++)
		if (fabs(hz - clocks[i]) < TOLERANCE * clocks[i])
			jitter->clock_hz = clocks[i];
	if (jitter->clock_hz)
		return;
	jitter->begun_ns = arrived_ns;
	jitter->last = timestamp;
	jitter->span = 0;
}

static void follow(struct jitter *jitter, int32_t passed, uint64_t arrived_ns)
{
	double sent_ns = (double)passed * NS_PER_S / jitter->clock_hz;
	double difference = fabs((double)(arrived_ns - jitter->last_ns) - sent_ns);

	/* One that is off by more than a second has been paused. */
	if (difference < NS_PER_S)
		jitter->ns += (difference - jitter->ns) / 16;
}

void jitter_note(struct jitter *jitter, uint32_t timestamp, uint64_t arrived_ns)
{
	int32_t passed = (int32_t)(timestamp - jitter->last);

	if (!jitter->is_begun || arrived_ns < jitter->last_ns) {
		*jitter = (struct jitter){.is_begun = true, .begun_ns = arrived_ns};
	} else if (jitter->clock_hz) {
		follow(jitter, passed, arrived_ns);
	} else {
		jitter->span += (uint32_t)passed;
		find_clock(jitter, timestamp, arrived_ns);
	}
	jitter->last = timestamp;
	jitter->last_ns = arrived_ns;
}

bool jitter_read(const struct jitter *jitter, uint64_t *ret_ns)
{
	*ret_ns = (uint64_t)jitter->ns;
	return jitter->clock_hz;
}
