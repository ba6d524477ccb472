#include "config/report.h"

#include "base/text.h"
#include "config/words.h"

static void append_file_path(struct text *line, const struct subject *subject, const char *key)
{
	const char *parts[] = {subject->section, subject->name, key};
	char buffer[SHOWN_MAX];
	const char *dot = "";

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (!parts[i])
			continue;
		text_printf(line, "%s%s", dot, shown(parts[i], buffer));
		dot = ".";
	}
	if (*dot)
		text_append_string(line, ": ");
}

/* "group 233.252.0.1:5004: ": the dots of such a name would be lost among those of a path. */
static void append_other_path(struct text *line, const struct subject *subject, const char *key)
{
	char buffer[SHOWN_MAX];

	if (subject->section)
		text_append(line, subject->section, strlen(subject->section) - (subject->name ? 1 : 0));
	if (subject->name)
		text_printf(line, " %s", shown(subject->name, buffer));
	if (subject->section)
		text_append_string(line, ": ");
	if (key)
		text_printf(line, "%s: ", shown(key, buffer));
}

void report(struct errors *errors, const struct subject *subject, unsigned line, const char *key,
	const char *why)
{
	const struct place *place = &subject->place;
	AUTO_TEXT struct text text = {0};

	if (place->file) {
		text_printf(&text, "%s:%u: ", place->file, line ? line : place->line);
		append_file_path(&text, subject, key);
	} else {
		append_other_path(&text, subject, key);
	}
	text_append_string(&text, why);
	errors_add(errors, "%s", text_string(&text));
}
