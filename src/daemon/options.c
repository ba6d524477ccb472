#include "daemon/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handlers/handler.h"

#define EXIT_USAGE 2

/* The handler of ad hoc mode. The configuration cannot have this name. */
#define PRINT_HANDLER "(print)"

static void print_help(void)
{
	printf("Usage: mcastd [-c FILE] [GROUP:PORT[%%INTERFACE][,source=ADDRESS]...]...\n"
	       "       mcastd [-c FILE] --check\n"
	       "Join UDP multicast groups, deliver every datagram, and let local programs send.\n"
	       "\n"
	       "Groups on the command line are joined and printed, and need no file.\n"
	       "\n"
	       "  -c, --config FILE   the configuration (default: %s)\n"
	       "      --check         check the configuration, and print all errors or a summary\n"
	       "      --version       print the version\n"
	       "  -h, --help          print this\n"
	       "\n"
	       "Exit status: 0 stopped, 1 failed, 2 usage, 78 the configuration has errors.\n",
		MCASTD_CONFIG);
}

static int finish(int status, int *ret_status)
{
	*ret_status = status;
	return -1;
}

int options_parse(int argc, char **argv, struct options *ret, int *ret_status)
{
	enum { CHECK = 256, VERSION };
	static const struct option long_options[] = {{"config", required_argument, NULL, 'c'},
		{"check", no_argument, NULL, CHECK}, {"version", no_argument, NULL, VERSION},
		{"help", no_argument, NULL, 'h'}, {0}};
	struct options options = {0};
	int option;

	while ((option = getopt_long(argc, argv, "c:h", long_options, NULL)) != -1) {
		switch (option) {
		case 'c':
			options.configuration = optarg;
			break;
		case CHECK:
			options.check = true;
			break;
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
	options.groups = argv + optind;
	options.group_count = argc - optind;
	if (!options.configuration && !options.group_count)
		options.configuration = MCASTD_CONFIG;
	*ret = options;
	return 0;
}

/* Ends text at the first separator, and returns what follows it; NULL if there is none. */
static char *cut(char *text, char separator)
{
	char *at = strchr(text, separator);

	if (at)
		*at++ = '\0';
	return at;
}

/* Splits "[ff15::1]:5004" or "233.252.0.1:5004": leaves the address in text, and returns the port.
 */
static char *cut_port(char **text)
{
	char *end;

	if (**text != '[')
		return cut(*text, ':');
	end = strchr(*text, ']');
	if (!end || end[1] != ':')
		return NULL;
	*end = '\0';
	++*text;
	return end + 2;
}

static int set(
	struct config_group *group, const char *key, const char *value, struct errors *errors)
{
	char why[WHY_MAX];
	int r = schema_set(&group_schema, group, key, value, why);

	if (r < 0)
		errors_add(errors, "%s: %s: %s", group->name, key, why);
	return r;
}

/* Reads what follows the group: any number of ",source=ADDRESS". */
static int read_settings(struct config_group *group, char *settings, struct errors *errors)
{
	int r = 0;

	while (settings && r >= 0) {
		char *next = cut(settings, ','), *value = cut(settings, '=');

		if (value && !strcmp(settings, "source")) {
			r = set(group, "sources", value, errors);
		} else {
			errors_add(errors,
				"%s: unknown setting \"%s\", only source=ADDRESS may follow the "
				"group",
				group->name, settings);
			r = -EINVAL;
		}
		settings = next;
	}
	return r;
}

/* A group of the command line is named by its argument, without the settings. */
static int read_group(const char *argument, struct config_group *group, struct errors *errors)
{
	AUTO_FREE char *copy = strdup(argument), *name = NULL;
	char *settings, *interface, *port, *address = copy;
	int r;

	if (!copy)
		return -ENOMEM;
	settings = cut(copy, ',');
	name = strdup(copy);
	interface = cut(copy, '%');
	port = cut_port(&address);
	if (!name || config_group_init(group, name) < 0)
		return -ENOMEM;
	if (!port) {
		errors_add(errors, "%s: write ADDRESS:PORT, as 233.252.0.1:5004 or [ff15::1]:5004",
			argument);
		return -EINVAL;
	}
	r = set(group, "address", address, errors);
	r = r < 0 ? r : set(group, "port", port, errors);
	r = r < 0 || !interface ? r : set(group, "interfaces", interface, errors);
	r = r < 0 ? r : read_settings(group, settings, errors);
	return r < 0 ? r : set(group, "handlers", PRINT_HANDLER, errors);
}

static const struct config_kind *find_kind(const char *name)
{
	const struct config_kind *const *kind = handler_config_kinds();

	while (strcmp((*kind)->name, name))
		kind++;
	return *kind;
}

/* The log handler, but to standard output. */
static int add_print_handler(struct config *config)
{
	struct config_handler *handler = config_add_handler(
		config, PRINT_HANDLER, find_kind("log"));
	char why[WHY_MAX];

	if (!handler)
		return -ENOMEM;
	return schema_set(&handler->kind->schema, handler->settings, "stream", "stdout", why);
}

int options_add_groups(const struct options *options, struct config *config, struct errors *errors)
{
	int r = options->group_count ? add_print_handler(config) : 0, failed = 0;

	if (r < 0)
		return r;
	for (int i = 0; i < options->group_count; i++) {
		CLEANUP(config_group_clear) struct config_group group = {0};

		r = read_group(options->groups[i], &group, errors);
		if (r >= 0 && config_check_group(config, &group, errors))
			r = -EINVAL;
		if (r >= 0)
			r = config_add_group(config, &group);
		if (r < 0)
			failed = r;
	}
	return failed;
}
