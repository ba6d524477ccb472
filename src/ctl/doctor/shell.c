#include "ctl/doctor/shell.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>

#include "ctl/human.h"

/* No shell gives these a meaning inside of a word, nor at its start. */
static bool is_plain(const char *word)
{
	for (; *word; word++)
		if (!isascii(*word) ||
			(!isalnum((unsigned char)*word) && !strchr("_./-:%,+@=", *word)))
			return false;
	return true;
}

void shell_append_word(struct text *text, const char *word)
{
	AUTO_TEXT struct text shown = {0};

	if (is_plain(word)) {
		text_append_string(text, word);
		return;
	}
	text_append_shown(&shown, word, strlen(word));
	text_append_string(text, "'");
	for (const char *at = text_string(&shown); *at; at++)
		text_append(text, *at == '\'' ? "'\\''" : at, *at == '\'' ? 4 : 1);
	text_append_string(text, "'");
}

/* One conversion, behind its '%'. Returns what follows it. */
static const char *append_argument(struct text *text, const char *format, va_list *arguments)
{
	switch (*format) {
	case 's':
		shell_append_word(text, va_arg(*arguments, const char *));
		return format + 1;
	case 'u':
		text_printf(text, "%u", va_arg(*arguments, unsigned));
		return format + 1;
	case 'd':
		text_printf(text, "%d", va_arg(*arguments, int));
		return format + 1;
	case 'z':
		text_printf(text, "%zu", va_arg(*arguments, size_t));
		return format + 2;
	case 'l': /* also uint64_t, where PRIu64 is "lu"; "llu" elsewhere */
		if (format[1] == 'l')
			text_printf(text, "%llu", va_arg(*arguments, unsigned long long));
		else
			text_printf(text, "%lu", va_arg(*arguments, unsigned long));
		return format + (format[1] == 'l' ? 3 : 2);
	default:
		text_append(text, format, 1); /* "%%" */
		return format + 1;
	}
}

void shell_append(struct text *text, const char *format, va_list arguments)
{
	va_list rest;

	va_copy(rest, arguments);
	while (*format) {
		size_t length = strcspn(format, "%");

		text_append(text, format, length);
		format += length;
		if (*format)
			format = append_argument(text, format + 1, &rest);
	}
	va_end(rest);
}
