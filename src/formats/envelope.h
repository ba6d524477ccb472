/* What a message at a broker carries beside the datagram's payload: two headers.
 *
 *     Mcastd-Id: plant-1/9f3c2a61d04b77e8/4711            site, run, number
 *     Mcastd-From: source=10.0.0.7 sourcePort=5004 interface=eth0 ttl=1 timestamp=2026-11-29T...Z
 *
 * Pure: text in, structs out. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/datagram.h"

#define ENVELOPE_ID "Mcastd-Id"
#define ENVELOPE_FROM "Mcastd-From"
#define SITE_MAX 64 /* bytes of a site's name */
#define ENVELOPE_ID_MAX (SITE_MAX + 1 + 16 + 1 + 20 + 1) /* with the zero */
#define ENVELOPE_FROM_MAX 256

struct envelope_id {
	char site[SITE_MAX + 1];
	uint64_t run, number;
};

/* Whether it can be the name of a site: 1 to SITE_MAX letters, digits, - and _. */
bool envelope_is_site(const char *name, size_t length);

/* Writes a terminated id. Returns its length. */
size_t envelope_write_id(
	char ret[static ENVELOPE_ID_MAX], const char *site, uint64_t run, uint64_t number);

/* Returns 0 or -EINVAL: the text is not exactly an id. */
int envelope_read_id(const char *text, size_t length, struct envelope_id *ret);

/* Writes a terminated text. Returns its length. */
size_t envelope_write_from(char ret[static ENVELOPE_FROM_MAX], const struct origin *origin,
	const struct datagram *datagram);
