/* mcastd: the UDP multicast daemon. */
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "daemon/check.h"
#include "daemon/daemon.h"
#include "daemon/signals.h"

int main(int argc, char **argv)
{
	AUTO_ERRORS struct errors errors = {0};
	struct options options;
	struct config *config;
	struct daemon *daemon;
	int status, r;

	if (occupy_standard_streams() < 0)
		return EXIT_FAILURE;
	if (options_parse(argc, argv, &options, &status) < 0)
		return status;
	signals_hold(true);
	log_open();
	if (options.check)
		return check_configuration(&options);
	r = daemon_load(&options, &errors, &config);
	if (r < 0 && !errors_total(&errors))
		errors_add(&errors, "cannot load the configuration: %s", strerror(-r));
	if (r < 0) {
		check_print(&errors, "error");
		return EXIT_CONFIGURATION;
	}
	if (daemon_start(&options, config, &status, &daemon) < 0)
		return status;
	daemon_run(daemon);
	return daemon_stop(daemon);
}
