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
	uint64_t mask, value; /* MATCH_INTEGER */
	size_t length; /* of the bytes */
	uint8_t bytes[MATCH_BYTES_MAX];
	uint8_t mask_bytes[MATCH_BYTES_MAX]; /* MATCH_BYTES */
};

/* Returns 0, or -EINVAL with the reason in why. */
int match_parse(const char *text, struct match *ret, char why[static WHY_MAX]);

bool match_holds(const struct match *match, const void *payload, size_t size);
