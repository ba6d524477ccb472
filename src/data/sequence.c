#include "data/sequence.h"

#include <string.h>

#define WORD_BITS 64

/* Of two numbers that cannot be placed, the second follows the first also when some between them
 * are missing: fewer than this. */
#define FOLLOWING_WITHIN 64

void sequence_init(struct sequence *sequence, unsigned bits, uint32_t step, uint32_t window)
{
	uint64_t quarter = 1ull << (bits - 2);

	*sequence = (struct sequence){.bits = bits,
		.step = step,
		.window = quarter < window ? (uint32_t)quarter : window};
}

static uint64_t mask_of(uint64_t from, uint64_t count)
{
	return (count == WORD_BITS ? UINT64_MAX : (1ull << count) - 1) << from % WORD_BITS;
}

/* How many numbers from this one on have their bits in one word, at most count. */
static uint64_t in_word(uint64_t from, uint64_t count)
{
	uint64_t room = WORD_BITS - from % WORD_BITS;

	return count < room ? count : room;
}

static uint64_t *word_of(struct sequence *sequence, uint64_t number)
{
	return &sequence->seen[(number & (sequence->window - 1)) / WORD_BITS];
}

/* The lowest number of the window. */
static uint64_t lowest(const struct sequence *sequence)
{
	uint64_t span = sequence->highest + 1 - sequence->floor;

	return span <= sequence->window ? sequence->floor
					: sequence->highest + 1 - sequence->window;
}

/* How many numbers of the window have not come, of these. */
static uint64_t missing(const struct sequence *sequence, uint64_t from, uint64_t count)
{
	uint64_t found = 0;

	while (count) {
		uint64_t n = in_word(from, count), mask = mask_of(from, n);
		uint64_t word = sequence->seen[(from & (sequence->window - 1)) / WORD_BITS];

		found += n - (uint64_t)__builtin_popcountll(word & mask);
		from += n;
		count -= n;
	}
	return found;
}

/* Sets the bits of numbers that are in the window. Returns how many were not set. */
static uint64_t mark(struct sequence *sequence, uint64_t from, uint64_t count)
{
	uint64_t fresh = missing(sequence, from, count);

	while (count) {
		uint64_t n = in_word(from, count);

		*word_of(sequence, from) |= mask_of(from, n);
		from += n;
		count -= n;
	}
	return fresh;
}

uint64_t sequence_open(const struct sequence *sequence)
{
	uint64_t low = lowest(sequence);

	return sequence->is_begun ? missing(sequence, low, sequence->highest + 1 - low) : 0;
}

/* How many of the numbers from this one on take the bits of numbers that were expected. */
static uint64_t displaced(const struct sequence *sequence, uint64_t from, uint64_t count)
{
	uint64_t begin = sequence->first + sequence->window, end = from + count;

	if (end <= begin)
		return 0;
	return end - begin < count ? end - begin : count;
}

/* The number becomes the highest, by less than a window. Those that leave the window give their
 * bits to those that enter it, and are lost if these are not set. */
static void slide_within(struct sequence *sequence, uint64_t to)
{
	uint64_t from = sequence->highest + 1, count = to - sequence->highest;

	while (count) {
		uint64_t n = in_word(from, count), mask = mask_of(from, n);
		uint64_t *word = word_of(sequence, from);

		sequence->counts.lost += displaced(sequence, from, n) -
					 (uint64_t)__builtin_popcountll(*word & mask);
		*word &= ~mask;
		from += n;
		count -= n;
	}
}

/* The number becomes the highest. */
static void slide(struct sequence *sequence, uint64_t to)
{
	uint64_t distance = to - sequence->highest;

	if (distance < sequence->window) {
		slide_within(sequence, to);
	} else {
		/* All of the window leaves, and what lies between was never in it. */
		sequence->counts.lost += sequence_open(sequence) + distance - sequence->window;
		memset(sequence->seen, 0, SEQUENCE_SEEN_SIZE(sequence->window));
	}
	sequence->counts.spanned += distance;
	sequence->highest = to;
}

/* What is below the floor leaves the window. Its bits are set then, so that none is lost twice. */
static void raise_floor(struct sequence *sequence, uint64_t floor)
{
	uint64_t low = lowest(sequence);

	if (floor > low)
		sequence->counts.lost += mark(sequence, low, floor - low);
	sequence->floor = floor;
}

/* From time to time. Begins again when the clock was set back. */
static void settle(struct sequence *sequence, uint64_t now_ns)
{
	if (now_ns < sequence->floor_ns)
		sequence->floor_ns = now_ns;
	if (!sequence->is_begun || now_ns < sequence->floor_ns + SEQUENCE_WINDOW_NS)
		return;
	raise_floor(sequence, sequence->next_floor);
	sequence->next_floor = sequence->highest + 1;
	sequence->floor_ns = now_ns;
}

