/* A long answer, made piece by piece as its reader takes it, so that it takes neither the loop nor
 * the memory for all of it at once. Embedded in the object that makes it. */
#pragma once

#include <stdbool.h>

#include "base/text.h"

struct answer {
	/* Appends the next piece. Returns whether it was the last. */
	bool (*next)(struct answer *answer, struct text *text);
	void (*free)(struct answer *answer);
	bool is_many; /* of the control socket: each piece is a reply of its own, for a call with
			 "more" */
};
