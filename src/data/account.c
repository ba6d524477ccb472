#include "data/account.h"

static const char *const names[DROP_REASONS] = {
	[DROP_RATE] = "rate",
	[DROP_QUEUE] = "queue",
	[DROP_IO] = "io",
	[DROP_BUSY] = "busy",
	[DROP_ABSENT] = "absent",
	[DROP_SIZE] = "size",
	[DROP_LOOP] = "loop",
	[DROP_TTL] = "ttl",
	[DROP_SHUTDOWN] = "shutdown",
};

const char *drop_reason_name(enum drop_reason reason)
{
	return names[reason];
}
