/* The one table of kinds. A new kind is one file beside this one that ends in its NAME_kind, and
 * one row here. Those whose functions are modules have their NAME_kind in engines/keys.c. */
#include "handlers/handler.h"

#define KINDS(ROW)   \
	ROW(exec)    \
	ROW(file)    \
	ROW(journal) \
	ROW(kafka)   \
	ROW(log)     \
	ROW(mqtt)    \
	ROW(nats)    \
	ROW(pcapng)  \
	ROW(pipe)    \
	ROW(relay)   \
	ROW(udp)     \
	ROW(unix)

#define DECLARE(name) extern const struct handler_kind name##_kind;
#define TABULATE(name) &name##_kind.config,

KINDS(DECLARE)

const struct config_kind *const *handler_config_kinds(void)
{
	static const struct config_kind *const kinds[] = {KINDS(TABULATE) NULL};

	return kinds;
}
