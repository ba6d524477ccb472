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

/* A metric whose samples are appended, one object after the other. */
struct family {
	struct text *text;
	const struct value *value;
	bool *has_head; /* false at first */
};

/* Appends the samples of the metric for an object, and before the first one its head. */
void samples_put(const struct family *family, struct sample_of *of);

/* The same for all rows of a table: for what there is only one of. */
void samples_put_all(struct text *text, const struct value_table *table, struct sample_of *of);
