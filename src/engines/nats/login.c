#include "engines/nats/login.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "engines/certificates.h"
#include "engines/nats/nkey.h"

#define CREDENTIALS_MAX 16384 /* bytes of the file, in which the seed begins */

int login_new(const struct nats_settings *settings, const char *handler, struct login **ret)
{
	struct login *login = calloc(1, sizeof(*login));

	if (!login)
		return -ENOMEM;
	atomic_init(&login->references, 1);
	if (asprintf(&login->name, "mcastd %s %s", settings->common.site, handler) < 0)
		login->name = NULL;
	if (!login->name || schema_copy(&nats_kind.config.schema, &login->settings, settings) < 0) {
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
	free(login->name);
	schema_clear(&nats_kind.config.schema, &login->settings);
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

int login_check_files(const struct login *login, char why[static WHY_MAX])
{
	const struct nats_settings *settings = &login->settings;
	char public_key[NKEY_PUBLIC_MAX];
	int r = 0;

	if (settings->common.password_file)
		r = check_password(settings->common.password_file, why);
	if (r >= 0 && settings->nkey)
		r = nkey_public_of_file(settings->nkey, why, public_key);
	if (r >= 0 && settings->credentials)
		r = check_credentials(settings->credentials, why);
	return r;
}

/* ---- For a connection ---- */

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
	const struct engine_settings *settings, char why[static WHY_MAX], struct tls_files *ret)
{
	int r = settings->ca ? engine_find_file(settings->ca, why, &ret->ca) : 0;

	if (r >= 0 && settings->certificate)
		r = engine_find_file(settings->certificate, why, &ret->certificate);
	if (r >= 0 && settings->key)
		r = engine_find_file(settings->key, why, &ret->key);
	return r;
}

natsStatus login_set_tls(const struct login *login, natsOptions *options, char why[static WHY_MAX])
{
	const struct engine_settings *settings = &login->settings.common;
	AUTO_TLS_FILES struct tls_files files = {0};
	natsStatus status;

	if (find_tls_files(settings, why, &files) < 0 || certificates_judge(settings, why) < 0)
		return NATS_ERR;
	status = natsOptions_SetSecure(options, true);
	if (status == NATS_OK && files.ca)
		status = natsOptions_LoadCATrustedCertificates(options, files.ca);
	if (status == NATS_OK && files.certificate)
		status = natsOptions_LoadCertificatesChain(options, files.certificate, files.key);
	return status;
}

natsStatus login_set_user(const struct login *login, natsOptions *options, char why[static WHY_MAX])
{
	const struct nats_settings *settings = &login->settings;
	AUTO_FREE char *file = NULL;
	char *password = NULL, public_key[NKEY_PUBLIC_MAX];
	natsStatus status = NATS_OK;

	if (settings->credentials) {
		if (engine_find_file(settings->credentials, why, &file) < 0)
			return NATS_ERR;
		return natsOptions_SetUserCredentialsFromFiles(options, file, NULL);
	}
	if (settings->nkey) {
		if (nkey_public_of_file(settings->nkey, why, public_key) < 0 ||
			engine_find_file(settings->nkey, why, &file) < 0)
			return NATS_ERR;
		return natsOptions_SetNKeyFromSeed(options, public_key, file);
	}
	if (!settings->common.username)
		return NATS_OK;
	if (engine_read_secret(settings->common.password_file, why, &password) < 0)
		return NATS_ERR;
	status = natsOptions_SetUserInfo(options, settings->common.username, password);
	explicit_bzero(password, strlen(password));
	free(password);
	return status;
}
