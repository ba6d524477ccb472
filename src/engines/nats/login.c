#include "engines/nats/login.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "engines/nats/nkey.h"
#include "engines/nats/pem.h"

#define CREDENTIALS_MAX 16384 /* bytes of the file, in which the seed begins */

int login_new(const struct nats_settings *settings, const char *handler, struct login **ret)
{
	const struct engine_settings *common = &settings->common;
	struct login *login = calloc(1, sizeof(*login));

	if (!login)
		return -ENOMEM;
	atomic_init(&login->references, 1);
	if (asprintf(&login->name, "mcastd %s %s", common->site, handler) < 0)
		login->name = NULL;
	if (!login->name || string_copy(&login->ca, common->ca) < 0 ||
		string_copy(&login->certificate, common->certificate) < 0 ||
		string_copy(&login->key, common->key) < 0 ||
		string_copy(&login->username, common->username) < 0 ||
		string_copy(&login->password_file, common->password_file) < 0 ||
		string_copy(&login->credentials, settings->credentials) < 0 ||
		string_copy(&login->nkey, settings->nkey) < 0) {
		login_unref(login);
		return -ENOMEM;
	}
	*ret = login;
	return 0;
}

struct login *login_ref(struct login *login)
{
	atomic_fetch_add(&login->references, 1);
	return login;
}

void login_unref(struct login *login)
{
	if (!login || atomic_fetch_sub(&login->references, 1) != 1)
		return;
	free(login->name), free(login->ca), free(login->certificate), free(login->key);
	free(login->username), free(login->password_file);
	free(login->credentials), free(login->nkey);
	free(login);
}

/* ---- Whether the files can be used ---- */

/* Whether a file has an NKey's seed. Whether that is right, libnats says when it connects. */
static int check_credentials(const char *file, char why[static WHY_MAX])
{
	static const char end[] = "NKEY SEED-";
	AUTO_FREE char *path = NULL;
	char chunk[CREDENTIALS_MAX];
	AUTO_CLOSE int fd = -1;
	ssize_t size;
	int r = engine_find_file(file, why, &path);

	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size = fd < 0 ? -1 : read(fd, chunk, sizeof(chunk));
	if (size < 0)
		return because(why, -errno, "%s: %s", path, strerror(errno));
	r = memmem(chunk, (size_t)size, end, strlen(end)) ? 0 : -EINVAL;
	explicit_bzero(chunk, sizeof(chunk));
	return r < 0 ? because(why, r, "%s: has no NKey seed (PEM) in it", path) : 0;
}

static int check_password(const char *file, char why[static WHY_MAX])
{
	char *password = NULL;
	int r = engine_read_secret(file, why, &password);

	if (r < 0)
		return r;
	explicit_bzero(password, strlen(password));
	free(password);
	return 0;
}

/* The paths of those files of TLS that there are. */
struct tls_files {
	char *ca, *certificate, *key;
};

static void tls_files_clear(struct tls_files *files)
{
	free(files->ca), free(files->certificate), free(files->key);
}

#define AUTO_TLS_FILES CLEANUP(tls_files_clear)

static int find_tls_files(
	const struct login *login, char why[static WHY_MAX], struct tls_files *ret)
{
	int r = login->ca ? engine_find_file(login->ca, why, &ret->ca) : 0;

	if (r >= 0 && login->certificate)
		r = engine_find_file(login->certificate, why, &ret->certificate);
	if (r >= 0 && login->key)
		r = engine_find_file(login->key, why, &ret->key);
	return r;
}

static int check_tls_files(const struct login *login, char why[static WHY_MAX])
{
	AUTO_TLS_FILES struct tls_files files = {0};
	int r = find_tls_files(login, why, &files);

	if (r >= 0 && files.ca)
		r = pem_check_authorities(files.ca, why);
	if (r >= 0 && files.certificate)
		r = pem_check_pair(files.certificate, files.key, why);
	return r;
}

int login_check_files(const struct login *login, char why[static WHY_MAX])
{
	char public_key[NKEY_PUBLIC_MAX];
	int r = login->password_file ? check_password(login->password_file, why) : 0;

	if (r >= 0 && login->nkey)
		r = nkey_public_of_file(login->nkey, why, public_key);
	if (r >= 0 && login->credentials)
		r = check_credentials(login->credentials, why);
	return r < 0 ? r : check_tls_files(login, why);
}

bool login_is_out_of_date(const char *certificate, char why[static WHY_MAX])
{
	AUTO_FREE char *path = NULL;

	return certificate && engine_find_file(certificate, why, &path) >= 0 &&
	       pem_is_out_of_date(path, why);
}

/* ---- For a connection ---- */

natsStatus login_set_tls(const struct login *login, natsOptions *options, char why[static WHY_MAX])
{
	AUTO_TLS_FILES struct tls_files files = {0};
	natsStatus status;

	if (find_tls_files(login, why, &files) < 0)
		return NATS_ERR;
	status = natsOptions_SetSecure(options, true);
	if (status == NATS_OK && files.ca) {
		status = natsOptions_LoadCATrustedCertificates(options, files.ca);
		if (status != NATS_OK)
			because(why, 0, "%s: has no certificate (PEM) in it", files.ca);
	}
	if (status == NATS_OK && files.certificate) {
		if (pem_check_pair(files.certificate, files.key, why) < 0)
			return NATS_ERR;
		status = natsOptions_LoadCertificatesChain(options, files.certificate, files.key);
	}
	return status;
}

natsStatus login_set_user(const struct login *login, natsOptions *options, char why[static WHY_MAX])
{
	AUTO_FREE char *file = NULL;
	char *password = NULL, public_key[NKEY_PUBLIC_MAX];
	natsStatus status = NATS_OK;

	if (login->credentials) {
		if (engine_find_file(login->credentials, why, &file) < 0)
			return NATS_ERR;
		return natsOptions_SetUserCredentialsFromFiles(options, file, NULL);
	}
	if (login->nkey) {
		if (nkey_public_of_file(login->nkey, why, public_key) < 0 ||
			engine_find_file(login->nkey, why, &file) < 0)
			return NATS_ERR;
		return natsOptions_SetNKeyFromSeed(options, public_key, file);
	}
	if (!login->username)
		return NATS_OK;
	if (engine_read_secret(login->password_file, why, &password) < 0)
		return NATS_ERR;
	status = natsOptions_SetUserInfo(options, login->username, password);
	explicit_bzero(password, strlen(password));
	free(password);
	return status;
}
