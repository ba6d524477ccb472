#include "daemon/check.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "daemon/daemon.h"
#include "daemon/elapsed.h"
#include "daemon/identity.h"
#include "daemon/ignored.h"
#include "daemon/keep_source.h"
#include "daemon/shortfalls.h"
#include "net/listener.h"
#include "service/sandbox.h"

/* In the environment of the process that systemd starts for a check: the unit that it stands for,
 * and the process of that unit which runs, or 0. */
#define CHECKED_UNIT "MCASTD_CHECKED_UNIT"
#define RUNNING "MCASTD_RUNNING"
/* And the configuration that the unit's command names, "" for none. */
#define NAMED "MCASTD_CHECKED_NAMED"
/* And where systemd listens for it, "" for nowhere. */
#define LISTENING "MCASTD_CHECKED_SOCKET"

/* Whom systemd/mcastd.sysusers makes. */
#define SYSTEM_USER "mcastd"

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-"

void check_print(const struct errors *lines, const char *called)
{
	for (size_t i = 0; i < lines->count; i++)
		fprintf(stderr, "%s\n", lines->lines[i]);
	if (lines->omitted)
		fprintf(stderr, "and %zu more %s%s\n", lines->omitted, called,
			plural(lines->omitted));
}

/* ---- In the sandbox of a unit ---- */

/* The absolute path: through a link only where that leads into the directory. The name itself may
 * be a link to a file elsewhere, as in a checkout. */
static void make_absolute(const char *path, size_t directory, char ret[PATH_MAX])
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	AUTO_FREE char *parent = slash ? strndup(path, (size_t)(name - path)) : strdup(".");
	size_t length;

	if (realpath(path, ret) && !strncmp(ret, MCASTD_CONFIG, directory))
		return;
	if (parent && realpath(parent, ret)) {
		length = strlen(ret);
		snprintf(ret + length, PATH_MAX - length, "/%s", name);
		if (!strncmp(ret, MCASTD_CONFIG, directory))
			return;
	}
	snprintf(ret, PATH_MAX, "%s", path);
}

/* The unit whose configuration this is, as the units of systemd/ have it, and the path that the
 * unit gives it. False: none. */
static bool find_unit(const char *path, char unit[static UNIT_NAME_MAX + 1], char ret[PATH_MAX])
{
	static const char suffix[] = ".conf";
	size_t directory = (size_t)(strrchr(MCASTD_CONFIG, '/') + 1 - MCASTD_CONFIG), length;
	const char *name;

	make_absolute(path, directory, ret);
	name = ret + directory;
	if (!strcmp(ret, MCASTD_CONFIG)) {
		strcpy(unit, "mcastd.service");
		return true;
	}
	length = strlen(ret);
	if (strncmp(ret, MCASTD_CONFIG, directory) || length < directory + sizeof(suffix) ||
		strcmp(ret + length + 1 - sizeof(suffix), suffix) ||
		name[strspn(name, NAME_CHARACTERS)])
		return false;
	length -= directory + sizeof(suffix) - 1;
	return snprintf(unit, UNIT_NAME_MAX + 1, "mcastd@%.*s.service", (int)length, name) <=
	       UNIT_NAME_MAX;
}

static int refuse(const char *unit, const char *why)
{
	fprintf(stderr, "%s: %s\n", unit, why);
	return EXIT_CONFIGURATION;
}

/* A start for another user would take its directories from the daemon that runs. */
static bool runs_as_another(const struct unit *unit)
{
	const struct passwd *user = *unit->user ? getpwnam(unit->user) : NULL;
	struct stat status;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", (int)unit->main_pid);
	return unit->is_active && unit->main_pid && user && stat(path, &status) == 0 &&
	       status.st_uid != user->pw_uid;
}

/* The path in "/run/mcastd.sock (Stream)". */
static void first_path(const char *listen, char ret[PATH_MAX])
{
	snprintf(ret, PATH_MAX, "%.*s", (int)strcspn(listen, " "), listen);
}

