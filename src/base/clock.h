/* Time: nanoseconds in a uint64_t, and RFC 3339 text in UTC. */
#pragma once

#include <stdint.h>
#include <sys/time.h>
#include <time.h>

#define NS_PER_S 1000000000ull
#define NS_PER_MS 1000000ull

static inline uint64_t timespec_ns(const struct timespec *time)
{
	return (uint64_t)time->tv_sec * NS_PER_S + (uint64_t)time->tv_nsec;
}

static inline struct timespec ns_timespec(uint64_t ns)
{
	return (struct timespec){
		.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
}

/* Rounded up, so that a timer does not expire too early. */
static inline struct timeval ns_timeval(uint64_t ns)
{
	uint64_t us = (ns + 999) / 1000;

	return (struct timeval){(time_t)(us / 1000000), (suseconds_t)(us % 1000000)};
}

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return timespec_ns(&now);
}

/* CLOCK_MONOTONIC_COARSE, for short times on hot paths. They wrap around. */
static inline uint32_t coarse_ms(void)
{
	return (uint32_t)(clock_ns(CLOCK_MONOTONIC_COARSE) / NS_PER_MS);
}

static inline uint32_t coarse_s(void)
{
	return (uint32_t)(clock_ns(CLOCK_MONOTONIC_COARSE) / NS_PER_S);
}

/* The earlier of two times, where 0 is never. */
static inline uint64_t earlier_ns(uint64_t a, uint64_t b)
{
	return !a || (b && b < a) ? b : a;
}

/* "2026-11-24T19:33:19.123456789Z" and its terminator. */
#define TIMESTAMP_MAX 31

/* Writes nanoseconds since the epoch as RFC 3339 with nine decimals, in UTC. Returns string. */
char *format_timestamp(uint64_t ns, char string[static TIMESTAMP_MAX]);

/* The same, where string is what it wrote for last_ns: times of one second are the same but for
 * their last digits. */
char *format_next_timestamp(uint64_t ns, uint64_t last_ns, char string[static TIMESTAMP_MAX]);

/* "2026-11-24T20:33:19.123456789+01:00" and its terminator. */
#define LOCAL_TIMESTAMP_MAX 36

/* The same as format_timestamp() in the time zone of $TZ or /etc/localtime, with its offset. Takes
 * a lock of the C library. */
char *format_local_timestamp(uint64_t ns, char string[static LOCAL_TIMESTAMP_MAX]);
