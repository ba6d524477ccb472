#include "child/environment.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "formats/journal_fields.h"

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

/* The first of them is MCASTD_EVENT, as that is what the member event would be called twice. */
static void add_event(struct child_environment *environment, const struct datagram *datagram)
{
	AUTO_TEXT struct text text = {0};
	struct journal_fields members;

	if (journal_fields_read(&members, &text, datagram->payload, datagram->size) < 0 ||
		text_failed(&text))
		return;
	for (unsigned i = 0; i < members.count && i < ENVIRONMENT_EVENT_MAX; i++) {
		const struct journal_field *member = &members.items[i];
		const char *name = text.data + member->start + strlen(JOURNAL_PREFIX);
		int length = (int)(member->name_size - strlen(JOURNAL_PREFIX));
		const char *value = name + length + 1;
		AUTO_TEXT struct text variable = {0}, copy = {0};

		text_append_string(&variable, "MCASTD_EVENT");
		if (length != strlen("EVENT") || strncmp(name, "EVENT", strlen("EVENT")) != 0)
			text_printf(&variable, "_%.*s", length, name);
		text_append(
			&copy, value, member->start + member->size - (size_t)(value - text.data));
		add(environment, text_string(&variable), text_string(&copy));
	}
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
	if (origin_is_event(origin))
		add_event(environment, datagram);
}
