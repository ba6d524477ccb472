/* An answer that is made piece by piece, so that a long one does not take the loop, nor the memory,
 * for all of itself at once. Embedded in whatever makes it. */
#pragma once

#include <stdbool.h>

#include "base/text.h"

struct answer {
	/* Appends the next piece of the object after "parameters":. Returns whether it was the
	 * last. */
	bool (*next)(struct answer *answer, struct text *text);
	void (*free)(struct answer *answer);
};
