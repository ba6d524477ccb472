#include "handlers/failure.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"

bool failure_is_new(const struct failure *failure, int error)
{
	if (failure->error != error)
		return true;
	return !failure->is_logged && clock_ns(CLOCK_MONOTONIC) >= failure->limit.next_ns;
}

static void PRINTF_LIKE(3, 0)
	set_text(struct failure *failure, int error, const char *format, va_list arguments)
{
	failure->is_logged &= failure->error == error;
	failure->error = error;
	vsnprintf(failure->text, sizeof(failure->text), format, arguments);
}

void failure_tell(struct failure *failure, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	set_text(failure, error, format, arguments);
	va_end(arguments);
	if (failure->is_logged || !log_limit_pass(&failure->limit))
		return;
	log_warning("handler %s: %s", failure->name, failure->text);
	failure->is_logged = failure->was_logged = true;
}

void failure_show(struct failure *failure, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	set_text(failure, error, format, arguments);
	va_end(arguments);
	failure->is_logged = true;
}

bool failure_end(struct failure *failure)
{
	bool was_logged = failure->was_logged;

	failure->error = 0;
	failure->is_logged = failure->was_logged = false;
	return was_logged;
}

const char *failure_text(const struct failure *failure)
{
	return failure->error ? failure->text : NULL;
}
