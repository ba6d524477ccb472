#include "control/request.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/param.h>

/* The lexer doubles a buffer, and keeps a copy of each string; a name is copied once more. */
#define MEMORY_PER_BYTE 6
/* For an object with its first table, and its place in the table of another one. */
#define MEMORY_PER_VALUE 512
/* For the buffer of the lexer, and what a method makes. */
#define MEMORY_MIN 1024

/* The memory of the one tree. Nothing is returned to it. jansson calls these functions in all
 * threads from then on: those of engines have no such memory, and get the heap's. */
static _Thread_local struct {
	char *start;
	size_t size, used;
} memory;

static void *take_memory(size_t size)
{
	size_t aligned = (size + 15) & ~(size_t)15;

	if (aligned < size || aligned > memory.size - memory.used)
		return malloc(size);
	memory.used += aligned;
	return memory.start + memory.used - aligned;
}

static void return_memory(void *pointer)
{
	if ((uintptr_t)pointer - (uintptr_t)memory.start >= memory.size)
		free(pointer);
}

/* Strings do not count. */
struct request_cost request_estimate(const char *message, size_t size)
{
	struct request_cost cost = {0};
	bool in_string = false;
	unsigned depth = 0;

	for (size_t i = 0; i < size && cost.values <= VALUES_MAX && cost.depth <= DEPTH_MAX; i++) {
		if (in_string) {
			if (message[i] == '\\')
				i++;
			else if (message[i] == '"')
				in_string = false;
			continue;
		}
		if (message[i] == '"')
			in_string = true;
		else if (message[i] == ',' || message[i] == ':')
			cost.values++;
		else if (message[i] == '[' || message[i] == '{')
			cost.values++, depth++;
		else if ((message[i] == ']' || message[i] == '}') && depth)
			depth--;
		cost.depth = MAX(cost.depth, depth);
	}
	cost.memory = MEMORY_MIN + MEMORY_PER_BYTE * size + MEMORY_PER_VALUE * cost.values;
	return cost;
}

json_t *request_read(const char *message, size_t size, char why[static WHY_MAX])
{
	const struct request_cost cost = request_estimate(message, size);
	json_error_t error;
	json_t *request;

	if (cost.values > VALUES_MAX || cost.depth > DEPTH_MAX) {
		because(why, 0,
			"a message has at most %d values and names, at a depth of at most %d",
			VALUES_MAX, DEPTH_MAX);
		return NULL;
	}
	memory.start = malloc(cost.memory);
	if (!memory.start) {
		because(why, 0, "out of memory");
		return NULL;
	}
	memory.size = cost.memory;
	memory.used = 0;
	json_set_alloc_funcs(take_memory, return_memory);
	request = json_loadb(message, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	if (json_is_object(request))
		return request;
	because(why, 0, "%s", request ? "a message must be a JSON object" : error.text);
	request_free(request);
	return NULL;
}

void request_free(json_t *request)
{
	json_decref(request);
	free(memory.start);
	memory.start = NULL;
	memory.size = memory.used = 0;
}
