#include "ctl/top/keys.h"

#include <string.h>

#include "base/cleanup.h"

/* Of ECMA-48 and of xterm, whose ways all terminals have taken over: what follows CSI or SS3. */
static const struct {
	const char *sequence;
	enum key key;
} sequences[] = {
	{"A", KEY_UP},
	{"B", KEY_DOWN},
	{"H", KEY_HOME},
	{"F", KEY_END},
	{"1~", KEY_HOME},
	{"4~", KEY_END},
	{"5~", KEY_PAGE_UP},
	{"6~", KEY_PAGE_DOWN},
	{"7~", KEY_HOME},
	{"8~", KEY_END},
};

/* Bytes of a control sequence behind its CSI: parameters, then one byte that ends it. */
static size_t sequence_length(const char *bytes, size_t size)
{
	size_t i = 0;

	while (i < size && bytes[i] >= 0x20 && bytes[i] < 0x40)
		i++;
	return i < size ? i + 1 : i;
}

size_t key_read(const char *bytes, size_t size, int *ret_key)
{
	size_t length;

	*ret_key = (unsigned char)bytes[0];
	if (bytes[0] != KEY_ESCAPE || size < 2 || (bytes[1] != '[' && bytes[1] != 'O'))
		return 1;
	length = sequence_length(bytes + 2, size - 2);
	*ret_key = KEY_OTHER;
	for (size_t i = 0; i < ARRAY_SIZE(sequences); i++)
		if (strlen(sequences[i].sequence) == length &&
			!memcmp(sequences[i].sequence, bytes + 2, length))
			*ret_key = (int)sequences[i].key;
	return 2 + length;
}
