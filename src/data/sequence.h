/* What became of the numbers of one stream: how many came, came twice or too late, and how many
 * never did. Pure: the caller has the numbers and the clock.
 *
 * A stream is known by its highest number and by which of the last ones have come: the window. A
 * number in the window that has not come is open, and lost once it leaves the window, so that
 * reordering does not count as loss. In slow streams it leaves after one or two seconds of traffic,
 * so that loss is told in time. After each call, in numbers,
 *
 *     spanned = unique + lost + open
 *
 * where spanned is highest - first + 1, summed over the restarts of the stream. Each number that
 * is given is unique, a duplicate or late.
 *
 * A jump over more numbers than the stream would have sent in the meantime, and one back beyond the
 * window, is no loss: the number is late. When the stream goes on there, it has restarted (much as
 * in RFC 3550, appendix A.1), and is numbered anew from there. What was open then is lost. After a
 * jump ahead, the second number tells. One back may be the copies that come by another, longer way,
 * so the others must have ended, too. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

#define SEQUENCE_WINDOW 1024 /* numbers */
#define SEQUENCE_WINDOW_NS \
	NS_PER_S /* what came before this, and before as much again, is not in it */

/* A jump over this many, or fewer, is always taken for loss (MAX_DROPOUT of RFC 3550, appendix
 * A.1); and over more of them where numbers have more than 16 bits, and a restart hardly leads
 * there. */
#define SEQUENCE_JUMP 3000
#define SEQUENCE_JUMP_WIDE 100000

/* The others have ended when none came for this time, or in this many datagrams. */
#define SEQUENCE_QUIET_NS (20 * NS_PER_MS)
#define SEQUENCE_LATE_RUN 256

/* A stream has paused after this time, and after this many times its usual pause. */
#define SEQUENCE_PAUSE_NS (2 * NS_PER_S)
#define SEQUENCE_PAUSES 4

/* Numbers may not exceed this: half of what 64 bits hold. */
#define SEQUENCE_NUMBER_MAX (UINT64_MAX / 2)

struct sequence_counts {
	uint64_t spanned;
	uint64_t unique;
	uint64_t lost;
	uint64_t reordered; /* of the unique ones, those that came after a higher number */
	uint64_t duplicates;
	uint64_t late; /* below the window, or before the first; nothing is known of them */
	uint64_t restarts;
};

/* The last member of whatever has it: its window is behind it. Begins with sequence_init(). */
struct sequence {
	unsigned bits; /* of a number, as it is sent: 8, 16, 32 or 64 */
	uint32_t step; /* from a number to the next one */
	uint32_t window; /* in numbers; a power of two */
	bool is_begun;
	unsigned suspicious; /* the last numbers in a row that could not be placed */
	struct sequence_counts counts;
	uint64_t first, highest; /* of this run, extended to 64 bits, in steps */
	uint64_t suspect; /* what would follow them, as it is sent */
	uint64_t offset; /* of the numbers as they are sent, below a step */
	uint64_t floor; /* numbers below it are not in the window */
	uint64_t next_floor, floor_ns; /* it is next, SEQUENCE_WINDOW_NS after that time */
	uint64_t begun_ns, last_ns; /* of this run; of its highest number */
	uint64_t seen[]; /* a bit for each number of the window */
};

/* What a window of that many numbers takes, in bytes. */
#define SEQUENCE_SEEN_SIZE(window) ((window) / 8)

/* Numbers of that many bits, in steps of 1 or more. The window has this many of them, a power of
 * two from 64 on, or a quarter of their range where that is less; there is room for as many. */
void sequence_init(struct sequence *sequence, unsigned bits, uint32_t step, uint32_t window);

/* count numbers have come in one datagram, the first of which is number. 0: none has, and the next
 * one will be number. now_ns is of any clock: one that is set changes only how soon what is open is
 * lost, and which jumps are believed. */
void sequence_track(struct sequence *sequence, uint64_t number, uint32_t count, uint64_t now_ns);

/* Whether what comes now, unless the highest number or above it, is none of what came before.
 * Copies of a slow stream may be late by some of its pauses. */
bool sequence_has_paused(const struct sequence *sequence, uint64_t now_ns);

/* How many of the window have not come. */
uint64_t sequence_open(const struct sequence *sequence);

/* For who decides by itself what is a restart. */

enum sequence_place {
	SEQUENCE_FIRST, /* nothing has come yet */
	SEQUENCE_WITHIN, /* in the window, or some of it; or next, after a jump that is loss */
	SEQUENCE_APART, /* sequence_track() would take it for late */
};

/* Where numbers belong, as sequence_track() has them, but for pauses. *ret_index is the first,
 * extended, in steps; written where they are within. What has left the window by then is lost. */
enum sequence_place sequence_find(struct sequence *sequence, uint64_t number, uint32_t count,
	uint64_t now_ns, uint64_t *ret_index);

/* Counts numbers that are within, from this index on. */
void sequence_place(struct sequence *sequence, uint64_t index, uint32_t count, uint64_t now_ns);

/* The same as sequence_track(), and the stream restarts with these numbers. */
void sequence_restart(struct sequence *sequence, uint64_t number, uint32_t count, uint64_t now_ns);

/* Counts them as late, whatever they prove. */
void sequence_refuse(struct sequence *sequence, uint32_t count);
