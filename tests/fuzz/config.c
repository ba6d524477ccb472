/* A configuration is accepted, or refused with reasons that can be shown. Its
 * warnings and what changes with it can be shown, too, and it is the same when it is read again. */
#include <stdio.h>

#include "config/diff.h"
#include "fuzz.h"
#include "handlers/handlers.h"

static void check_lines(const struct errors *lines)
{
	for (size_t i = 0; i < lines->count; i++)
		CHECK(!has_controls(lines->lines[i], strlen(lines->lines[i])));
}

/* again is the same file, read once more. */
static void check_changes(const struct config *config, const struct config *again)
{
	AUTO_CHANGES struct config_changes none = {0}, all = {0};

	config_compare(config, again, &none);
	CHECK(errors_total(&none.lines) == 0);
	config_compare(NULL, config, &all);
	check_lines(&all.lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_ERRORS struct errors errors = {0};
	struct config *config = NULL, *again;
	char path[32];
	int r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fuzz_file(data, size));
	r = config_load(path, handler_config_kinds(), &errors, &config);
	CHECK(r == 0 ? config != NULL : errors.count > 0);
	check_lines(&errors);
	if (r < 0)
		return 0;
	config_find_warnings(config);
	check_lines(&config->warnings);
	CHECK(config_load(path, handler_config_kinds(), &errors, &again) == 0);
	check_changes(config, again);
	config_free(again);
	config_free(config);
	return 0;
}