bool sequence_has_paused(const struct sequence *sequence, uint64_t now_ns)
{
	uint64_t sent = sequence->highest + 1 - sequence->first, run_ns;

	if (!sequence->is_begun || now_ns < sequence->last_ns + SEQUENCE_PAUSE_NS)
		return false;
	run_ns = sequence->last_ns - sequence->begun_ns;
	return !sent || (now_ns - sequence->last_ns) / SEQUENCE_PAUSES > run_ns / sent;
}

/* The last number stays: some repeat it until there is another. */
static void notice_pause(struct sequence *sequence, uint64_t now_ns)
{
	if (!sequence_has_paused(sequence, now_ns))
		return;
	if (sequence->highest > sequence->floor)
		raise_floor(sequence, sequence->highest);
	sequence->next_floor = sequence->highest + 1;
	sequence->floor_ns = now_ns;
}

/* The number with these low bits that is nearest to what is expected. */
static uint64_t extend(const struct sequence *sequence, uint64_t number)
{
	uint64_t expected = sequence->highest * sequence->step + sequence->offset, range, near;

	if (sequence->bits == 64)
		return number + sequence->step;
	range = 1ull << sequence->bits;
	near = (expected & ~(range - 1)) | (number & (range - 1));
	if (near + range / 2 < expected)
		return near + range;
	return near > expected + range / 2 ? near - range : near;
}

/* Numbers above the highest have come. Those of more than a window come window by window. */
static void advance(struct sequence *sequence, uint64_t from, uint64_t count)
{
	sequence->counts.unique += count;
	while (count) {
		uint64_t n = count < sequence->window ? count : sequence->window;

		slide(sequence, from + n - 1);
		mark(sequence, from, n);
		from += n;
		count -= n;
	}
}

/* A new run begins with this number, as it is sent. What is open is lost. Those before the first
 * one are not expected, but there is room for them above zero. */
static void begin(struct sequence *sequence, uint64_t number, uint64_t now_ns)
{
	if (sequence->is_begun) {
		sequence->counts.lost += sequence_open(sequence);
		sequence->counts.restarts++;
	}
	number += sequence->bits < 64 ? 1ull << sequence->bits : sequence->step;
	memset(sequence->seen, 0, SEQUENCE_SEEN_SIZE(sequence->window));
	sequence->offset = number % sequence->step;
	sequence->first = number / sequence->step;
	sequence->floor = sequence->next_floor = sequence->first;
	sequence->floor_ns = now_ns;
	sequence->highest = sequence->first - 1;
	sequence->is_begun = true;
	sequence->suspicious = 0;
	sequence->begun_ns = sequence->last_ns = now_ns;
}

/* Whether the stream may have sent this many since its highest number: it has, by the pace of this
 * run, and twice as many are believed. */
static bool is_plausible(const struct sequence *sequence, uint64_t jump, uint64_t now_ns)
{
	double sent = (double)(sequence->highest - sequence->first + 1);
	double run_ns = (double)(sequence->last_ns - sequence->begun_ns);

	if (jump <= (sequence->bits > 16 ? SEQUENCE_JUMP_WIDE : SEQUENCE_JUMP))
		return true;
	if (now_ns <= sequence->last_ns || run_ns <= 0)
		return false;
	return (double)jump <= 2 * sent / run_ns * (double)(now_ns - sequence->last_ns);
}

/* Whether the number follows the last one that could not be placed. */
static bool follows(const struct sequence *sequence, uint64_t number)
{
	uint64_t ahead = number - sequence->suspect;

	if (sequence->bits < 64)
		ahead &= (1ull << sequence->bits) - 1;
	return ahead / sequence->step < FOLLOWING_WITHIN;
}

/* Whether what was numbered so far has ended. Numbers far ahead prove it. Those far behind may be
 * copies that come another, longer way: then it goes on between them. */
static bool has_ended(const struct sequence *sequence, bool is_ahead, uint64_t now_ns)
{
	if (sequence->suspicious < 2)
		return false;
	return is_ahead || sequence->suspicious >= SEQUENCE_LATE_RUN ||
	       now_ns > sequence->last_ns + SEQUENCE_QUIET_NS;
}

/* Numbers that cannot be placed. Unless the stream has restarted, they are late. */
static void doubt(
	struct sequence *sequence, uint64_t number, uint32_t count, bool is_ahead, uint64_t now_ns)
{
	uint64_t next = number + (uint64_t)count * sequence->step;
	bool again = sequence->suspicious && next == sequence->suspect;

