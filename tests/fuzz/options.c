/* Command lines of mcastd: they are taken, or refused. What its targets make is a configuration
 * that is right, or wrong with reasons that can be shown. */
#include <getopt.h>

#include "daemon/daemon.h"
#include "fuzz.h"

static void try_options(int count, char *words[])
{
	AUTO_ERRORS struct errors errors = {0};
	struct config *config = NULL;
	struct options options;
	int status = -1;

	optind = 0; /* getopt(3): begins again */
	if (options_parse(count, words, &options, &status) < 0) {
		CHECK(status == 0 || status == 2);
		return;
	}
	if (!options.configuration && daemon_load(&options, &errors, &config) < 0)
		CHECK(errors_total(&errors));
	for (size_t i = 0; i < errors.count; i++)
		CHECK(!has_controls(errors.lines[i], strlen(errors.lines[i])));
	config_free(config);
	closep(&options.done_fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = calloc(1, size + 1);
	char *words[WORDS_MAX + 1];

	CHECK(text);
	if (size)
		memcpy(text, data, size);
	try_options(split_words(text, size, words), words);
	return 0;
}
