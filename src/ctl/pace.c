#include "ctl/pace.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"

#define SPEED_MIN (SPEED_OWN / 1000000)
#define SPEED_MAX (SPEED_OWN * 1000000)
#define DECIMALS 9 /* of SPEED_OWN */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

int speed_parse(const char *string, uint64_t *ret)
{
	uint64_t speed = 0;
	int decimals = 0;

	if (!strcmp(string, "max")) {
		*ret = 0;
		return 0;
	}
	if (!is_digit(*string))
		return -EINVAL;
	for (; is_digit(*string) && speed <= SPEED_MAX; string++)
		speed = speed * 10 + (uint64_t)(*string - '0');
	if (speed > SPEED_MAX / SPEED_OWN)
		return -EINVAL;
	if (*string == '.' && is_digit(string[1]))
		string++;
	for (; decimals < DECIMALS; decimals++)
		speed = speed * 10 + (is_digit(*string) ? (uint64_t)(*string++ - '0') : 0);
	if (*string || speed < SPEED_MIN || speed > SPEED_MAX)
		return -EINVAL;
	*ret = speed;
	return 0;
}

static uint64_t add(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* From the recording's time to ours. */
static uint64_t scale(const struct pace *pace, uint64_t ns)
{
	unsigned __int128 scaled;

	if (!pace->speed)
		return 0;
	scaled = (unsigned __int128)ns * SPEED_OWN / pace->speed;
	return scaled > UINT64_MAX ? UINT64_MAX : (uint64_t)scaled;
}

uint64_t pace_due(struct pace *pace, uint64_t timestamp_ns, uint64_t now_ns)
{
	uint64_t since_first_ns;

	if (!pace->count++) {
		pace->first_ns = pace->latest_ns = timestamp_ns;
		if (!pace->start_ns)
			pace->start_ns = now_ns;
	}
	if (timestamp_ns > pace->latest_ns)
		pace->latest_ns = timestamp_ns;
	since_first_ns = timestamp_ns > pace->first_ns ? timestamp_ns - pace->first_ns : 0;
	return add(pace->start_ns, scale(pace, add(pace->before_ns, since_first_ns)));
}

uint64_t pace_due_untimed(struct pace *pace, uint64_t now_ns)
{
	if (!pace->start_ns)
		pace->start_ns = now_ns;
	return add(pace->start_ns, scale(pace, pace->before_ns));
}

void pace_repeat(struct pace *pace)
{
	uint64_t span_ns = pace->count ? pace->latest_ns - pace->first_ns : 0;
	uint64_t gap_ns = span_ns ? span_ns / (pace->count - 1) : NS_PER_S;

	pace->before_ns = add(pace->before_ns, add(span_ns, gap_ns));
	pace->count = 0;
}
