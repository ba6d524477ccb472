/* What the fuzz targets share. Each target is one file, tests/fuzz/NAME.c, with one
 * LLVMFuzzerTestOneInput(), and has seeds in corpus/NAME/, and maybe NAME.dict (tests/fuzz/run).
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold. libFuzzer shows the place, and keeps the input. */
#define CHECK(condition)          \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

/* The input, taken piece by piece; zeros and nothing after its end. */
struct input {
	const uint8_t *data;
	size_t size;
};

static inline size_t input_take(struct input *input, void *ret, size_t size)
{
	size_t taken = size < input->size ? size : input->size;

	memset(ret, 0, size);
	if (taken)
		memcpy(ret, input->data, taken);
	input->data += taken;
	input->size -= taken;
	return taken;
}

static inline uint8_t input_byte(struct input *input)
{
	uint8_t byte;

	input_take(input, &byte, 1);
	return byte;
}

/* At most size bytes, of which there are *ret_size; they stay where they are. */
static inline const uint8_t *input_bytes(struct input *input, size_t size, size_t *ret_size)
{
	const uint8_t *bytes = input->data;

	*ret_size = size < input->size ? size : input->size;
	input->data += *ret_size;
	input->size -= *ret_size;
	return bytes;
}

/* Empties a file without a name, and writes the bytes to it. The same one at every call. */
static inline int fuzz_file(const void *data, size_t size)
{
	static int fd = -1;

	if (fd < 0)
		fd = memfd_create("fuzz", MFD_CLOEXEC);
	CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

/* What a terminal would take for a command, in a line that people read. */
static inline bool has_controls(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if ((uint8_t)text[i] < 0x20 || text[i] == 0x7f)
			return true;
	return false;
}

#define WORDS_MAX 16

/* Words of a command line, each behind a NUL. Returns their number. The last one ends where the
 * input does. */
static inline int split_words(char *text, size_t size, char *words[WORDS_MAX + 1])
{
	int count = 0;

	for (size_t at = 0; at <= size && count < WORDS_MAX; at += strlen(text + at) + 1)
		words[count++] = text + at;
	words[count] = NULL;
	return count;
}
