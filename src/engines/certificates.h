/* Certificates and keys in files, by OpenSSL. A part of each module, as the daemon has no OpenSSL.
 */
#pragma once

#include <openssl/x509.h>

#include "config/config.h"
#include "engines/settings.h"

/* See handler_kind.check_files; of settings that begin with engine_settings. */
void certificates_check(const void *settings, config_complain *complain, void *argument);

/* The first of what certificates_check() complains of, as "FILE: words". Returns 0, or -EINVAL with
 * that in why. */
int certificates_judge(const struct engine_settings *settings, char why[static WHY_MAX]);

/* See handler_kind.doubt: the own certificate is not valid now. */
bool certificates_doubt(const void *settings, char why[static WHY_MAX]);

/* What is wrong with a certificate that OpenSSL does not accept for this error (X509_V_ERR_...), as
 * what follows "the certificate". depth: the fault is in the one that many above it, whom it was
 * signed by. Returns ret. */
const char *certificates_explain(
	int error, const X509 *faulty, int depth, char ret[static WHY_MAX]);
