/* assert_in_range() for unsigned values, with any cmocka: 2.0 has assert_uint_in_range() instead
 * and warns of the old name, 1.1 has the old one only. Include it after cmocka.h. */
#pragma once

#include <inttypes.h>

#undef assert_in_range
#define assert_in_range(value, minimum, maximum)                                                \
	do {                                                                                    \
		uintmax_t value_ = (value), minimum_ = (minimum), maximum_ = (maximum);         \
                                                                                                \
		if (value_ < minimum_ || value_ > maximum_)                                     \
			fail_msg("%s is %ju, not within %ju and %ju", #value, value_, minimum_, \
				maximum_);                                                      \
	} while (0)
