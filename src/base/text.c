#include "base/text.h"

#include <stdarg.h>

/* Apart from text_reserve(), which then costs little where there is room. */
static __attribute__((noinline)) char *grow(struct text *text, size_t size)
{
	size_t capacity = text->capacity ? text->capacity : 256;
	char *data;

	if (text->failed)
		return NULL;
	while (capacity - text->length < size)
		capacity *= 2;
	data = realloc(text->data, capacity);
	if (!data) {
		text->failed = true;
		return NULL;
	}
	text->data = data;
	text->capacity = capacity;
	return text->data + text->length;
}

char *text_reserve(struct text *text, size_t size)
{
	if (text->data && text->capacity - text->length >= size && !text->failed)
		return text->data + text->length;
	return grow(text, size);
}

void text_shrink(struct text *text)
{
	char *data;

	if (!text->length)
		text_free(text);
	if (text->capacity == text->length)
		return;
	data = realloc(text->data, text->length);
	if (!data)
		return;
	text->data = data;
	text->capacity = text->length;
}

void text_recycle(struct text *text, size_t spare)
{
	if (text->capacity > spare)
		text_free(text);
	else
		text_clear(text);
}

void text_append(struct text *text, const void *data, size_t size)
{
	char *room = text_reserve(text, size);

	if (!room || !size)
		return;
	memcpy(room, data, size);
	text->length += size;
}

void text_printf(struct text *text, const char *format, ...)
{
	va_list arguments;
	char *room;
	int length;

	va_start(arguments, format);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (length < 0 || !(room = text_reserve(text, (size_t)length + 1)))
		return;
	va_start(arguments, format);
	vsnprintf(room, (size_t)length + 1, format, arguments);
	va_end(arguments);
	text->length += (size_t)length;
}

const char *text_string(struct text *text)
{
	char *end = text_reserve(text, 1);

	if (!end)
		return "";
	*end = '\0';
	return text->data;
}

void text_free(struct text *text)
{
	free(text->data);
	*text = (struct text){0};
}
