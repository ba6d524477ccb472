#include "child/environment.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static void add(struct child_environment *environment, const char *name, const char *value)
{
	char *string = environment->strings[environment->count];

	assert(environment->count < ENVIRONMENT_VARIABLES);
	snprintf(string, ENVIRONMENT_STRING_MAX, "%s=%s", name, value);
	environment->list[environment->count++] = string;
	environment->list[environment->count] = NULL;
}

void child_environment_begin(struct child_environment *environment)
{
	/* Where systemd has put the secrets of the service (LoadCredential=, systemd.exec(5)). */
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");

	environment->count = 0;
	add(environment, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	add(environment, "LANG", "C.UTF-8");
	if (credentials)
		add(environment, "CREDENTIALS_DIRECTORY", credentials);
}

void child_environment_describe(struct child_environment *environment, const struct origin *origin,
	const struct datagram *datagram)
{
	char number[FIELD_NUMBER_MAX];
	struct fields fields;

	fields_read(&fields, origin, datagram);
	for (enum field i = 0; i < FIELDS; i++)
		if (!field_is_absent(&fields, i))
			add(environment, field_infos[i].variable,
				fields_string(&fields, i, number));
}
