#include "ctl/balance.h"

#include <errno.h>

int balance_read(const json_t *handler, struct balance *ret)
{
	struct balance balance = {0};
	const char *reason;
	json_t *dropped, *count;

	if (json_unpack((json_t *)handler, "{s:s, s:I, s:I, s:I, s:o, s:I}", "name", &balance.name,
		    "received", &balance.received, "filtered", &balance.filtered, "delivered",
		    &balance.delivered, "dropped", &dropped, "queued", &balance.queued) < 0 ||
		!json_is_object(dropped))
		return -EBADMSG;
	json_object_foreach(dropped, reason, count)
	{
		if (!json_is_integer(count))
			return -EBADMSG;
		balance.dropped += json_integer_value(count);
	}
	*ret = balance;
	return 0;
}

static json_int_t sum(const struct balance *balance)
{
	return balance->filtered + balance->delivered + balance->dropped + balance->queued;
}

bool balance_holds(const struct balance *balance)
{
	return balance->received == sum(balance);
}

#define N "%" JSON_INTEGER_FORMAT

void balance_explain(struct text *text, const struct balance *balance)
{
	text_printf(text,
		"%s: received " N ", but filtered " N " + delivered " N " + dropped " N
		" + queued " N " = " N,
		balance->name, balance->received, balance->filtered, balance->delivered,
		balance->dropped, balance->queued, sum(balance));
}