/* Anything else at the path of a socket is replaced by systemd. */
static bool is_directory(const char *listen)
{
	char path[PATH_MAX];
	struct stat status;

	first_path(listen, path);
	return lstat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* What keeps systemd from starting the unit before a sandbox does, or NULL. */
static const char *find_obstacle(const struct unit *unit, const struct unit *socket)
{
	if (!strcmp(unit->load_state, "masked") || !strcmp(socket->load_state, "masked"))
		return "it is masked, or its socket unit is: systemctl unmask";
	if (strcmp(unit->load_state, "loaded"))
		return "systemd cannot read it: systemd-analyze verify tells why";
	if (strcmp(socket->load_state, "loaded"))
		return "systemd cannot read its socket unit: systemd-analyze verify tells why";
	if (is_directory(socket->listen))
		return "a directory is where its control socket is to be: remove it";
	if (runs_as_another(unit))
		return "it runs as another user than User= says now: stop it, and check again";
	return NULL;
}

/* Appends what to do about a reason of systemd's. */
static void append_fix(const struct unit *unit, const char *why, struct text *text)
{
	size_t before = text->length;

	if (strstr(why, "set up credentials"))
		unit_append_missing(unit, text);
	if (text->length > before)
		return;
	if (strstr(why, "user credentials") && !strcmp(unit->user, SYSTEM_USER))
		text_append_string(text, "; systemd-sysusers makes the user");
	else if (strstr(why, "user credentials"))
		text_printf(text,
			"; this system has no user %s: useradd --system %s, or name "
			"another with User=",
			unit->user, unit->user);
	else if (strstr(why, "group credentials") || strstr(why, "supplementary groups"))
		text_append_string(text, "; groupadd --system makes a group that Group= or "
					 "SupplementaryGroups= names");
	else if (strstr(why, "namespacing"))
		text_append_string(text, "; make the path that a drop-in names");
	else if (strstr(why, "spawning"))
		text_append_string(text, "; is mcastd installed where the unit expects it?");
	else
		text_append_string(text, "; systemctl cat shows its settings");
}

/* The configuration that the command of a unit names, or "". */
static void find_named(const struct unit *unit, char ret[PATH_MAX])
{
	static const char *const options[] = {"-c", "--config=", "--config"};
	AUTO_FREE char *words = strdup(unit->command);
	char *left = NULL, *word = words ? strtok_r(words, " ", &left) : NULL;

	*ret = '\0';
	for (; word; word = strtok_r(NULL, " ", &left))
		for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
			size_t length = strlen(options[i]);
			const char *value = word + length;

			if (strncmp(word, options[i], length))
				continue;
			if (!*value && !(value = strtok_r(NULL, " ", &left)))
				return;
			if (*value == '/') /* else it is an option of some other program */
				snprintf(ret, PATH_MAX, "%s", value);
			break;
		}
}

static void append_variables(
	const struct unit *unit, const struct unit *socket, struct text *variables)
{
	char named[PATH_MAX], number[16], listening[PATH_MAX];

	find_named(unit, named);
	snprintf(number, sizeof(number), "%d", (int)unit->main_pid);
	unit_append_variable(variables, CHECKED_UNIT, unit->name);
	unit_append_variable(variables, RUNNING, number);
	unit_append_variable(variables, NAMED, named);
	first_path(socket->listen, listening);
	unit_append_variable(variables, LISTENING, listening);
}

static int check_in(const struct unit *unit, const struct unit *socket, const char *path)
{
	AUTO_TEXT struct text output = {0}, errors = {0}, variables = {0}, fix = {0};
	char arguments[PATH_MAX + 32], why[WHY_MAX];
	struct elapsed elapsed;
	int status, r;

	snprintf(arguments, sizeof(arguments), "--check -c %s", path);
	append_variables(unit, socket, &variables);
	if (text_failed(&variables))
		return refuse(unit->name, "out of memory");
	elapsed_begin(&elapsed, "checking the configuration");
	r = sandbox_run(unit, arguments, text_string(&variables), &output, &errors, &status, why);
	elapsed_end(&elapsed);
	fputs(text_string(&output), stdout);
	fputs(text_string(&errors), stderr);
	if (r >= 0)
		return status;
	append_fix(unit, why, &fix);
	fprintf(stderr, "%s: systemd cannot start it: %s%s\n", unit->name, why, text_string(&fix));
	return EXIT_CONFIGURATION;
}

