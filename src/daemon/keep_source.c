#include "daemon/keep_source.h"

#include <string.h>

#include "base/log.h"
#include "config/report.h"
#include "daemon/identity.h"

static bool is_wanted(const struct config *config)
{
	for (size_t i = 0; i < config->handler_count; i++)
		if (config_handler_keeps_source(&config->handlers[i]))
			return true;
	return false;
}

static int drop_net_raw(char why[static WHY_MAX])
{
	int r = identity_drop_net_raw();

	if (r >= 0)
		return 0;
	return because(why, r,
		"dropping CAP_NET_RAW: %s; the unit needs SystemCallFilter=capset, as in the "
		"drop-in "
		"relay-keeps-source.conf",
		strerror(-r));
}

int keep_source_open(const struct config *config, char why[static WHY_MAX], struct spoof **ret)
{
	if (!is_wanted(config))
		return 0;
	if (spoof_new(why, ret) < 0)
		log_warning("no handler can send with the address of the sender: %s", why);
	return drop_net_raw(why);
}

void keep_source_warn(struct config *config)
{
	for (size_t i = 0; i < config->handler_count; i++) {
		struct subject subject = handler_subject(&config->handlers[i]);

		if (config_handler_keeps_source(&config->handlers[i]))
			config_report(&config->warnings, &subject, 0, "keep_source",
				"warning: all datagrams are dropped: " SPOOF_FIX);
	}
}
