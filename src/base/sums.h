/* Sums of numbers that somebody else chooses: they stop at the smallest or the largest number, and
 * never wrap around. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Adds to a sum. Returns whether that is exact. */
static inline bool sum_add(int64_t *sum, int64_t number)
{
	if (!__builtin_add_overflow(*sum, number, sum))
		return true;
	*sum = number < 0 ? INT64_MIN : INT64_MAX;
	return false;
}

/* Subtracts from one. Returns whether that is exact. */
static inline bool sum_subtract(int64_t *sum, int64_t number)
{
	if (!__builtin_sub_overflow(*sum, number, sum))
		return true;
	*sum = number < 0 ? INT64_MAX : INT64_MIN;
	return false;
}
