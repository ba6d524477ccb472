/* ADDRESS:PORT as people write it. */
#pragma once

#include <stdint.h>

#include "net/address.h"

enum target_error {
	TARGET_OK,
	TARGET_NO_PORT,
	TARGET_NEEDS_BRACKETS, /* an IPv6 address without them: where would its port begin? */
	TARGET_BAD_ADDRESS,
	TARGET_BAD_PORT,
};

/* "233.252.0.1:5004" or "[ff15::1]:5004". Whether it is a group is for the daemon to say. Writes
 * *ret_address and *ret_port on success only. */
enum target_error target_parse(const char *string, struct address *ret_address, uint16_t *ret_port);

/* What is wrong, and what would do. */
const char *target_error_words(enum target_error error);
