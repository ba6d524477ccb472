#include "config/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/escape.h"

/* A name of permitted length is never shortened. */
static void append_name(struct text *line, const char *name)
{
	char buffer[SHOWN_MAX];

	if (strlen(name) <= GROUP_NAME_MAX)
		text_append_escaped(line, name, strlen(name));
	else
		text_append_string(line, shown(name, buffer));
}

static void append_file_path(struct text *line, const struct subject *subject, const char *key)
{
	const char *parts[] = {subject->section, subject->name, key};
	const char *dot = "";

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (!parts[i])
			continue;
		text_append_string(line, dot);
		append_name(line, parts[i]);
		dot = ".";
	}
	if (*dot)
		text_append_string(line, ": ");
}

/* "group 233.252.0.1:5004: ": the dots of such a name would be lost among those of a path. */
static void append_other_path(struct text *line, const struct subject *subject, const char *key)
{
	if (subject->section)
		text_append(
			line, subject->section, strlen(subject->section) - (subject->name ? 1 : 0));
	if (subject->name) {
		text_append_string(line, " ");
		append_name(line, subject->name);
	}
	if (subject->section)
		text_append_string(line, ": ");
	if (key)
		text_printf(line, "%s: ", key);
}

void config_report(struct errors *errors, const struct subject *subject, unsigned line,
	const char *key, const char *format, ...)
{
	const struct place *place = &subject->place;
	AUTO_TEXT struct text path = {0};
	AUTO_FREE char *why = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&why, format, arguments) < 0)
		why = NULL;
	va_end(arguments);
	if (place->file) {
		text_printf(&path, "%s:%u: ", place->file, line ? line : place->line);
		append_file_path(&path, subject, key);
	} else {
		append_other_path(&path, subject, key);
	}
	errors_add(errors, "%s%s", text_string(&path), why ? why : "out of memory");
}
