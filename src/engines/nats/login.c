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

#define PEM_MAX 16384 /* bytes of a file, in which what is looked for begins */

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

/* Whether a file has the end of a line of PEM, as "PRIVATE KEY-----". Whether the rest is right,
 * libnats says when it connects: it has threads, and there are none before the daemon has dropped
 * its privileges. */
static int check_pem(const char *file, const char *end, const char *what, char why[static WHY_MAX])
{
	AUTO_FREE char *path = NULL;
	char chunk[PEM_MAX];
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
	return r < 0 ? because(why, r, "%s: has no %s (PEM) in it", path, what) : 0;
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
	const struct {
		const char *file, *end, *what;
	} files[] = {{login->ca, "CERTIFICATE-----", "certificate"},
		{login->certificate, "CERTIFICATE-----", "certificate"},
		{login->key, "PRIVATE KEY-----", "private key"},
		{login->credentials, "NKEY SEED-", "NKey seed"}};
	char public_key[NKEY_PUBLIC_MAX];
	int r = login->password_file ? check_password(login->password_file, why) : 0;

	if (r >= 0 && login->nkey)
		r = nkey_public_of_file(login->nkey, why, public_key);
	for (size_t i = 0; i < ARRAY_SIZE(files) && r >= 0; i++)
		r = files[i].file ? check_pem(files[i].file, files[i].end, files[i].what, why) : 0;
	return r;
}

/* ---- For a connection ---- */

natsStatus login_set_tls(const struct login *login, natsOptions *options, char why[static WHY_MAX])
{
	AUTO_FREE char *ca = NULL, *certificate = NULL, *key = NULL;
	natsStatus status;

	if ((login->ca && engine_find_file(login->ca, why, &ca) < 0) ||
		(login->certificate &&
			engine_find_file(login->certificate, why, &certificate) < 0) ||
		(login->key && engine_find_file(login->key, why, &key) < 0))
		return NATS_ERR;
	status = natsOptions_SetSecure(options, true);
	if (status == NATS_OK && ca) {
		status = natsOptions_LoadCATrustedCertificates(options, ca);
		if (status != NATS_OK)
			because(why, 0, "%s: no certificates (PEM) in it", ca);
	}
	if (status == NATS_OK && certificate) {
		status = natsOptions_LoadCertificatesChain(options, certificate, key);
		if (status != NATS_OK)
			because(why, 0,
				"%s, %s: no certificate and private key (PEM) that belong together",
				certificate, key);
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
