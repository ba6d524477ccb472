/* Copies a page in the format of scdoc(5), and replaces its directives by the program's own tables,
 * so that the pages and the program agree. A directive is a line of its own, "@NAME@" or "@NAME
 * ARGUMENT@". In all other lines @VERSION@ and
 * @CONFDIR@ and @DATADIR@ are replaced. */
#include "tables.h"

#include <stdarg.h>

#include "config/file.h"

noreturn void fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("page: ", stderr);
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

/* The line is "@NAME@" or "@NAME ARGUMENT@", without its line feed. */
static void put_directive(struct text *out, const char *line, size_t length)
{
	AUTO_FREE char *name = strndup(line + 1, length - 2);
	char *argument = name ? strchr(name, ' ') : NULL;

	if (!name)
		fail("out of memory");
	if (argument)
		*argument++ = '\0';
	for (const struct directive *directive = directives; directive->name; directive++) {
		if (strcmp(directive->name, name))
			continue;
		directive->put(out, argument ? argument : "");
		return;
	}
	if (!directives_are_some)
		fail("there is no directive %s", name);
	text_append(out, line, length);
	text_append_string(out, "\n");
}

static void put_line(struct text *out, const char *line, size_t length)
{
	static const struct {
		const char *name, *value;
		int length; /* of the value */
	} variables[] = {{"@VERSION@", MCASTD_VERSION, sizeof(MCASTD_VERSION) - 1},
		{"@CONFDIR@", MCASTD_CONFIG, sizeof(MCASTD_CONFIG) - sizeof("/mcastd.conf")},
		{"@DATADIR@", MCASTD_DATADIR, sizeof(MCASTD_DATADIR) - 1}};

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
