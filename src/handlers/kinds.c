/* The one table of kinds of handlers. A new kind is one file beside this one, and one row here. */
#include "handlers/handler.h"

extern const struct handler_kind exec_kind;
extern const struct handler_kind file_kind;
extern const struct handler_kind journal_kind;
extern const struct handler_kind log_kind;
extern const struct handler_kind pcapng_kind;
extern const struct handler_kind pipe_kind;
extern const struct handler_kind udp_kind;
extern const struct handler_kind unix_kind;

static const struct handler_kind *const handler_kinds[] = {
	&exec_kind,
	&file_kind,
	&journal_kind,
	&log_kind,
	&pcapng_kind,
	&pipe_kind,
	&udp_kind,
	&unix_kind,
};

const struct config_kind *const *handler_config_kinds(void)
{
	static const struct config_kind *kinds[ARRAY_SIZE(handler_kinds) + 1];

	for (size_t i = 0; i < ARRAY_SIZE(handler_kinds); i++)
		kinds[i] = &handler_kinds[i]->config;
	return kinds;
}
