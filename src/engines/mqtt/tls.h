/* TLS for libmosquitto, which checks a server's name against the address that it was told to
 * connect to. That is a number here, as names are looked up elsewhere: so the context is ours, and
 * OpenSSL itself checks the chain and the name (SSL_set1_host(3)). For one thread. */
#pragma once

#include <stdbool.h>

#include "engines/keys.h"

struct tls;

/* Returns 0 and a context without certificates; or -ENOMEM. */
int tls_new(struct tls **ret);
void tls_free(struct tls *tls); /* accepts NULL */

/* Reads the files anew, so that a certificate that was replaced is used from the next connection
 * on. Returns 0, or a negative errno with the reason in why. */
int tls_load(struct tls *tls, const struct engine_settings *settings, char why[static WHY_MAX]);

/* Who the next connection is to: a name, or an address of IPv4 or IPv6. Forgets what was wrong with
 * the last one. Returns 0 or -ENOMEM. */
int tls_expect(struct tls *tls, const char *host);

/* An SSL_CTX, as mosquitto_void_option(3) takes it. */
void *tls_context(struct tls *tls);

/* What was wrong with the server's certificate; NULL: nothing that is known. */
const char *tls_error(const struct tls *tls);
