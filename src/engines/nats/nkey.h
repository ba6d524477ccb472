/* NKeys, with which NATS knows its users: base32 of a prefix, an Ed25519 key and a CRC. */
#pragma once

#include "base/errors.h"

#define NKEY_PUBLIC_MAX 57 /* characters, with the zero */

/* The public key of a user's seed ("SU..."). Returns 0 or -EINVAL. */
int nkey_public(const char *seed, char ret[static NKEY_PUBLIC_MAX]);

/* The same for the seed in a file (engine_read_secret()). Returns 0, or a negative errno with the
 * reason in why. */
int nkey_public_of_file(
	const char *file, char why[static WHY_MAX], char ret[static NKEY_PUBLIC_MAX]);
