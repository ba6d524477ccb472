/* What never came of a group whose datagrams are numbered (the key sequence). Each datagram is
 * given to the sequence of its stream, one of those that are known of its senders. What that finds
 * is counted for the group, and told as events.
 *
 * A stream that is forgotten for another one takes with it only what it still waits for, which
 * counts as lost. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config/numbering.h"
#include "data/counters.h"
#include "data/sequence.h"

struct config_group;
struct counters;
struct group_counters;
struct datagram;
struct group;
struct known_sender;
struct known_senders;
struct origin;

/* Of each numbered datagram the numbers are unique, duplicates or late; of mpeg-ts, packets and
 * discontinuities are counted instead. */
COUNTERS_RECORD(numbered_counters, {
	uint64_t numbered, unnumbered; /* datagrams */
	uint64_t unique, lost, reordered, duplicates, late; /* numbers */
	uint64_t restarts;
	uint64_t packets, discontinuities;
	uint64_t before; /* datagrams of the group that came before it had sequence */
});

/* Embedded in the group; zeroed where nothing is numbered. */
struct numbered {
	struct numbering numbering;
	uint32_t step;
	struct numbered_counters *counters; /* NULL: nothing is numbered */
	bool shares_counters; /* with the group that it replaces or is replaced by */
	bool is_settled; /* a datagram had a number, or it was logged that none has */
	unsigned doubtful; /* datagrams until then */
};

/* For a new group with its counters. replaced is of the group that it will replace, or NULL.
 * Returns 0 or -ENOMEM. */
int numbered_init(struct numbered *numbered, struct counters *counters,
	const struct config_group *config, const struct group_counters *group,
	const struct numbered *replaced);

/* Before the group is freed. */
void numbered_clear(struct numbered *numbered, struct counters *counters);

/* Whether streams go on when the group takes over from another one. */
bool numbered_goes_on(const struct numbered *numbered, const struct numbered *from);

/* The group takes over from the one that it replaces, which receives no more: until now it did.
 * Where that one had no sequence, or one whose numbers add up otherwise, counting begins here. */
void numbered_inherit(
	struct numbered *numbered, struct numbered *from, const struct group_counters *group);

/* What its datagrams must carry, of enum need. */
unsigned numbered_needs(const struct numbered *numbered);

/* To keep the group's senders in, with their streams. NULL without memory. */
struct known_senders *numbered_new_senders(const struct numbered *numbered);

/* Datagrams of the group were received. */
void numbered_note(struct group *group, struct known_senders *senders, const struct origin *origin,
	const struct datagram *datagrams, unsigned count);

/* Adds what a merged group has found in a batch, and tells what none of its legs has brought: the
 * difference of two counts, and how many of the datagrams that passed were numbered, and not. */
void numbered_add_merged(struct group *group, const struct sequence_counts *now,
	const struct sequence_counts *before, unsigned numbered, unsigned unnumbered);

/* What is known of one stream. */
struct stream_numbers {
	struct sequence_counts counts;
	uint64_t open;
	uint64_t packets, discontinuities;
	bool has_jitter;
	uint64_t jitter_ns;
};

/* Returns false where the sender's datagrams have no numbers. */
bool numbered_read_stream(const struct numbered *numbered, const struct known_sender *sender,
	struct stream_numbers *ret);

/* Datagrams of the group since it has sequence: numbered + unnumbered. */
uint64_t numbered_received(const struct group *group);

/* The sum over all that is known: numbers that may still come. */
uint64_t numbered_open(const struct group *group);
