/* The memory of the counters: a file without a name (memfd_create(2)), which the fd store holds for
 * the next run of the daemon, so that counters continue after a restart or a crash.
 *
 * A record belongs to a key, such as "group news". Its owner reads and writes it in place. */
#pragma once

#include <stddef.h>

#include "base/hash.h"

struct counters;

/* Defines struct NAME, a type of records, and NAME_members(), a hash of its members' types, names
 * and order. */
#define COUNTERS_RECORD(name, ...)                                                 \
	struct name __VA_ARGS__;                                                   \
	static inline uint64_t name##_members(void)                                \
	{                                                                          \
		return hash_bytes(HASH_BEGIN, #__VA_ARGS__, sizeof(#__VA_ARGS__)); \
	}                                                                          \
	struct name

/* Bytes of the file, for a million groups. Pages take memory only once they are used. */
#define COUNTERS_MEMORY ((size_t)256 << 20)

/* Opens the memory of an earlier run, and takes over fd; or new memory with -1. Returns 0, -EPROTO
 * if fd is something else, -EFBIG if the limit on the size of files is too low, or another negative
 * errno. */
int counters_open(int fd, struct counters **ret);

/* Unmaps it. The records remain for whoever holds the descriptor. Accepts NULL. */
void counters_free(struct counters *counters);

int counters_fd(const struct counters *counters);

/* The record of a key: that of the earlier run, if its size and layout are the same, or one of
 * zeros. NULL without memory. layout is the NAME_members() of its type: with other members it is
 * another record. Records do not move. */
void *counters_take(struct counters *counters, const char *key, size_t size, uint64_t layout);

/* The number by which counters_peek() finds a record in the next run. */
uint64_t counters_key(const void *record);

/* A record of the earlier run that nobody has taken yet, or NULL. It is of the type that it was of
 * then, with the same members. */
void *counters_peek(const struct counters *counters, uint64_t key, size_t size);

/* Frees a record. Accepts NULL. Safe from any thread, like counters_take(). */
void counters_release(struct counters *counters, void *record);

/* Frees the records of the earlier run that nobody has taken. */
void counters_settle(struct counters *counters);

/* The daemon stops: from now on records are not freed, so that the next run finds them. */
void counters_freeze(struct counters *counters);
