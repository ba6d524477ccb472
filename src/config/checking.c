#include "config/checking.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct key_mark mark_of(const struct check *check, const char *name)
{
	for (size_t i = 0; i < check->part_count; i++) {
		const struct config_part *part = &check->parts[i];
		const struct key *key = schema_find(part->schema, name);
		struct key_mark mark = {0};

		if (!key)
			continue;
		if (part->marks)
			mark = part->marks[key - part->schema->keys];
		if (key_is_list(key))
			mark.failed = false;
		return mark;
	}
	return (struct key_mark){0};
}

void complain(struct check *check, const char *key, const char *format, ...)
{
	struct key_mark mark = key ? mark_of(check, key) : (struct key_mark){0};
	char why[WHY_MAX];
	va_list arguments;

	if (mark.failed)
		return;
	va_start(arguments, format);
	vsnprintf(why, sizeof(why), format, arguments);
	va_end(arguments);
	config_report(check->errors, &check->subject, mark.line, key, "%s", why);
	check->found++;
}

void check_name(struct check *check)
{
	const char *name = check->subject.name;

	if (!*name)
		complain(check, NULL, "the name is empty");
	else if (strlen(name) > GROUP_NAME_MAX)
		complain(check, NULL, "the name is longer than %d bytes, use a shorter one",
			GROUP_NAME_MAX);
	else if (*name == '.')
		complain(check, NULL, "the name begins with a dot");
	else if (name[strspn(name, GROUP_NAME_CHARACTERS)])
		complain(check, NULL,
			"the name has other characters than letters, digits and ._:%%-+[]*?");
}

bool any_failed(const struct config_part *part)
{
	for (size_t i = 0; part->marks && i < part->schema->count; i++)
		if (part->marks[i].failed)
			return true;
	return false;
}
