/* What "mcastctl probe send" sends: RTP (RFC 3550), with what the other end needs in the payload.
 * Any tool for RTP can count the loss, too. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/probe/probe.h"

struct probe_packet {
	uint32_t ssrc; /* of this run */
	uint32_t number; /* from 0; the sequence number of RTP is its low half */
	uint32_t total; /* how many are sent; 0: until the sender is stopped */
	uint64_t sent_ns; /* CLOCK_REALTIME of the sender */
	uint8_t ttl; /* that it was sent with; 0: not known */
};

/* Writes size bytes, PROBE_SIZE_MIN or more. */
void probe_packet_write(const struct probe_packet *packet, uint8_t *payload, size_t size);

/* Returns whether it is one. */
bool probe_packet_read(const uint8_t *payload, size_t size, struct probe_packet *ret);
