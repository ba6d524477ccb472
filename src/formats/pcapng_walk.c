#include "formats/pcapng_walk.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "formats/pcapng_blocks.h"

#define WINDOW_SIZE (256 * 1024)
#define BLOCK_MIN 12
#define BLOCK_MAX (1024 * 1024)
#define HEAD_SIZE 16 /* as much as is looked at */

/* What was read of the file last. */
struct window {
	int fd;
	uint64_t size; /* of the file */
	uint64_t start;
	size_t length;
	uint8_t *data;
};

/* The bytes at a place that is within the file. Reading goes forward, so that the file is read
 * once. */
static int window_get(struct window *window, uint64_t at, void *ret, size_t size)
{
	if (at < window->start || at + size > window->start + window->length) {
		uint64_t left = window->size - at;
		size_t length = left < WINDOW_SIZE ? left : WINDOW_SIZE;
		int r = read_at(window->fd, window->data, length, at);

		if (r < 0)
			return r;
		window->start = at;
		window->length = length;
	}
	memcpy(ret, window->data + (at - window->start), size);
	return 0;
}

static uint32_t get32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return le32toh(value);
}

static bool is_section(const uint8_t head[static HEAD_SIZE])
{
	return get32(head) == PCAPNG_SECTION_TYPE && get32(head + 8) == PCAPNG_BYTE_ORDER;
}

/* An interface that is not as pcapng_append_interface() writes it. */
static bool is_foreign(const uint8_t head[static HEAD_SIZE])
{
	uint32_t link = get32(head + 8) & 0xffff;

	return get32(head) == PCAPNG_INTERFACE_TYPE &&
	       ((link != PCAPNG_LINK_RAW && link != PCAPNG_LINK_RAW_AGAIN) ||
		       get32(head + 12) != PCAPNG_SNAP_LENGTH);
}

/* The length of the block that begins at a place; *ret_length is 0 when it is not whole. */
static int measure_block(struct window *window, uint64_t at, uint64_t *ret_length)
{
	uint64_t left = window->size - at;
	uint8_t head[HEAD_SIZE] = {0}, tail[4];
	uint32_t length;
	int r = window_get(window, at, head, left < HEAD_SIZE ? left : HEAD_SIZE);

	if (r < 0)
		return r;
	*ret_length = 0;
	length = get32(head + 4);
	if (at == 0 && !is_section(head))
		return -EBADMSG;
	if (get32(head) == PCAPNG_SECTION_TYPE && !is_section(head))
		return left < HEAD_SIZE ? 0 : -EBADMSG;
	if (left < BLOCK_MIN || length < BLOCK_MIN || length % 4 || length > BLOCK_MAX ||
		length > left)
		return 0;
	if (is_foreign(head))
		return -EBADMSG;
	r = window_get(window, at + length - sizeof(tail), tail, sizeof(tail));
	if (r >= 0 && get32(tail) == length)
		*ret_length = length;
	return r;
}

/* A file that is even shorter than what tells a section header: half a one, or something else. */
static bool is_half_section(struct window *window)
{
	static const uint8_t form[] = {0x0a, 0x0d, 0x0d, 0x0a};
	uint8_t head[sizeof(form)];
	size_t size = window->size < sizeof(form) ? window->size : sizeof(form);

	return window_get(window, 0, head, size) >= 0 && !memcmp(head, form, size);
}

int pcapng_measure(int fd, uint64_t size, uint64_t *ret_whole)
{
	struct window window = {.fd = fd, .size = size};
	AUTO_FREE uint8_t *data = malloc(WINDOW_SIZE);
	uint64_t at = 0, length;
	int r = 0;

	window.data = data;
	if (!data)
		return -ENOMEM;
	if (size < BLOCK_MIN) {
		*ret_whole = 0;
		return is_half_section(&window) ? 0 : -EBADMSG;
	}
	do {
		length = 0;
		if (at < size)
			r = measure_block(&window, at, &length);
		at += length;
	} while (r >= 0 && length);
	if (r >= 0)
		*ret_whole = at;
	return r;
}
