/* mcastd: the UDP multicast daemon. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "daemon/daemon.h"

#define EXIT_CONFIGURATION 78 /* EX_CONFIG of sysexits.h */

static int report(const struct errors *errors)
{
	for (size_t i = 0; i < errors->count; i++)
		fprintf(stderr, "%s\n", errors->lines[i]);
	if (errors->omitted)
		fprintf(stderr, "and %zu more errors\n", errors->omitted);
	return EXIT_CONFIGURATION;
}

static int summarize(const struct options *options, const struct config *config)
{
	printf("%s: no errors: %zu groups, %zu handlers\n",
		options->configuration ? options->configuration : "command line",
		config->group_count, config->handler_count);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	AUTO_ERRORS struct errors errors = {0};
	struct options options;
	struct config *config;
	struct daemon *daemon;
	int status;

	if (options_parse(argc, argv, &options, &status) < 0)
		return status;
	daemon_hold_signals(true);
	log_open();
	if (daemon_load(&options, &errors, &config) < 0)
		return report(&errors);
	if (options.check) {
		status = summarize(&options, config);
		config_free(config);
		return status;
	}
	if (daemon_start(&options, config, &status, &daemon) < 0)
		return status;
	daemon_run(daemon);
	return daemon_stop(daemon);
}