	if (!sequence->suspicious || (!again && !follows(sequence, number)))
		sequence->suspicious = 0;
	if (!again || !count)
		sequence->suspicious++;
	sequence->suspect = next;
	if (has_ended(sequence, is_ahead, now_ns))
		sequence_restart(sequence, number, count, now_ns);
	else
		sequence->counts.late += count;
}

/* Numbers of which the first is in the window, or all are below it. */
static void fill(struct sequence *sequence, uint64_t from, uint64_t count)
{
	uint64_t low = lowest(sequence), below = from < low ? low - from : 0, fresh;

	below = below < count ? below : count;
	sequence->counts.late += below;
	fresh = mark(sequence, from + below, count - below);
	sequence->counts.unique += fresh;
	sequence->counts.reordered += fresh;
	sequence->counts.duplicates += count - below - fresh;
}

/* Whether this is the number after the highest, as it is sent. Most are. */
static bool is_next(const struct sequence *sequence, uint64_t number)
{
	uint64_t next = (sequence->highest + 1) * sequence->step + sequence->offset;

	if (sequence->bits == 64)
		return number == next - sequence->step;
	return number == (next & ((1ull << sequence->bits) - 1));
}

enum sequence_place sequence_find(struct sequence *sequence, uint64_t number, uint32_t count,
	uint64_t now_ns, uint64_t *ret_index)
{
	uint64_t extended, index;

	settle(sequence, now_ns);
	if (!sequence->is_begun)
		return SEQUENCE_FIRST;
	if (is_next(sequence, number)) {
		*ret_index = sequence->highest + 1;
		return SEQUENCE_WITHIN;
	}
	extended = extend(sequence, number);
	*ret_index = index = extended / sequence->step;
	if (extended % sequence->step != sequence->offset ||
		index + (count ? count : 1) <= lowest(sequence))
		return SEQUENCE_APART;
	if (index > sequence->highest &&
		!is_plausible(sequence, index - sequence->highest - 1, now_ns))
		return SEQUENCE_APART;
	return SEQUENCE_WITHIN;
}

/* As sequence_place() does, for the number after the highest, in less time. */
static void advance_by_one(struct sequence *sequence, uint64_t now_ns)
{
	uint64_t next = sequence->highest + 1, bit = 1ull << next % WORD_BITS;
	uint64_t *word = word_of(sequence, next);

	if (!(*word & bit)) {
		sequence->counts.lost += next >= sequence->first + sequence->window;
		*word |= bit;
	}
	sequence->counts.unique++;
	sequence->counts.spanned++;
	sequence->highest = next;
	sequence->suspicious = 0;
	sequence->last_ns = now_ns;
}

void sequence_place(struct sequence *sequence, uint64_t index, uint32_t count, uint64_t now_ns)
{
	uint64_t end = index + (count ? count : 1);
	uint64_t old = index > sequence->highest ? 0 : sequence->highest + 1 - index;

	if (count == 1 && index == sequence->highest + 1) {
		advance_by_one(sequence, now_ns);
		return;
	}
	sequence->suspicious = 0;
	old = old < count ? old : count;
	if (old)
		fill(sequence, index, old);
	if (end <= sequence->highest + 1)
		return;
	/* One that announces the next number without being numbered itself. */
	if (!count)
		slide(sequence, index - 1);
	else
		advance(sequence, index + old, count - old);
	sequence->last_ns = now_ns;
}

void sequence_restart(struct sequence *sequence, uint64_t number, uint32_t count, uint64_t now_ns)
{
	begin(sequence, number, now_ns);
	advance(sequence, sequence->first, count);
}

void sequence_refuse(struct sequence *sequence, uint32_t count)
{
	sequence->counts.late += count;
}

void sequence_track(struct sequence *sequence, uint64_t number, uint32_t count, uint64_t now_ns)
{
	uint64_t index;

	if (count == 1 && sequence->is_begun && is_next(sequence, number)) {
		settle(sequence, now_ns);
		advance_by_one(sequence, now_ns);
		return;
	}
	notice_pause(sequence, now_ns);
	switch (sequence_find(sequence, number, count, now_ns, &index)) {
	case SEQUENCE_FIRST:
		sequence_restart(sequence, number, count, now_ns);
		break;
	case SEQUENCE_WITHIN:
		sequence_place(sequence, index, count, now_ns);
		break;
	case SEQUENCE_APART:
		doubt(sequence, number, count, index > sequence->highest, now_ns);
		break;
	}
}
