/* Samples of the table of values (control/values.h). Pure, but for the clock. */
#pragma once

#include "control/values.h"
#include "http/exposition.h"

/* Beside those of the object, a sample may have a label that tells several of one value apart. */
#define SAMPLE_LABELS_MAX 5

/* Of what the samples are. */
struct sample_of {
	void *object;
	const void *record; /* of the object, see the table */
	struct label labels[SAMPLE_LABELS_MAX];
	size_t label_count;
};

/* Appends the samples of a row for an object, and before the first one of the metric its head.
 * has_head is false at first. */
void samples_put(
	struct text *text, const struct value *value, struct sample_of *of, bool *has_head);

/* The same for all rows of a table: for what there is only one of. */
void samples_put_all(struct text *text, const struct value_table *table, struct sample_of *of);