/* Has the check done where the unit would run. Returns whether there is a unit. */
static bool check_in_unit(const char *path, int *ret_status)
{
	AUTO_UNIT struct unit unit = {0}, socket = {0};
	char name[UNIT_NAME_MAX + 1], own_path[PATH_MAX];
	const char *obstacle;

	if (!find_unit(path, name, own_path) || unit_read(name, &unit) < 0)
		return false;
	strcpy(name + strlen(name) - strlen("service"), "socket");
	if (unit_read(name, &socket) < 0)
		return false;
	if (unit.needs_reload || socket.needs_reload)
		fprintf(stderr, "%s: warning: its files have changed: systemctl daemon-reload\n",
			unit.name);
	obstacle = find_obstacle(&unit, &socket);
	*ret_status = obstacle ? refuse(unit.name, obstacle) : check_in(&unit, &socket, own_path);
	return true;
}

/* ---- Here ---- */

/* Whether the configuration is a unit's, and this user can only read it: not root, and not started
 * by systemd as a part of the unit (ExecStartPre=). */
static bool is_only_read(const char *path)
{
	char name[UNIT_NAME_MAX + 1], own_path[PATH_MAX];

	return path && geteuid() && !systemd_started_this() && systemd_runs() &&
	       find_unit(path, name, own_path);
}

/* Who has checked, and where. */
static void describe_eyes(bool is_only_read, char eyes[static WHY_MAX])
{
	const char *unit = getenv(CHECKED_UNIT);
	const struct passwd *user = getpwuid(geteuid());
	char number[16];

	snprintf(number, sizeof(number), "%u", (unsigned)geteuid());
	because(eyes, 0, "%s user %s%s%s%s", is_only_read ? "only read, by" : "checked as",
		user ? user->pw_name : number, unit ? " in the sandbox of " : "", unit ? unit : "",
		is_only_read ? ": root can check it as its unit runs" : "");
}

static bool is_same_file(const char *a, const char *b)
{
	struct stat first, second;

	return !strcmp(a, b) ||
	       (stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev &&
		       first.st_ino == second.st_ino);
}

/* A drop-in may have the unit read another configuration. */
static void compare_with_unit(const char *path, struct config *config)
{
	const char *unit = getenv(CHECKED_UNIT), *named = getenv(NAMED);
	const char *set = getenv("MCASTD_CONFIG");
	const char *reads = named && *named ? named : set && *set ? set : MCASTD_CONFIG;

	if (unit && !is_same_file(reads, path))
		errors_add(&config->warnings,
			"warning: %s reads %s, and nothing of this file: see ExecStart= and "
			"Environment= in systemctl cat %s",
			unit, reads, unit);
}

static void summarize(const struct options *options, const struct config *config, const char *eyes)
{
	size_t warnings = errors_total(&config->warnings);

	printf("%s: no errors: %zu group%s, %zu handler%s",
		options->configuration ? options->configuration : "command line",
		config->group_count, plural(config->group_count), config->handler_count,
		plural(config->handler_count));
	if (warnings)
		printf(", %zu warning%s", warnings, plural(warnings));
	printf(" (%s)\n", eyes);
	check_print(&config->warnings, "warning");
}

/* Whether a start by hand could make the control socket. One that a daemon listens on is that of
 * the daemon that runs. */
static int check_control(const char *path, char why[static WHY_MAX])
{
	int r = identity_raise_for(path, why);

	if (r < 0)
		return r;
	r = socket_file_check_new(path, why);
	if (r == -EADDRINUSE)
		r = 0;
	identity_lower();
	return r;
}

/* A check makes run_directory as a start does, so that what is made in it can be checked, and
 * leaves none behind. */
static void remove_run_directory(const char *path)
{
	char why[WHY_MAX];

	if (identity_raise_for(path, why) >= 0)
		rmdir(path);
	identity_lower();
}

/* Whether systemd listens at the control socket, for one of the units of systemd/, and the process
 * of its service, or 0. To connect would start that. */
static bool find_service(const char *path, pid_t *ret_running)
{
	static const char start[] = "/run/mcastd", end[] = ".sock";
	AUTO_UNIT struct unit unit = {0}, socket = {0};
	size_t length = strlen(path), tail = strlen(start);
	char name[UNIT_NAME_MAX + 1];

	if (length < tail + strlen(end) || strncmp(path, start, tail) ||
		strcmp(path + length - strlen(end), end) || length > UNIT_NAME_MAX)
		return false;
	path += tail;
	length -= tail + strlen(end);
	if (length && *path != '-')
		return false;
	if (geteuid() != 0)
		return systemd_runs(); /* only root's own daemon could be there */
	snprintf(name, sizeof(name), "mcastd%s%.*s.socket", length ? "@" : "",
		length ? (int)length - 1 : 0, path + 1);
	if (unit_read(name, &socket) < 0 || !socket.is_active)
		return false;
	strcpy(strrchr(name, '.'), ".service");
	*ret_running = unit_read(name, &unit) < 0 ? 0 : unit.main_pid;
	return true;
}

