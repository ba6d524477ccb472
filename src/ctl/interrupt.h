/* SIGINT and SIGTERM, for commands that have something to say at their end. */
#pragma once

#include <stdbool.h>

/* From now on the first of them only makes the descriptor readable; the second kills. One that was
 * ignored stays ignored. Returns the descriptor, never closed, or a negative errno. */
int interrupt_catch(void);

/* Whether one came. */
bool interrupt_came(void);

/* Ends the process as the signal would have, if one came. */
void interrupt_end(void);
