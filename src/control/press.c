#include "control/press.h"

#include <errno.h>

#include "formats/format.h"

/* Between two batches no more than this is held. */
#define SPARE_MAX (256 * 1024)

void press_print(struct press *press, const struct batch *batch, char terminator)
{
	struct text *text = &press->text;

	text_clear(text);
	press->count = 0;
	for (unsigned i = 0; i < batch->count; i++) {
		text_append_string(text, "{\"parameters\":{\"datagram\":");
		format_json(text, batch->origin, &batch->datagrams[i]);
		text_append_string(text, "},\"continues\":true}");
		text_append(text, &terminator, 1);
		press->ends[i] = text->length;
	}
	if (!text_failed(text))
		press->count = batch->count;
}

unsigned press_find(const struct press *press, size_t place)
{
	unsigned i = 0;

	while (i < press->count && press->ends[i] <= place)
		i++;
	return i;
}

/* Makes *block one in which size more bytes fit. */
static int make_room(struct block **block, struct user *user, size_t size)
{
	struct block *made;

	if (*block && (*block)->capacity - (*block)->length >= size)
		return 0;
	made = block_new(user, size > BLOCK_SIZE ? size : BLOCK_SIZE);
	if (!made)
		return -ENOMEM;
	block_unref(*block);
	*block = made;
	return 0;
}

/* Copies the answers up to this one to blocks, unless they are there: in their order, so that those
 * who wait for several have them in one piece. */
static int keep_up_to(struct press *press, struct block **block, struct user *user, unsigned last)
{
	for (unsigned i = press->kept_count; i <= last; i++) {
		size_t start = press_start(press, i), size = press->ends[i] - start;
		int r = make_room(block, user, size);

		if (r < 0)
			return r;
		memcpy((*block)->data + (*block)->length, press->text.data + start, size);
		press->kept[i] = (struct kept){block_ref(*block), (*block)->length};
		(*block)->length += size;
		press->kept_count = i + 1;
	}
	return 0;
}

int press_keep(struct press *press, struct block **block, unsigned i, size_t skipped,
	struct outbox *output)
{
	size_t size = press->ends[i] - press_start(press, i);
	int r = keep_up_to(press, block, output->user, i);
	const struct kept *kept = &press->kept[i];

	return r < 0 ? r
		     : outbox_add_block(
			       output, kept->block, kept->start + skipped, kept->start + size);
}

void press_clear(struct press *press)
{
	while (press->kept_count)
		block_unref(press->kept[--press->kept_count].block);
	if (press->text.capacity > SPARE_MAX)
		text_free(&press->text);
}
