/* What top shows of its model: one frame of text. Pure. */
#pragma once

#include "ctl/top/feed.h"

/* Bytes of a filter. */
#define FILTER_MAX 63

enum sort {
	SORT_NAME,
	SORT_IN,
	SORT_BYTES,
	SORT_OUT,
	SORT_LOST,
	SORT_QUEUE,
	SORT_LAST,
	SORTS,
};

struct view {
	enum sort sort;
	bool is_reversed;
	bool shows_handlers; /* only them; otherwise they stand below the groups where there is room
			      */
	bool is_typing; /* the filter */
	char filter[FILTER_MAX + 1];
	size_t offset; /* the first row that is shown */
	size_t page; /* rows of a page, as the last frame had */
	bool has_utf8, has_color, has_history;
	size_t width, height; /* 0: no limit */
};

/* The last key of the table of keys; 0 ends it. */
struct sort_key {
	char key;
	enum sort sort;
	const char *name;
};
extern const struct sort_key sort_keys[];

/* Appends a frame: lines that each end with a line feed, no more and no longer than there is room
 * for. Corrects the offset. Returns 0 or -ENOMEM. */
int view_draw(struct view *view, const struct feed *feed, uint64_t now_ns, struct text *frame);
