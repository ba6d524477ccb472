/* Ctrl-C as a wish to end in good order, not as the end. */
#pragma once

#include <stdbool.h>

/* From here on, the first SIGINT or SIGTERM is caught; the second one kills, should the good order
 * take too long. One that was ignored stays ignored. Returns a descriptor, never to be closed, that
 * can be read once a signal came, or a negative errno. */
int interrupt_catch(void);

/* Whether it came. */
bool interrupted(void);
