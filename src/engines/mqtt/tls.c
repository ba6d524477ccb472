#include "engines/mqtt/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "engines/certificates.h"

struct tls {
	SSL_CTX *context;
	char host[HOST_MAX + 1]; /* that the connection is to */
	bool is_address;
	char error[WHY_MAX]; /* "": none */
};

/* ---- What OpenSSL calls ---- */

/* An encrypted key: OpenSSL would ask for its passphrase at the terminal. */
static int refuse_passphrase(char *buffer, int size, int is_writing, void *object)
{
	(void)buffer, (void)size, (void)is_writing, (void)object;
	return 0;
}

static struct tls *of_context(SSL_CTX *context)
{
	return SSL_CTX_get_app_data(context);
}

/* Remembers why a certificate is not accepted; OpenSSL's own error says only that it is not. */
static int see_verified(int is_good, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls *tls = of_context(SSL_get_SSL_CTX(ssl));
	int error = X509_STORE_CTX_get_error(store);
	char reason[WHY_MAX];

	if (is_good)
		return is_good;
	if (error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH)
		because(tls->error, 0, "the broker's certificate is not for %s", tls->host);
	else
		because(tls->error, 0, "the broker's certificate %s",
			certificates_explain(error, X509_STORE_CTX_get_current_cert(store),
				X509_STORE_CTX_get_error_depth(store), reason));
	return is_good;
}

/* The library names the address to the server (RFC 6066), where the name belongs: brokers that
 * share an address are told apart by it. This comes before the first message is made. */
static void name_server(const SSL *ssl, int where, int value)
{
	struct tls *tls = of_context(SSL_get_SSL_CTX(ssl));

	(void)value;
	if (where & SSL_CB_HANDSHAKE_START && !SSL_is_init_finished(ssl))
		SSL_set_tlsext_host_name((SSL *)ssl, tls->is_address ? NULL : tls->host);
}

/* ---- The context ---- */

int tls_new(struct tls **ret)
{
	struct tls *tls = calloc(1, sizeof(*tls));

	if (tls)
		tls->context = SSL_CTX_new(TLS_client_method());
	if (!tls || !tls->context) {
		free(tls);
		return -ENOMEM;
	}
	SSL_CTX_set_app_data(tls->context, tls);
	SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
	SSL_CTX_set_options(tls->context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, see_verified);
	SSL_CTX_set_info_callback(tls->context, name_server);
	SSL_CTX_set_default_passwd_cb(tls->context, refuse_passphrase);
	*ret = tls;
	return 0;
}

void tls_free(struct tls *tls)
{
	if (!tls)
		return;
	SSL_CTX_free(tls->context);
	free(tls);
	/* What OpenSSL has for this thread, now and not some time after the thread has said that it
	 * ended: the process may be gone by then. */
	OPENSSL_thread_stop();
}

void *tls_context(struct tls *tls)
{
	return tls->context;
}

const char *tls_error(const struct tls *tls)
{
	return *tls->error ? tls->error : NULL;
}

int tls_expect(struct tls *tls, const char *host)
{
	X509_VERIFY_PARAM *parameters = SSL_CTX_get0_param(tls->context);
	struct in6_addr address;

	strncpy(tls->host, host, HOST_MAX);
	*tls->error = '\0';
	tls->is_address = inet_pton(AF_INET, host, &address) == 1 ||
			  inet_pton(AF_INET6, host, &address) == 1;
	/* The last one's name would count as well. */
	X509_VERIFY_PARAM_set1_ip(parameters, NULL, 0);
	X509_VERIFY_PARAM_set1_host(parameters, NULL, 0);
	if (!(tls->is_address ? X509_VERIFY_PARAM_set1_ip_asc(parameters, host)
			      : X509_VERIFY_PARAM_set1_host(parameters, host, 0)))
		return -ENOMEM;
	return 0;
}

/* ---- Its files ---- */

static int bad_file(const char *key, const char *file, char why[static WHY_MAX])
{
	unsigned long error = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(error);

	ERR_clear_error();
	return because(why, -EINVAL, "%s: %s: %s", key, file, reason ? reason : "not usable");
}

static int load_authorities(
	struct tls *tls, const struct engine_settings *settings, char why[static WHY_MAX])
{
	X509_STORE *store = X509_STORE_new();
	AUTO_FREE char *file = NULL;
	int r = store ? 0 : -ENOMEM;

	if (r >= 0 && settings->ca) {
		r = engine_find_file(settings->ca, why, &file);
		if (r >= 0 && X509_STORE_load_locations(store, file, NULL) != 1)
			r = bad_file("ca", file, why);
	} else if (r >= 0 && X509_STORE_set_default_paths(store) != 1) {
		r = because(why, -EINVAL, "the system has no certificates of authorities: set ca");
	}
	if (r < 0) {
		X509_STORE_free(store);
		return r;
	}
	SSL_CTX_set_cert_store(tls->context, store);
	return 0;
}

/* The chain file's last error may be that the file ends. */
static int load_own(
	struct tls *tls, const struct engine_settings *settings, char why[static WHY_MAX])
{
	AUTO_FREE char *certificate = NULL, *key = NULL;
	int r;

	if (!settings->certificate)
		return 0;
	r = engine_find_file(settings->certificate, why, &certificate);
	if (r >= 0)
		r = engine_find_file(settings->key, why, &key);
	if (r < 0)
		return r;
	if (SSL_CTX_use_certificate_chain_file(tls->context, certificate) != 1)
		return bad_file("certificate", certificate, why);
	if (SSL_CTX_use_PrivateKey_file(tls->context, key, SSL_FILETYPE_PEM) != 1)
		return bad_file("key", key, why);
	return 0;
}

int tls_load(struct tls *tls, const struct engine_settings *settings, char why[static WHY_MAX])
{
	int r;

	because(why, -ENOMEM, "out of memory"); /* unless one of them says otherwise */
	ERR_clear_error();
	r = load_authorities(tls, settings, why);
	if (r >= 0)
		r = load_own(tls, settings, why);
	return r;
}
