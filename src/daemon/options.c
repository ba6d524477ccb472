#include "daemon/options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/text.h"
#include "base/units.h"
#include "config/where.h"
#include "formats/printer.h"

#define EXIT_USAGE 2

static void print_help(void)
{
	AUTO_TEXT struct text keys = {0};

	where_append_keys(&keys);
	printf("Usage: mcastd [-c FILE] [OPTION...] [TARGET...]\n"
	       "       mcastd [-c FILE] --check\n"
	       "Join UDP multicast groups, deliver every datagram, and let local programs send.\n"
	       "\n"
	       "A TARGET is ADDRESS:PORT[%%INTERFACE][,source=ADDRESS]..., with an IPv6 address "
	       "in\n"
	       "brackets. It is joined and printed, and needs no file.\n"
	       "\n"
	       "  -c, --config FILE   the configuration (default: $MCASTD_CONFIG, else\n"
	       "                      %s)\n"
	       "      --check         check the configuration, and print all errors or a summary\n"
	       "      --version       print the version\n"
	       "  -h, --help          print this\n"
	       "\n"
	       "For targets:\n"
	       "      --format FORMAT line (the default), json, hex, raw: the payloads alone, or\n"
	       "                      pcapng\n"
	       "      --local-time    timestamps in the local time zone, in line and hex\n"
	       "      --where KEY=VALUE\n"
	       "                      only datagrams that pass this filter, like\n"
	       "                      sources=10.0.0.0/8; may be repeated\n"
	       "      --count N       stop after N datagrams\n"
	       "      --timeout TIME  stop after TIME, like 5s\n"
	       "\n"
	       "Keys, as in the filter of mcastd.conf(5): %s.\n"
	       "\n"
	       "Exit status: 0 stopped, or the count was reached; 1 failed, or the timeout was "
	       "over\n"
	       "before the count (without a count: before the first datagram); 2 usage; 78 the\n"
	       "configuration has errors.\n",
		MCASTD_CONFIG, text_string(&keys));
}

static int finish(int status, int *ret_status)
{
	*ret_status = status;
	return -1;
}

static int refuse(int *ret_status, const char *format, ...) PRINTF_LIKE(2, 3);

static int refuse(int *ret_status, const char *format, ...)
{
	va_list arguments;

	fputs("mcastd: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputs("\nTry mcastd --help.\n", stderr);
	return finish(EXIT_USAGE, ret_status);
}

enum { CHECK = 256, VERSION, FORMAT, LOCAL_TIME, WHERE, COUNT, TIMEOUT };

static const struct option long_options[] = {{"config", required_argument, NULL, 'c'},
	{"check", no_argument, NULL, CHECK}, {"version", no_argument, NULL, VERSION},
	{"format", required_argument, NULL, FORMAT}, {"local-time", no_argument, NULL, LOCAL_TIME},
	{"where", required_argument, NULL, WHERE}, {"count", required_argument, NULL, COUNT},
	{"timeout", required_argument, NULL, TIMEOUT}, {"help", no_argument, NULL, 'h'}, {0}};

/* One option with its value in optarg. Returns as options_parse(). */
static int take_option(struct options *options, int option, int *ret_status)
{
	switch (option) {
	case 'c':
		options->configuration = optarg;
		return 0;
	case CHECK:
		options->check = true;
		return 0;
	case FORMAT:
		options->format = optarg;
		return 0;
	case LOCAL_TIME:
		options->local_time = true;
		return 0;
	case WHERE:
		if (options->where_count == WHERE_MAX)
			return refuse(ret_status, "--where is given more than %d times", WHERE_MAX);
		options->where[options->where_count++] = optarg;
		return 0;
	case COUNT:
		if (parse_number(optarg, INT64_MAX, &options->count) >= 0 && options->count)
			return 0;
		return refuse(ret_status, "--count: '%s' is not a number of 1 and above", optarg);
	case TIMEOUT:
		if (parse_duration(optarg, &options->timeout_ns) >= 0 && options->timeout_ns)
			return 0;
		return refuse(ret_status, "--timeout: '%s' is not a duration like 250ms, 5s or 10m",
			optarg);
	case VERSION:
		puts("mcastd " MCASTD_VERSION);
		return finish(0, ret_status);
	case 'h':
		print_help();
		return finish(0, ret_status);
	default:
		fputs("Try mcastd --help.\n", stderr);
		return finish(EXIT_USAGE, ret_status);
	}
}

/* How targets are printed, and which of their datagrams. Returns as options_parse(). */
static int check_printing(const struct options *options, int *ret_status)
{
	struct printer printer = {.local_time = options->local_time};
	struct config_filter filter;
	char why[WHY_MAX];
	int r;

	if (options->format && printer_set_format(&printer, options->format) < 0)
		return refuse(
			ret_status, "--format: '%s' is none of " PRINTER_FORMATS, options->format);
	if (printer_check(&printer, isatty(STDOUT_FILENO), why) < 0)
		return refuse(ret_status, "%s", why);
	r = where_read(options->where, options->where_count, &filter, why);
	schema_clear(&filter_schema, &filter);
	return r < 0 ? refuse(ret_status, "--where: %s", why) : 0;
}

static const char *default_configuration(void)
{
	const char *path = getenv("MCASTD_CONFIG");

	return path && *path ? path : MCASTD_CONFIG;
}

int options_parse(int argc, char **argv, struct options *ret, int *ret_status)
{
	struct options options = {.done_fd = -1};
	bool of_targets = false;
	int option, r;

	while ((option = getopt_long(argc, argv, "c:h", long_options, NULL)) != -1) {
		r = take_option(&options, option, ret_status);
		if (r < 0)
			return r;
		if (option >= FORMAT)
			of_targets = true;
	}
	options.targets = argv + optind;
	options.target_count = argc - optind;
	if (of_targets && !options.target_count)
		return refuse(ret_status,
			"--format, --local-time, --where, --count and --timeout are for targets on "
			"the command line, and there is none");
	r = check_printing(&options, ret_status);
	if (r < 0)
		return r;
	if (options.count && (options.done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0) {
		perror("mcastd: eventfd");
		return finish(EXIT_FAILURE, ret_status);
	}
	if (!options.configuration && !options.target_count)
		options.configuration = default_configuration();
	*ret = options;
	return 0;
}
