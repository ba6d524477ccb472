/* A configuration is accepted, or refused with reasons that can be shown. */
#include <stdio.h>

#include "config/config.h"
#include "fuzz.h"
#include "handlers/handlers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_ERRORS struct errors errors = {0};
	struct config *config = NULL;
	char path[32];
	int r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fuzz_file(data, size));
	r = config_load(path, handler_config_kinds(), &errors, &config);
	CHECK(r == 0 ? config != NULL : errors.count > 0);
	for (size_t i = 0; i < errors.count; i++)
		CHECK(!has_controls(errors.lines[i], strlen(errors.lines[i])));
	if (r == 0)
		config_free(config);
	return 0;
}
