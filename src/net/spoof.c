#include "net/spoof.h"

#include <errno.h>

int spoof_new(char why[static WHY_MAX], struct spoof **ret)
{
	(void)ret;
	return because(why, -EPERM, "sources cannot be kept");
}

void spoof_free(struct spoof *spoof)
{
	(void)spoof;
}

int spoof_send(struct spoof *spoof, const struct spoof_way *way, const union endpoint *from,
	const struct iovec *vectors, unsigned count, unsigned *ret_refused)
{
	(void)spoof, (void)way, (void)from, (void)vectors, (void)count;
	*ret_refused = 1;
	return -EPERM;
}
