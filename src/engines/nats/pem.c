#include "engines/nats/pem.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"

DEFINE_CLEANUP(X509 *, X509_free)
DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)

/* The first certificate of a file, or NULL with the reason in why. */
static X509 *read_certificate(const char *path, char why[static WHY_MAX])
{
	CLEANUP(fclosep) FILE *file = fopen(path, "re");
	X509 *certificate = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;

	if (!file)
		because(why, 0, "%s: %s", path, strerror(errno));
	else if (!certificate)
		because(why, 0, "%s: has no certificate (PEM) in it", path);
	ERR_clear_error();
	return certificate;
}

/* Without it OpenSSL would ask at the terminal. */
static int note_passphrase(char *buffer, int size, int is_writing, void *object)
{
	(void)buffer, (void)size, (void)is_writing;
	*(bool *)object = true;
	return -1;
}

static EVP_PKEY *read_key(const char *path, char why[static WHY_MAX])
{
	CLEANUP(fclosep) FILE *file = fopen(path, "re");
	bool has_passphrase = false;
	EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, note_passphrase, &has_passphrase)
			     : NULL;

	if (!file)
		because(why, 0, "%s: %s", path, strerror(errno));
	else if (!key && has_passphrase)
		because(why, 0,
			"%s: the private key has a passphrase, which nobody can type here: write "
			"it without one (openssl pkey -in FILE -out FILE)",
			path);
	else if (!key)
		because(why, 0, "%s: has no private key (PEM) in it", path);
	ERR_clear_error();
	return key;
}

int pem_check_authorities(const char *path, char why[static WHY_MAX])
{
	CLEANUP(X509_freep) X509 *certificate = read_certificate(path, why);

	return certificate ? 0 : -EINVAL;
}

int pem_check_pair(const char *certificate, const char *key, char why[static WHY_MAX])
{
	CLEANUP(X509_freep) X509 *read = read_certificate(certificate, why);
	CLEANUP(EVP_PKEY_freep) EVP_PKEY *private = read ? read_key(key, why) : NULL;

	if (!private)
		return -EINVAL;
	if (X509_check_private_key(read, private) == 1)
		return 0;
	ERR_clear_error();
	return because(why, -EINVAL, "%s: the private key does not belong to the certificate in %s",
		key, certificate);
}

static void format_time(const ASN1_TIME *time, char ret[static 32])
{
	struct tm parts;

	if (ASN1_TIME_to_tm(time, &parts) != 1 || !strftime(ret, 32, "%Y-%m-%d %H:%M UTC", &parts))
		snprintf(ret, 32, "an unknown time");
}

bool pem_is_out_of_date(const char *path, char why[static WHY_MAX])
{
	CLEANUP(X509_freep) X509 *certificate = read_certificate(path, why);
	char date[32];

	if (!certificate)
		return false;
	if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0) {
		format_time(X509_get0_notAfter(certificate), date);
		because(why, 0, "%s: the certificate has expired at %s: renew it", path, date);
		return true;
	}
	if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0) {
		format_time(X509_get0_notBefore(certificate), date);
		because(why, 0,
			"%s: the certificate is not valid before %s: is the clock of this host "
			"right?",
			path, date);
		return true;
	}
	return false;
}
