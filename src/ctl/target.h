/* ADDRESS:PORT as people write it. */
#pragma once

#include "base/errors.h"
#include "net/address.h"

/* Reads "233.252.0.1:5004" or "[ff15::1]:5004". Whether it is a group is for the daemon to say.
 * Returns 0, or -EINVAL with the reason in why. Writes *ret_address and *ret_port on success only.
 */
int target_parse(const char *string, struct address *ret_address, uint16_t *ret_port,
	char why[static WHY_MAX]);
