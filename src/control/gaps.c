#include "control/gaps.h"

#include <stdlib.h>
#include <string.h>

#include "base/escape.h"

struct gap {
	uint64_t count;
	char group[];
};

/* Where the group is, or would have to be. */
static size_t position(const struct gaps *gaps, const char *group)
{
	size_t low = 0, high = gaps->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(gaps->items[middle]->group, group) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct gap *insert(struct gaps *gaps, size_t at, const char *group)
{
	size_t size = strlen(group) + 1;
	struct gap *gap;

	if (gaps->count == gaps->room) {
		size_t room = gaps->room ? gaps->room * 2 : 4;
		struct gap **items = reallocarray(gaps->items, room, sizeof(*items));

		if (!items)
			return NULL;
		gaps->items = items;
		gaps->room = room;
	}
	gap = calloc(1, sizeof(*gap) + size);
	if (!gap)
		return NULL;
	memcpy(gap->group, group, size);
	memmove(gaps->items + at + 1, gaps->items + at, (gaps->count - at) * sizeof(*gaps->items));
	gaps->items[at] = gap;
	gaps->count++;
	return gap;
}

void gaps_count(struct gaps *gaps, const char *group, unsigned count)
{
	size_t at = position(gaps, group);
	struct gap *gap = at < gaps->count && !strcmp(gaps->items[at]->group, group)
				  ? gaps->items[at]
				  : insert(gaps, at, group);

	if (gap)
		gap->count += count;
}

static int add(struct outbox *output, const struct text *text)
{
	struct block *block = text_failed(text) ? NULL : block_new(output->user, text->length);
	int r = -1;

	if (block) {
		memcpy(block->data, text->data, text->length);
		r = outbox_add_block(output, block, 0, text->length);
	}
	block_unref(block);
	return r;
}

void gaps_tell(struct gaps *gaps, char terminator, struct outbox *output)
{
	AUTO_TEXT struct text text = {0};

	for (size_t i = 0; i < gaps->count; i++) {
		const struct gap *gap = gaps->items[i];

		text_append_string(&text, "{\"parameters\":{\"gap\":{\"group\":");
		text_append_json(&text, gap->group, strlen(gap->group));
		text_printf(&text, ",\"count\":%llu}},\"continues\":true}",
			(unsigned long long)gap->count);
		text_append(&text, &terminator, 1);
	}
	if (add(output, &text) == 0)
		gaps_clear(gaps);
}

void gaps_clear(struct gaps *gaps)
{
	for (size_t i = 0; i < gaps->count; i++)
		free(gaps->items[i]);
	free(gaps->items);
	*gaps = (struct gaps){0};
}
