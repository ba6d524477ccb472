/* Feeds that are merged, whatever they bring and when: what the counts say agrees, and nothing
 * passes more often than the leg that brought most of it brought it, until the stream restarts.
 *
 * The first byte says how the numbers are sent. Each datagram is four: leg and stream, what, where,
 * and when. */
#include "base/clock.h"
#include "data/merge.h"
#include "fuzz.h"

#define STREAMS 3
#define NUMBERS 16384

static const unsigned sizes[] = {0, 8, 16, 32, 64};

/* Since the stream began anew, of each number. */
static struct {
	uint8_t brought[MERGE_LEGS_MAX], passed;
} known[STREAMS][NUMBERS];

static uint8_t most_of(const uint8_t brought[static MERGE_LEGS_MAX])
{
	uint8_t most = 0;

	for (unsigned i = 0; i < MERGE_LEGS_MAX; i++)
		most = brought[i] > most ? brought[i] : most;
	return most;
}

static void check_sums(const struct merge *merge, unsigned legs)
{
	const struct sequence_counts *counts = merge_counts(merge);

	CHECK(counts->spanned == counts->unique + counts->lost + merge_open(merge));
	for (unsigned i = 0; i < legs; i++) {
		counts = merge_leg_counts(merge, i);
		CHECK(counts->spanned == counts->unique + counts->lost + merge_leg_open(merge, i));
		CHECK(merge_leg_skew_ns(merge, i, 0.5) <= merge_leg_skew_ns(merge, i, 0.99));
	}
}

/* Whether one of the numbers has passed less often than some leg has brought it. */
static bool remember(unsigned stream, unsigned leg, const struct merge_number *number)
{
	bool is_new = false;

	for (uint64_t n = number->first; n < number->first + number->count; n++) {
		uint8_t *brought = known[stream][n].brought, *passed = &known[stream][n].passed;

		if (brought[leg] < UINT8_MAX)
			brought[leg]++;
		if (*passed < most_of(brought)) {
			++*passed;
			is_new = true;
		}
	}
	return is_new;
}

static uint64_t move(uint64_t number, uint8_t what, uint8_t distance)
{
	switch (what & 3) {
	case 0:
		return number + 1;
	case 1:
		return number + distance;
	case 2:
		return number - distance;
	default:
		return number + ((uint64_t)distance << 6);
	}
}

static void bring(struct merge *merge, unsigned bits, uint8_t who, uint64_t *number, uint8_t what,
	uint64_t now_ns, unsigned legs)
{
	unsigned stream = (who >> 4) % STREAMS, leg = who % legs;
	struct merge_number numbers = {.stream = {stream}, .first = *number, .count = 1};
	struct sequence_counts before = *merge_counts(merge);
	const struct sequence_counts *now = merge_counts(merge);
	enum merge_verdict verdict;
	bool is_new;

	if (bits == 64 && what & 64)
		numbers.count += what >> 2 & 15;
	if (numbers.first + numbers.count > NUMBERS)
		numbers.first = 0;
	if (bits == 8)
		numbers.first &= UINT8_MAX;
	verdict = merge_take(
		merge, leg, what & 128 ? NULL : &numbers, number, sizeof(*number), now_ns);
	*number = numbers.first;
	CHECK(bits || verdict != MERGE_APART);
	if (now->restarts != before.restarts)
		memset(known[stream], 0, sizeof(known[stream]));
	/* Narrow numbers come around. */
	if (what & 128 || bits < 32 || verdict == MERGE_APART)
		return;
	is_new = remember(stream, leg, &numbers);
	CHECK(verdict != MERGE_PASSES || is_new || now->late != before.late);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	uint8_t how = input_byte(&input);
	unsigned bits = sizes[how % ARRAY_SIZE(sizes)],
		 legs = 2 + (how >> 4) % (MERGE_LEGS_MAX - 1);
	struct merge *merge = merge_new(legs, bits, 1);
	uint64_t numbers[MERGE_LEGS_MAX] = {0}, now_ns = NS_PER_S;

	CHECK(merge);
	memset(known, 0, sizeof(known));
	while (input.size) {
		uint8_t who = input_byte(&input), what = input_byte(&input);
		uint64_t *number = &numbers[who % legs];

		*number = move(*number, what, input_byte(&input)) % NUMBERS;
		/* 1 ns to 34 s */
		now_ns += 1ull << input_byte(&input) % 36;
		bring(merge, bits, who, number, what, now_ns, legs);
		check_sums(merge, legs);
	}
	merge_free(merge);
	return 0;
}
