/* How a handler logs in at its servers, by its settings. Immutable, and with references: a thread
 * that connects may outlive the handler. The files are read for each connection, so that one that
 * was replaced counts from the next connection on. */
#pragma once

#include <nats/nats.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "engines/keys.h"

struct login {
	atomic_uint references;
	atomic_uint stuck; /* attempts with it that are abandoned, and not over */
	char *name; /* of the connection, for "nats server report connections" */
	struct nats_settings settings; /* a copy */
};

/* Of the handler of this name: one reference. settings need not outlive the call. Returns 0 or
 * -ENOMEM. */
int login_new(const struct nats_settings *settings, const char *handler, struct login **ret);
struct login *login_ref(struct login *login);
void login_unref(struct login *login); /* accepts NULL */

/* Secrets that cannot be used are an error of the configuration; later ones are shown as the cause
 * of a missing connection. (For certificates, see engines/certificates.h.) Returns 0, or a negative
 * errno with the reason in why. */
int login_check_files(const struct login *login, char why[static WHY_MAX]);

/* What libnats needs of it for a connection with TLS, and for any. When they fail, the reason is in
 * why if it is not libnats' own. */
natsStatus login_set_tls(const struct login *login, natsOptions *options, char why[static WHY_MAX]);
natsStatus login_set_user(
	const struct login *login, natsOptions *options, char why[static WHY_MAX]);
