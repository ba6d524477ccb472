/* The one table of kinds of handlers. A new kind is one file beside this one that ends in its
 * NAME_kind, and one row here. */
#include "handlers/handler.h"

#define KINDS(ROW)   \
	ROW(exec)    \
	ROW(file)    \
	ROW(journal) \
	ROW(log)     \
	ROW(pcapng)  \
	ROW(pipe)    \
	ROW(udp)     \
	ROW(unix)

#undef unix /* gcc defines it to be 1 */

#define DECLARE(name) extern const struct handler_kind name##_kind;
KINDS(DECLARE)

const struct config_kind *const *handler_config_kinds(void)
{
#define CONFIG(name) &name##_kind.config,
	static const struct config_kind *const kinds[] = {KINDS(CONFIG) NULL};

	return kinds;
}
