#include "engines/unconfirmed.h"

#include <inttypes.h>

#include "base/log.h"
#include "base/text.h"

void engine_log_unconfirmed(const char *handler, uint64_t sent, uint64_t unsent)
{
	if (sent || unsent)
		log_warning("handler %s: stopped with %" PRIu64 " datagram%s that no broker has "
			    "acknowledged, and %" PRIu64 " that %s not sent",
			handler, sent, plural(sent), unsent, unsent == 1 ? "was" : "were");
}

void engine_drop_window(const char *handler, struct window *window, struct outcome *outcome)
{
	unsigned sent, open = window_abandon(window, &sent);

	outcome->dropped[DROP_UNCONFIRMED] += sent;
	outcome->dropped[DROP_SHUTDOWN] += open - sent;
	engine_log_unconfirmed(handler, sent, open - sent);
}
