#include "engines/files.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "engines/secrets.h"
#include "engines/settings.h"

static void check_file(const char *key, const char *file, config_complain *complain, void *argument)
{
	AUTO_FREE char *path = NULL;
	char why[WHY_MAX];

	if (file && engine_find_file(file, why, &path) < 0)
		complain(argument, key, why);
}

static void check_password(const char *file, config_complain *complain, void *argument)
{
	AUTO_FREE char *password = NULL;
	char why[WHY_MAX];

	if (file && engine_read_secret(file, why, &password) < 0)
		complain(argument, "password_file", why);
	if (password)
		explicit_bzero(password, strlen(password));
}

void engine_check_files(const void *object, config_complain *complain, void *argument)
{
	const struct engine_settings *settings = object;

	check_file("ca", settings->ca, complain, argument);
	check_file("certificate", settings->certificate, complain, argument);
	check_file("key", settings->key, complain, argument);
	check_password(settings->password_file, complain, argument);
}

void nats_check_files(const void *object, config_complain *complain, void *argument)
{
	const struct nats_settings *settings = object;

	engine_check_files(&settings->common, complain, argument);
	check_file("credentials", settings->credentials, complain, argument);
	check_file("nkey", settings->nkey, complain, argument);
}
