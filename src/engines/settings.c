#include "engines/settings.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

int engine_address(char *ret, size_t size, const char *pattern, const char *group)
{
	const char *percent = strstr(pattern, "%g");
	int head = (int)(percent ? percent - pattern : (ptrdiff_t)strlen(pattern)), length;

	length = snprintf(ret, size, "%.*s%s%s", head, pattern, percent ? group : "",
		percent ? percent + 2 : "");
	return length < 0 || (size_t)length >= size ? -ENAMETOOLONG : 0;
}
