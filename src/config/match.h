/* Conditions on a payload: the key match of filters. Pure.
 *
 *     u16@2 == 7                  an integer at an offset, compared: == != < <= > >=
 *     u8@0 & 0xf0 == 0x40         of which some bits are
 *     bytes@4 == 0x0a0b           bytes at an offset: == or !=
 *     bytes@4 & 0xff00 == 0x0a00  of which some bits are
 *     contains ALARM              text anywhere
 *     contains 0x0d0a             bytes anywhere
 *
 * Integers are u8, u16, u32 and u64 in network byte order, or with "le" behind in the other one. A
 * payload that ends before the offset fulfils no condition there. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/errors.h"

#define MATCH_BYTES_MAX 256

enum match_kind { MATCH_INTEGER, MATCH_BYTES, MATCH_CONTAINS };

enum match_order { MATCH_EQUAL, MATCH_UNEQUAL, MATCH_BELOW, MATCH_UP_TO, MATCH_ABOVE, MATCH_FROM };

struct match {
	enum match_kind kind;
	enum match_order order;
	uint32_t offset;
	uint8_t size; /* of the integer, in bytes */
	bool is_little_endian;
	bool is_too_large; /* while it is parsed: 64 bits do not hold the mask or the value */
	uint64_t mask, value; /* MATCH_INTEGER */
	size_t length; /* of the bytes */
	uint8_t bytes[MATCH_BYTES_MAX];
	uint8_t mask_bytes[MATCH_BYTES_MAX]; /* MATCH_BYTES */
};

/* Refuses also what no payload fulfils, and what each that is long enough does. Returns 0, or
 * -EINVAL with the reason in why. */
int match_parse(const char *text, struct match *ret, char why[static WHY_MAX]);

/* The least size of a payload that fulfils it, in bytes. */
size_t match_size(const struct match *match);

/* Whether no payload fulfils both, as they ask for different bytes at one place. */
bool match_contradicts(const struct match *a, const struct match *b);

bool match_holds(const struct match *match, const void *payload, size_t size);
