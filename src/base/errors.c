#include "base/errors.h"

#include <stdarg.h>

/* The line where there is no memory for it. */
static char out_of_memory[] = "out of memory";

void errors_add(struct errors *errors, const char *format, ...)
{
	char *line = NULL;
	va_list arguments;

	if (errors->count == ERRORS_MAX) {
		errors->omitted++;
		return;
	}
	va_start(arguments, format);
	if (vasprintf(&line, format, arguments) < 0)
		line = out_of_memory;
	va_end(arguments);
	errors->lines[errors->count++] = line;
}

void errors_clear(struct errors *errors)
{
	for (size_t i = 0; i < errors->count; i++)
		if (errors->lines[i] != out_of_memory)
			free(errors->lines[i]);
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
