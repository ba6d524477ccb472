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

/* "groups.news.port: " in a file, else "group news: port: ": the dots of a name such as
 * 233.252.0.1:5004 would be lost among those of a path. */
static void append_path(struct text *line, const struct subject *subject, const char *key)
{
	const char *section = subject->section, *name = subject->name;
	bool in_file = subject->place.file;

	if (section)
		text_append(line, section, strlen(section) - (name && !in_file ? 1 : 0));
	if (name) {
		text_append_string(line, in_file ? "." : " ");
		append_name(line, name);
	}
	if (section)
		text_append_string(line, key && in_file ? "." : ": ");
	if (key) {
		append_name(line, key);
		text_append_string(line, ": ");
	}
}

void config_add_error(struct errors *errors, const struct place *place, const char *format, ...)
{
	AUTO_FREE char *why = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&why, format, arguments) < 0)
		why = NULL;
	va_end(arguments);
	if (place->file)
		errors_add(
			errors, "%s:%u: %s", place->file, place->line, why ? why : "out of memory");
	else
		errors_add(errors, "%s", why ? why : "out of memory");
}

void config_report(struct errors *errors, const struct subject *subject, unsigned line,
	const char *key, const char *format, ...)
{
	const struct place *place = &subject->place;
	AUTO_TEXT struct text path = {0};
	AUTO_FREE char *why = NULL;
	va_list arguments;

	if (errors_full(errors)) {
		errors_add(errors, "%s", format);
		return;
	}
	va_start(arguments, format);
	if (vasprintf(&why, format, arguments) < 0)
		why = NULL;
	va_end(arguments);
	if (place->file)
		text_printf(&path, "%s:%u: ", place->file, line ? line : place->line);
	append_path(&path, subject, key);
	errors_add(errors, "%s%s", text_string(&path), why ? why : "out of memory");
}
