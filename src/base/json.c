#include "base/json.h"

#include "base/escape.h"

/* Whether the next member needs no comma before it. After LF and NUL a new message begins. */
static bool is_first(const struct text *text)
{
	switch (text->length ? text->data[text->length - 1] : '\0') {
	case '{':
	case '[':
	case ':':
	case ',':
	case '\n':
	case '\0':
		return true;
	}
	return false;
}

void json_put_member(struct text *text, const char *name)
{
	size_t length = name ? strlen(name) : 0;
	char *at = text_reserve(text, length + sizeof(",\"\":"));

	if (!at)
		return;
	if (!is_first(text))
		*at++ = ',';
	if (name) {
		*at++ = '"';
		at = mempcpy(at, name, length);
		*at++ = '"';
		*at++ = ':';
	}
	text->length = (size_t)(at - text->data);
}

void json_put_string(struct text *text, const char *name, const char *string)
{
	json_put_member(text, name);
	if (string)
		text_append_json(text, string, strlen(string));
	else
		text_append_string(text, "null");
}

/* By hand: snprintf() would be half of a long answer's cost. */
void json_put_number(struct text *text, const char *name, uint64_t number)
{
	char digits[20], *at = digits + sizeof(digits);

	json_put_member(text, name);
	do {
		*--at = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	text_append(text, at, (size_t)(digits + sizeof(digits) - at));
}

void json_put_open(struct text *text, const char *name, char bracket)
{
	json_put_member(text, name);
	text_append(text, &bracket, 1);
}

void json_put_close(struct text *text, char bracket)
{
	text_append(text, &bracket, 1);
}
