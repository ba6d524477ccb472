#include "base/json.h"

#include "base/codec.h"
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

void json_put_name(struct text *text, const char *name, size_t size)
{
	char *start = text_reserve(text, size + sizeof(",\"\":")), *out = start;

	if (!out)
		return;
	if (!is_first(text))
		*out++ = ',';
	if (name) {
		*out++ = '"';
		out = mempcpy(out, name, size);
		*out++ = '"';
		*out++ = ':';
	}
	text->length += (size_t)(out - start);
}

void json_put_member(struct text *text, const char *name)
{
	json_put_name(text, name, name ? strlen(name) : 0);
}

void json_put_string(struct text *text, const char *name, const char *string)
{
	json_put_member(text, name);
	if (string)
		text_append_json(text, string, strlen(string));
	else
		text_append_string(text, "null");
}

void json_put_number(struct text *text, const char *name, uint64_t number)
{
	json_put_member(text, name);
	text_append_number(text, number);
}

void json_put_flag(struct text *text, const char *name, bool flag)
{
	json_put_member(text, name);
	text_append_string(text, flag ? "true" : "false");
}

void json_put_true(struct text *text, const char *name)
{
	json_put_flag(text, name, true);
}

bool json_put_text(struct text *text, const char *name, const void *data, size_t size)
{
	size_t begin = text->length;

	json_put_member(text, name);
	if (text_append_json_valid(text, data, size))
		return true;
	text->length = begin;
	return false;
}

void json_put_base64(struct text *text, const char *name, const void *data, size_t size)
{
	json_put_member(text, name);
	text_append(text, "\"", 1);
	text_append_base64(text, data, size);
	text_append(text, "\"", 1);
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
