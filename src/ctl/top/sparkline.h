/* The last minutes of a row in a few characters. Pure. */
#pragma once

#include "ctl/top/model.h"

/* Appends exactly columns characters, the latest at the right; each is the mean of as many rounds
 * as it takes for all of the history to fit. Blank: nothing is known. The highest one fills its
 * character. loss is put in front of those with a loss, normal behind them; "" for no colours. */
void sparkline_append(struct text *text, const struct model *model, const struct row *row,
	size_t columns, bool has_utf8, const char *loss, const char *normal);
