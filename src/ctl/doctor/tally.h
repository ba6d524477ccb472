/* What was seen on the wire, by group and interface. Pure: frames in, counts out. What strangers
 * send costs no memory beyond a limit. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ctl/doctor/frame.h"
#include "ctl/doctor/wire.h"

struct tally;

/* How a frame was seen: packet(7). */
struct sighting {
	unsigned ifindex;
	uint8_t packet_type; /* PACKET_HOST, PACKET_OUTGOING, ... */
	uint64_t now_ns; /* any clock that goes forward */
};

/* Groups are copied. Returns NULL without memory. */
struct tally *tally_new(const struct wire_group *groups, size_t count, uint64_t now_ns);
void tally_free(struct tally *tally);

void tally_take(struct tally *tally, const struct frame *frame, const struct sighting *sighting);

/* All counts are 0 again. */
void tally_restart(struct tally *tally, uint64_t now_ns);

/* wire_seen() and wire_elsewhere(). */
const struct wire_seen *tally_seen(
	struct tally *tally, size_t group, unsigned ifindex, uint64_t now_ns);
unsigned tally_elsewhere(const struct tally *tally, size_t group, unsigned ifindex);

/* Frames that were not counted, as there was no room. */
uint64_t tally_left_out(const struct tally *tally);

/* What addresses with one MAC address have in common: 23 bits (RFC 1112, 6.4) or 32 bits (RFC 2464,
 * 7), with a bit for the family above them. 0: it is no multicast address. */
uint64_t multicast_mac_key(const struct address *address);
