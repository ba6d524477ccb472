/* mcastd: the UDP multicast daemon. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "daemon/daemon.h"
#include "daemon/keep_source.h"

static int report(const struct errors *errors, const char *called, int status)
{
	for (size_t i = 0; i < errors->count; i++)
		fprintf(stderr, "%s\n", errors->lines[i]);
	if (errors->omitted)
		fprintf(stderr, "and %zu more %s%s\n", errors->omitted, called,
			plural(errors->omitted));
	return status;
}

static int summarize(const struct options *options, const struct config *config)
{
	size_t warnings = errors_total(&config->warnings);

	printf("%s: no errors: %zu group%s, %zu handler%s",
		options->configuration ? options->configuration : "command line",
		config->group_count, plural(config->group_count), config->handler_count,
		plural(config->handler_count));
	if (warnings)
		printf(", %zu warning%s", warnings, plural(warnings));
	putchar('\n');
	return report(&config->warnings, "warning", EXIT_SUCCESS);
}

int main(int argc, char **argv)
{
	AUTO_ERRORS struct errors errors = {0};
	struct options options;
	struct config *config;
	struct daemon *daemon;
	int status, r;

	if (options_parse(argc, argv, &options, &status) < 0)
		return status;
	daemon_hold_signals(true);
	log_open();
	r = daemon_load(&options, &errors, &config);
	if (r < 0 && !errors_total(&errors))
		errors_add(&errors, "cannot load the configuration: %s", strerror(-r));
	if (r < 0)
		return report(&errors, "error", EXIT_CONFIGURATION);
	if (options.check) {
		keep_source_warn(config, options.configuration);
		status = summarize(&options, config);
		config_free(config);
		return status;
	}
	if (daemon_start(&options, config, &status, &daemon) < 0)
		return status;
	daemon_run(daemon);
	return daemon_stop(daemon);
}
