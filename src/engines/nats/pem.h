/* Certificates and private keys in files of PEM, as far as they can be judged without a server.
 * Paths are those of engine_find_file(). */
#pragma once

#include <stdbool.h>

#include "base/errors.h"

/* Each returns 0, or a negative errno with the reason in why. */
int pem_check_authorities(const char *path, char why[static WHY_MAX]);
int pem_check_pair(const char *certificate, const char *key, char why[static WHY_MAX]);

/* Whether the certificate in a file is not valid at the time of this host's clock; then why says
 * since when, or until when. */
bool pem_is_out_of_date(const char *path, char why[static WHY_MAX]);
