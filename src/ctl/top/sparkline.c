#include "ctl/top/sparkline.h"

#include <math.h>

/* From nothing to the most. */
static const char *const utf8_levels[] = {
	"\u2581", "\u2582", "\u2583", "\u2584", "\u2585", "\u2586", "\u2587", "\u2588"};
static const char *const ascii_levels[] = {"_", ".", ":", "-", "=", "+", "*", "#"};
#define LEVELS (sizeof(utf8_levels) / sizeof(*utf8_levels))

struct point {
	double rate; /* below 0: unknown */
	bool has_loss;
};

/* The mean of count rounds, the latest of which is age rounds old. */
static struct point mean(const struct model *model, const struct row *row, size_t age, size_t count)
{
	struct point point = {.rate = 0};
	size_t known = 0;

	for (size_t i = age; i < age + count && i < HISTORY_MAX; i++) {
		float rate = row->history[(model->at + HISTORY_MAX - i) % HISTORY_MAX];

		if (isnan(rate))
			continue;
		known++;
		point.rate += fabsf(rate);
		point.has_loss |= signbit(rate);
	}
	point.rate = known ? point.rate / (double)known : -1;
	return point;
}

static const char *level(double rate, double most, bool has_utf8)
{
	const char *const *levels = has_utf8 ? utf8_levels : ascii_levels;
	double height;
	size_t i;

	if (rate < 0)
		return " ";
	height = most > 0 ? rate / most * (LEVELS - 1) : 0;
	i = (size_t)height;
	if ((double)i < height)
		i++;
	return levels[i < LEVELS ? i : LEVELS - 1];
}

/* Rounds are grouped by their number and not by their age, so that the picture moves and does not
 * flicker: the latest point is of fewer rounds. */
void sparkline_append(struct text *text, const struct model *model, const struct row *row,
	size_t columns, bool has_utf8, const char *loss, const char *normal)
{
	struct point points[HISTORY_MAX];
	size_t used = columns < HISTORY_MAX ? columns : HISTORY_MAX;
	size_t size = used > 1 ? (HISTORY_MAX + used - 3) / (used - 1) : HISTORY_MAX;
	size_t latest = model->round % size + 1, age = 0;
	double most = 0;

	for (size_t i = 0; i < used; i++) {
		size_t count = i ? size : latest;

		points[i] = mean(model, row, age, count);
		most = points[i].rate > most ? points[i].rate : most;
		age += count;
	}
	text_printf(text, "%*s", (int)(columns - used), "");
	for (size_t i = used; i-- > 0;) {
		text_append_string(text, points[i].has_loss ? loss : "");
		text_append_string(text, level(points[i].rate, most, has_utf8));
		text_append_string(text, points[i].has_loss ? normal : "");
	}
}
