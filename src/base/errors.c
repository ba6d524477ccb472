#include "base/errors.h"

#include <stdarg.h>

void errors_add(struct errors *errors, const char *format, ...)
{
	char *line = NULL;
	va_list arguments;

	if (errors->count == ERRORS_MAX) {
		errors->omitted++;
		return;
	}
	if (!errors->lines)
		errors->lines = calloc(ERRORS_MAX, sizeof(*errors->lines));
	va_start(arguments, format);
	if (!errors->lines || vasprintf(&line, format, arguments) < 0)
		errors->omitted++;
	else
		errors->lines[errors->count++] = line;
	va_end(arguments);
}

void errors_clear(struct errors *errors)
{
	for (size_t i = 0; i < errors->count; i++)
		free(errors->lines[i]);
	free(errors->lines);
	*errors = (struct errors){0};
}

int because(char why[static WHY_MAX], int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, WHY_MAX, format, arguments);
	va_end(arguments);
	return error;
}
