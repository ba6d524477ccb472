/* Scope cleanup: a variable marked with one of these is released when it goes out of scope,
 * and handed over with take(). The destructors that they call accept NULL. */
#pragma once

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(function) __attribute__((cleanup(function)))

/* Defines NAMEp(), the cleanup form of a destructor that takes one pointer. */
#define DEFINE_CLEANUP(type, function)                \
	static inline void function##p(type *pointer) \
	{                                             \
		if (*pointer)                         \
			function(*pointer);           \
	}

static inline void freep(void *pointer)
{
	free(*(void **)pointer);
}

/* Leaves -1. */
static inline void closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

DEFINE_CLEANUP(FILE *, fclose)

#define AUTO_FREE CLEANUP(freep)
#define AUTO_CLOSE CLEANUP(closep)

/* Hands a pointer, or a descriptor, over: the variable no longer owns it. */
#define take(pointer)                                   \
	({                                              \
		__typeof__(pointer) taken_ = (pointer); \
		(pointer) = NULL;                       \
		taken_;                                 \
	})
#define take_fd(fd)                \
	({                         \
		int taken_ = (fd); \
		(fd) = -1;         \
		taken_;            \
	})

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define PRINTF_LIKE(string, first) __attribute__((format(printf, string, first)))
#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))