/* The daemon that runs with this configuration, or 0. */
static pid_t running_daemon(const struct config *config)
{
	const char *running = getenv(RUNNING);
	pid_t pid = 0;

	if (running)
		return (pid_t)atoi(running);
	return find_service(config->control_socket, &pid)
		       ? pid
		       : socket_file_owner(config->control_socket, SOCK_STREAM);
}

/* As a reload will, when root has become the user of the configuration. */
static int load_as_user(const struct options *options, struct errors *errors)
{
	CLEANUP(config_freep) struct config *config = NULL;

	return daemon_load(options, errors, &config);
}

/* Becomes the user, and tries all that is done then, with the privileges of root at hand as in
 * daemon_start(). Takes spoof over. */
static int try_as_user(const struct options *options, struct config *config, struct spoof *spoof,
	struct errors *errors)
{
	bool by_hand = options->configuration && !getenv(CHECKED_UNIT);
	pid_t running = options->configuration ? running_daemon(config) : 0;
	uid_t before = geteuid();
	char why[WHY_MAX];
	int r = identity_enter(config, errors);

	if (r >= 0 && by_hand && (r = check_control(config->control_socket, why)) < 0)
		config_add_error(errors, &config->control_place, "control socket: %s", why);
	if (r >= 0 && geteuid() != before)
		r = load_as_user(options, errors);
	if (r < 0) {
		spoof_free(spoof);
		return r;
	}
	shortfalls_find_doubts(config);
	ignored_find(config, getenv(LISTENING));
	return daemon_try(options, config, spoof, running, errors);
}

/* In the order of daemon_start(). */
static int try_start(const struct options *options, struct config *config, struct errors *errors)
{
	bool had_run_directory = access(config->run_directory, F_OK) == 0;
	struct spoof *spoof = NULL;
	char why[WHY_MAX];
	int r, dropped;

	log_errors_only(); /* the start will log the rest */
	shortfalls_find(config);
	r = keep_source_open(config, why, &spoof);
	if (!spoof)
		keep_source_warn(config);
	if (r < 0)
		errors_add(errors, "%s", why);
	r = r < 0 ? r : try_as_user(options, config, spoof, errors);
	if (config->user && !had_run_directory)
		remove_run_directory(config->run_directory);
	dropped = identity_drop();
	if (dropped < 0)
		errors_add(errors, "dropping the privileges of root: %s", strerror(-dropped));
	return r < 0 ? r : dropped;
}

static int check_here(const struct options *options)
{
	CLEANUP(config_freep) struct config *config = NULL;
	AUTO_ERRORS struct errors errors = {0};
	bool only_read = is_only_read(options->configuration);
	char eyes[WHY_MAX];
	struct elapsed elapsed;
	int r;

	elapsed_begin(&elapsed, "checking the configuration");
	r = daemon_load(options, &errors, &config);
	if (r >= 0 && !only_read)
		r = try_start(options, config, &errors);
	elapsed_end(&elapsed);
	if (r >= 0 && options->configuration)
		compare_with_unit(options->configuration, config);
	describe_eyes(only_read, eyes);
	if (r >= 0) {
		summarize(options, config, eyes);
		return EXIT_SUCCESS;
	}
	check_print(&errors, "error");
	if (config || getenv(CHECKED_UNIT))
		fprintf(stderr, "(%s)\n", eyes);
	return EXIT_CONFIGURATION;
}

int check_configuration(const struct options *options)
{
	int status;

	/* These belong to the process that whoever starts us runs. */
	unsetenv("NOTIFY_SOCKET");
	unsetenv("LISTEN_PID");
	if (geteuid() == 0 && options->configuration && !options->target_count &&
		!getenv(CHECKED_UNIT) && check_in_unit(options->configuration, &status))
		return status;
	return check_here(options);
}
