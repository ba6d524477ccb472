/* The numbers of a stream, in whatever order and at whatever times they come: after each datagram,
 * what was spanned is unique, lost or open, and what was given is unique, a duplicate or late.
 *
 * The first bytes say how the numbers are sent. Each datagram is three: what, where, and how far.
 */
#include "base/clock.h"
#include "data/sequence.h"
#include "fuzz.h"

static const unsigned sizes[] = {8, 16, 32, 64};
static const uint32_t steps[] = {1, 2, 3, 15, 160, 1 << 24};
static const uint32_t windows[] = {64, 256, SEQUENCE_WINDOW, 8192};

static void check(const struct sequence *sequence, uint64_t given)
{
	const struct sequence_counts *counts = &sequence->counts;
	uint64_t open = sequence_open(sequence);

	CHECK(counts->spanned == counts->unique + counts->lost + open);
	CHECK(given == counts->unique + counts->duplicates + counts->late);
	CHECK(counts->reordered <= counts->unique && open <= sequence->window);
}

/* Where the next number is: from the last one by a few, by a window, far away, or anywhere. */
static uint64_t move(uint64_t number, uint32_t step, uint8_t what, uint8_t distance)
{
	uint64_t by = (uint64_t)(distance + 1) * step;

	switch (what & 7) {
	case 0:
		return number + step;
	case 1:
		return number + by;
	case 2:
		return number - by;
	case 3:
		return number + (by << (distance & 15));
	case 4:
		return number - (by << (distance & 15));
	case 5:
		return number + distance; /* between two steps */
	case 6:
		return number ^ 1ull << (distance & 63);
	default:
		return number;
	}
}

/* In one datagram: mostly one. */
static uint32_t count_of(uint8_t what, uint8_t distance)
{
	switch (what >> 3 & 7) {
	case 5:
		return 0;
	case 6:
		return distance;
	case 7:
		return (uint32_t)distance << 8;
	default:
		return 1;
	}
}

static uint64_t pass_time(uint64_t now_ns, uint8_t time)
{
	uint64_t by = 1ull << (time >> 2 & 63);

	return time & 3 ? now_ns + (time & 1 ? by & 0xffff : by) : now_ns - by % now_ns;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	uint8_t how = input_byte(&input);
	unsigned bits = sizes[how & 3];
	uint32_t step = steps[(how >> 2) % ARRAY_SIZE(steps)];
	uint32_t window = windows[how >> 6];
	struct sequence *sequence = calloc(1, sizeof(*sequence) + SEQUENCE_SEEN_SIZE(window));
	uint64_t mask = bits == 64 ? SEQUENCE_NUMBER_MAX : (1ull << bits) - 1;
	uint64_t number = 0, now_ns = NS_PER_S, given = 0;

	CHECK(sequence);
	if (step >= 1ull << (bits / 2))
		step = 1; /* as the configuration has it */
	sequence_init(sequence, bits, step, window);
	while (input.size) {
		uint8_t what = input_byte(&input), distance = input_byte(&input);
		uint32_t count = count_of(what, distance);

		number = move(number, step, what, distance) & mask;
		now_ns = pass_time(now_ns, input_byte(&input)) & SEQUENCE_NUMBER_MAX;
		now_ns += !now_ns;
		sequence_track(sequence, number, count, now_ns);
		given += count;
		check(sequence, given);
		number += (uint64_t)step * (count ? count - 1 : 0);
	}
	free(sequence);
	return 0;
}
