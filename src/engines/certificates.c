#include "engines/certificates.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "engines/causes.h"
#include "engines/secrets.h"

#define TIME_FORMAT "%Y-%m-%d %H:%M:%S UTC"
#define TIME_MAX sizeof("2026-12-31 23:59:59 UTC")

DEFINE_CLEANUP(BIO *, BIO_free_all)
DEFINE_CLEANUP(X509 *, X509_free)
DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)

/* Opens a file that is given. Returns NULL where it cannot be read, which engine_check_files() has
 * reported. */
static BIO *open_file(const char *file, char **ret_path)
{
	char why[WHY_MAX];

	if (!file || engine_find_file(file, why, ret_path) < 0)
		return NULL;
	return BIO_new_file(*ret_path, "r");
}

/* Why nothing more could be read; NULL: there was nothing more. */
static const char *read_error(void)
{
	unsigned long error = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(error);
	bool is_end = ERR_GET_LIB(error) == ERR_LIB_PEM &&
		      ERR_GET_REASON(error) == PEM_R_NO_START_LINE;

	ERR_clear_error();
	return is_end ? NULL : reason ? reason : "not usable";
}

/* ---- What files have ---- */

/* Counts the certificates of a file, which must be whole. Returns the first one, or NULL with the
 * reason in why. */
static X509 *read_certificates(BIO *bio, const char *path, char why[static WHY_MAX])
{
	CLEANUP(X509_freep) X509 *first = NULL;
	unsigned count = 0;
	const char *error;
	X509 *next;

	ERR_clear_error();
	while ((next = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL))) {
		if (count++)
			X509_free(next);
		else
			first = next;
	}
	error = read_error();
	if (error)
		because(why, 0, "%s: certificate %u in it is broken: %s", path, count + 1, error);
	else if (!count)
		because(why, 0, "%s: has no certificate (PEM) in it", path);
	return error ? NULL : take(first);
}

/* OpenSSL would ask for it at the terminal. */
static int refuse_passphrase(char *buffer, int size, int is_writing, void *object)
{
	(void)buffer, (void)size, (void)is_writing;
	*(bool *)object = true;
	return -1;
}

static EVP_PKEY *read_key(BIO *bio, const char *path, char why[static WHY_MAX])
{
	bool has_passphrase = false;
	EVP_PKEY *key;
	const char *error;

	ERR_clear_error();
	key = PEM_read_bio_PrivateKey(bio, NULL, refuse_passphrase, &has_passphrase);
	error = key ? NULL : read_error();
	if (has_passphrase)
		because(why, 0,
			"%s: has a passphrase, which nobody is there to type: \"openssl pkey\" "
			"writes the key without it",
			path);
	else if (error && strstr(error, "unsupported"))
		because(why, 0, "%s: has no private key (PEM) in it", path);
	else if (error)
		because(why, 0, "%s: the private key in it is broken: %s", path, error);
	else
		because(why, 0, "%s: has no private key (PEM) in it", path);
	return key;
}

static X509 *read_own(const struct engine_settings *settings, char why[static WHY_MAX])
{
	AUTO_FREE char *path = NULL;
	CLEANUP(BIO_free_allp) BIO *bio = open_file(settings->certificate, &path);

	*why = '\0';
	return bio ? read_certificates(bio, path, why) : NULL;
}

static void check_authorities(
	const struct engine_settings *settings, config_complain *complain, void *argument)
{
	AUTO_FREE char *path = NULL;
	CLEANUP(BIO_free_allp) BIO *bio = open_file(settings->ca, &path);
	char why[WHY_MAX];
	X509 *first;

	if (!bio)
		return;
	first = read_certificates(bio, path, why);
	if (!first)
		complain(argument, "ca", why);
	X509_free(first);
}

void certificates_check(const void *object, config_complain *complain, void *argument)
{
	const struct engine_settings *settings = object;
	AUTO_FREE char *path = NULL;
	CLEANUP(BIO_free_allp) BIO *bio = open_file(settings->key, &path);
	CLEANUP(X509_freep) X509 *certificate = NULL;
	CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = NULL;
	char why[WHY_MAX];

	check_authorities(settings, complain, argument);
	certificate = read_own(settings, why);
	if (!certificate && *why)
		complain(argument, "certificate", why);
	key = bio ? read_key(bio, path, why) : NULL;
	if (bio && !key)
		complain(argument, "key", why);
	if (certificate && key && X509_check_private_key(certificate, key) != 1) {
		because(why, 0, "%s: is not the key of the first certificate in %s", path,
			settings->certificate);
		complain(argument, "key", why);
	}
	ERR_clear_error();
}

static void note_first(void *argument, const char *key, const char *words)
{
	char *why = argument;

	(void)key;
	if (!*why)
		because(why, 0, "%s", words);
}

int certificates_judge(const struct engine_settings *settings, char why[static WHY_MAX])
{
	*why = '\0';
	certificates_check(settings, note_first, why);
	return *why ? -EINVAL : 0;
}

/* ---- When they are valid ---- */

static const char *write_time(const ASN1_TIME *time, char ret[static TIME_MAX])
{
	struct tm parts;

	if (ASN1_TIME_to_tm(time, &parts) != 1 || !strftime(ret, TIME_MAX, TIME_FORMAT, &parts))
		strcpy(ret, "an unknown time");
	return ret;
}

static const char *write_now(char ret[static TIME_MAX])
{
	time_t now = time(NULL);
	struct tm parts;

	strftime(ret, TIME_MAX, TIME_FORMAT, gmtime_r(&now, &parts));
	return ret;
}

const char *certificates_explain(int error, const X509 *faulty, int depth, char ret[static WHY_MAX])
{
	const char *whose = depth > 0 ? "was signed by one that " : "";
	char at[TIME_MAX], now[TIME_MAX];

	if (error == X509_V_ERR_CERT_HAS_EXPIRED && faulty)
		because(ret, 0, "%shas expired at %s; " CLOCK_SAYS "%s", whose,
			write_time(X509_get0_notAfter(faulty), at), write_now(now));
	else if (error == X509_V_ERR_CERT_NOT_YET_VALID && faulty)
		because(ret, 0, "%sis valid from %s on only; " CLOCK_SAYS "%s: is that right?",
			whose, write_time(X509_get0_notBefore(faulty), at), write_now(now));
	else if (error == X509_V_ERR_INVALID_PURPOSE)
		because(ret, 0, "%sis not made for this purpose: see its extendedKeyUsage%s", whose,
			depth > 0 ? " and basicConstraints" : ", which must have serverAuth");
	else
		because(ret, 0, "is not trusted: %s (ca)", X509_verify_cert_error_string(error));
	return ret;
}

bool certificates_doubt(const void *object, char why[static WHY_MAX])
{
	const struct engine_settings *settings = object;
	char reason[WHY_MAX];
	CLEANUP(X509_freep) X509 *certificate = read_own(settings, reason);
	int error = 0;

	if (!certificate)
		return false;
	if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
		error = X509_V_ERR_CERT_HAS_EXPIRED;
	else if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0)
		error = X509_V_ERR_CERT_NOT_YET_VALID;
	if (error)
		because(why, 0, "certificate: %s: %s", settings->certificate,
			certificates_explain(error, certificate, 0, reason));
	return error;
}
