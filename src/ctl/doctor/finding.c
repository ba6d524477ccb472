#include "ctl/doctor/finding.h"

#include <inttypes.h>
#include <stdarg.h>

#include "base/escape.h"
#include "base/json.h"
#include "ctl/doctor/shell.h"
#include "ctl/human.h"

void finding_clear(struct finding *finding)
{
	text_free(&finding->message);
	text_free(&finding->evidence);
	text_free(&finding->members);
	text_free(&finding->fixes);
}

static void append_words(struct text *text, const char *format, va_list arguments)
{
	AUTO_FREE char *words = NULL;
	int length = vasprintf(&words, format, arguments);

	if (length < 0)
		text->failed = true;
	else
		text_append_shown(text, words, (size_t)length);
}

void finding_say(struct finding *finding, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	append_words(&finding->message, format, arguments);
	va_end(arguments);
}

static void separate(struct text *text)
{
	text_append_string(text, text->length ? "; " : "");
}

void finding_number(struct finding *finding, const char *name, uint64_t number)
{
	separate(&finding->evidence);
	text_printf(&finding->evidence, "%s %" PRIu64, name, number);
	json_put_number(&finding->members, name, number);
}

void finding_string(struct finding *finding, const char *name, const char *string)
{
	separate(&finding->evidence);
	text_printf(&finding->evidence, "%s ", name);
	text_append_shown(&finding->evidence, string, strlen(string));
	json_put_string(&finding->members, name, string);
}

void finding_growth(struct finding *finding, const struct evidence *evidence, enum counter counter)
{
	const char *name = counter_name(counter, evidence->group->address.family);

	if (!name || !evidence->growth[counter])
		return;
	separate(&finding->evidence);
	text_printf(&finding->evidence, "%s +%" PRIu64, name, evidence->growth[counter]);
	json_put_number(&finding->members, name, evidence->growth[counter]);
}

void finding_begin(struct finding *finding, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	shell_append(&finding->fixes, format, arguments);
	va_end(arguments);
}

static void append_fix(
	struct finding *finding, const char *prefix, const char *format, va_list arguments)
{
	text_append_string(&finding->fixes, prefix);
	shell_append(&finding->fixes, format, arguments);
	text_append_string(&finding->fixes, "\n");
}

void finding_fix(struct finding *finding, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	append_fix(finding, "", format, arguments);
	va_end(arguments);
}

void finding_line(struct finding *finding, const char *line)
{
	text_append_shown(&finding->fixes, line, strlen(line));
	text_append_string(&finding->fixes, "\n");
}

void finding_see(struct finding *finding, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	append_fix(finding, "# see: ", format, arguments);
	va_end(arguments);
}

void finding_hint(struct finding *finding, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	append_fix(finding, "# ", format, arguments);
	va_end(arguments);
}
