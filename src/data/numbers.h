/* The numbers of datagrams that leave for a broker. Each group of a handler is a run of its own,
 * with a random name, so that whoever takes one of the groups sees no gaps of the others. The first
 * number of a run is 1, and what the queue dropped has numbers, too: they are the gaps that the far
 * side counts (data/sites.h). For one thread. */
#pragma once

#include <stdint.h>

/* Groups that are remembered. Beyond that all begin new runs, which costs nothing but that gaps at
 * this place are not seen. */
#define NUMBERS_GROUPS_MAX 65536

struct numbers;

struct numbers *numbers_new(void); /* NULL without memory */
void numbers_free(struct numbers *numbers); /* accepts NULL */

/* The run of a group and the next number in it, after lost ones that the queue dropped. Returns 0,
 * or a negative errno (memory, getrandom(2)). */
int numbers_next(struct numbers *numbers, const char *group, unsigned lost, uint64_t *ret_run,
	uint64_t *ret_number);
