/* Makes the sources of the manual pages: copies a template in the format of scdoc(5), and replaces
 * its directives by the program's own tables, so that the pages and the program agree.
 *
 *   @KEYS NAME@        the keys of groups, handlers, filter, control, http, top, a block of groups,
 * or a type of handler
 *   @COMMAND NAME@     a command of mcastctl: its synopsis and options
 *   @OPTIONS@          the options of all commands
 *   @TYPES@, @METHODS@, @ERRORS@   those of the interface io.mcastd
 *   @CAUSES@           what mcastctl doctor finds
 *
 * A directive is a line of its own. In all other lines @VERSION@ and @CONFDIR@ are replaced. */
#include "tables.h"

#include <stdarg.h>

#include "config/file.h"

noreturn void fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("tables: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	exit(EXIT_FAILURE);
}

void append_plain(struct text *out, const char *string, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (strchr("\\*_", string[i]))
			text_append_string(out, "\\");
		text_append(out, string + i, 1);
	}
}

void append_plain_string(struct text *out, const char *string)
{
	append_plain(out, string, strlen(string));
}

void append_sentence(struct text *out, const char *string)
{
	append_plain_string(out, string);
	if (string[strlen(string) - 1] != '.')
		text_append_string(out, ".");
}

static const struct directive {
	const char *name;
	void (*put)(struct text *out, const char *argument);
} directives[] = {
	{"KEYS", put_keys},
	{"COMMAND", put_command},
	{"OPTIONS", put_options},
	{"TYPES", put_types},
	{"METHODS", put_methods},
	{"ERRORS", put_errors},
	{"CAUSES", put_causes},
};

/* The line is "@NAME@" or "@NAME ARGUMENT@", without its line feed. */
static void put_directive(struct text *out, const char *line, size_t length)
{
	AUTO_FREE char *name = strndup(line + 1, length - 2);
	char *argument = name ? strchr(name, ' ') : NULL;

	if (!name)
		fail("out of memory");
	if (argument)
		*argument++ = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(directives); i++) {
		if (strcmp(directives[i].name, name))
			continue;
		directives[i].put(out, argument ? argument : "");
		return;
	}
	fail("there is no directive %s", name);
}

static void put_line(struct text *out, const char *line, size_t length)
{
	static const struct {
		const char *name, *value;
		int length; /* of the value */
	} variables[] = {{"@VERSION@", MCASTD_VERSION, sizeof(MCASTD_VERSION) - 1},
		{"@CONFDIR@", MCASTD_CONFIG, sizeof(MCASTD_CONFIG) - sizeof("/mcastd.conf")}};

	for (size_t i = 0; i < length;) {
		size_t size = 1;

		for (size_t j = 0; j < ARRAY_SIZE(variables) && size == 1; j++) {
			if (strncmp(line + i, variables[j].name, strlen(variables[j].name)))
				continue;
			size = strlen(variables[j].name);
			text_append(out, variables[j].value, (size_t)variables[j].length);
		}
		if (size == 1)
			text_append(out, line + i, 1);
		i += size;
	}
	text_append_string(out, "\n");
}

static void put_template(struct text *out, const char *template)
{
	for (const char *line = template; *line;) {
		size_t length = strcspn(line, "\n");

		if (length > 2 && line[0] == '@' && line[length - 1] == '@')
			put_directive(out, line, length);
		else
			put_line(out, line, length);
		line += length + (line[length] == '\n');
	}
}

int main(int argc, char *argv[])
{
	AUTO_TEXT struct text template = {0}, out = {0};
	char why[WHY_MAX];

	if (argc != 2)
		fail("usage: %s TEMPLATE", argv[0]);
	if (file_read(argv[1], &template, why) < 0)
		fail("%s: %s", argv[1], why);
	put_template(&out, text_string(&template));
	if (text_failed(&template) || text_failed(&out))
		fail("out of memory");
	if (fwrite(out.data, 1, out.length, stdout) != out.length || fflush(stdout))
		fail("writing the page failed");
	return EXIT_SUCCESS;
}
