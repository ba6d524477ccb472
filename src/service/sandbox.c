#include "service/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "base/io.h"

#define UNITS "/run/systemd/system" /* systemd makes it */

/* How long a program of systemd's may take: longer than TimeoutStopSec= of the unit. For a start
 * there is TimeoutStartSec=. */
#define RUN_MS 20000

/* How long the journal may take to have all that was logged. */
#define SYNC_MS 5000

/* What does not belong to a start for a moment: the program is another one, nothing is restarted,
 * and what the unit's own process uses stays as it is. */
#define OVERRIDES                                                                               \
	"\n[Unit]\nDescription=Check of %s\n"                                                   \
	"[Service]\nType=oneshot\nRemainAfterExit=no\nRestart=no\nTimeoutStartSec=60\n"         \
	"ExecCondition=\nExecStartPre=\nExecStart=\nExecStartPost=\nExecReload=\nExecStop=\n"   \
	"ExecStopPost=\nSockets=\nNotifyAccess=none\nWatchdogSec=0\nFileDescriptorStoreMax=0\n" \
	"RuntimeDirectoryPreserve=yes\nRemoveIPC=no\nStandardInput=null\n"                      \
	"ExecStart=\"%s\" %s\nEnvironment=%s\nStandardOutput=truncate:%s/out\n"                 \
	"StandardError=truncate:%s/err\n"

/* ---- Other programs ---- */

/* Holds what would end this process until it has removed what it made: these signals, where they
 * are not ignored. Returns a descriptor that is readable then, or -1. */
static int hold_signals(sigset_t *ret_before)
{
	static const int ending[] = {SIGINT, SIGTERM, SIGQUIT};
	sigset_t held;

	sigemptyset(&held);
	for (size_t i = 0; i < ARRAY_SIZE(ending); i++) {
		struct sigaction action;

		if (sigaction(ending[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			sigaddset(&held, ending[i]);
	}
	sigprocmask(SIG_BLOCK, &held, ret_before);
	return signalfd(-1, &held, SFD_CLOEXEC);
}

/* Kills the program when one of those signals, or the time, comes first. It writes nothing until it
 * has done its work. */
static void await(int output, int signals, int timeout_ms, pid_t pid)
{
	struct pollfd either[] = {
		{.fd = output, .events = POLLIN}, {.fd = signals, .events = POLLIN}};

	while (poll(either, ARRAY_SIZE(either), timeout_ms) < 0 && errno == EINTR)
		;
	if (!either[0].revents)
		kill(pid, SIGKILL);
}

/* Runs a program, whose output is appended to the text, until a descriptor of hold_signals() is
 * readable, or for timeout_ms; -1: neither. Returns its exit status or a negative errno. */
static int run_until(const char *const *arguments, int signals, int timeout_ms, struct text *output)
{
	posix_spawn_file_actions_t actions;
	int ends[2], status = 0, r;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	r = -posix_spawnp(&pid, *arguments, &actions, NULL, (char *const *)arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	if (r >= 0) {
		await(ends[0], signals, timeout_ms, pid);
		r = read_all(ends[0], SIZE_MAX, output);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	close(ends[0]);
	return r < 0 ? r : WIFEXITED(status) ? WEXITSTATUS(status) : -ECHILD;
}

static int run(const char *const *arguments, struct text *output)
{
	return run_until(arguments, -1, RUN_MS, output);
}

/* ---- Units ---- */

/* The value of a line "NAME=VALUE", which it ends with a NUL, or NULL. *at becomes the next line.
 */
static char *next_line(char **at, const char *name, bool *ret_is)
{
	char *line = *at, *end = strchrnul(line, '\n');
	size_t length = strlen(name);

	*at = *end ? end + 1 : end;
	*end = '\0';
	*ret_is = !strncmp(line, name, length) && line[length] == '=';
	return line;
}

/* A copy of a property in what "systemctl show" prints, "" where it is not there. NULL without
 * memory.
 */
static char *property(struct text *shown, const char *name)
{
	AUTO_FREE char *copy = strdup(text_string(shown));
	char *at = copy;

	while (at && *at) {
		bool is;
		char *line = next_line(&at, name, &is);

		if (is)
			return strdup(line + strlen(name) + 1);
	}
	return copy ? strdup("") : NULL;
}

static unsigned long number(struct text *shown, const char *name)
{
	AUTO_FREE char *value = property(shown, name);

	return value ? strtoul(value, NULL, 10) : 0;
}

/* A part of what is started: "{ path=/usr/sbin/mcastd ; argv[]=/usr/sbin/mcastd ; ..." */
static char *part_of_start(struct text *shown, const char *name)
{
	AUTO_FREE char *value = property(shown, "ExecStart");
	const char *part = value ? strstr(value, name) : NULL;
	const char *end = part ? strstr(part, " ;") : NULL;

	part += part ? strlen(name) : 0;
	return end ? strndup(part, (size_t)(end - part)) : strdup("");
}

bool systemd_runs(void)
{
	return access(UNITS, F_OK) == 0;
}

bool systemd_started_this(void)
{
	const char *started = getenv("SYSTEMD_EXEC_PID");

	return started && atoi(started) == getpid();
}

int unit_read(const char *name, struct unit *ret)
{
	static const char properties[] =
		"--property=LoadState,FragmentPath,DropInPaths,ExecStart,User,MainPID,"
		"NeedDaemonReload,Listen,ActiveState";
	const char *const arguments[] = {"systemctl", "show", properties, "--", name, NULL};
	AUTO_TEXT struct text shown = {0};
	AUTO_UNIT struct unit unit = {0};
	int r;

	if (!systemd_runs() || strlen(name) > UNIT_NAME_MAX)
		return -ENOENT;
	r = run(arguments, &shown);
	if (r)
		return r < 0 ? r : -ENOENT;
	strcpy(unit.name, name);
	unit.load_state = property(&shown, "LoadState");
	unit.fragment = property(&shown, "FragmentPath");
	unit.drop_ins = property(&shown, "DropInPaths");
	unit.program = part_of_start(&shown, "path=");
	unit.command = part_of_start(&shown, "argv[]=");
	unit.user = property(&shown, "User");
	unit.listen = property(&shown, "Listen");
	unit.main_pid = (pid_t)number(&shown, "MainPID");
	if (!unit.load_state || !unit.fragment || !unit.drop_ins || !unit.program ||
		!unit.command || !unit.user || !unit.listen)
		return -ENOMEM;
	unit.is_active = strstr(text_string(&shown), "ActiveState=active\n") ||
			 strstr(text_string(&shown), "ActiveState=reloading\n");
	unit.needs_reload = strstr(text_string(&shown), "NeedDaemonReload=yes");
	if (!strcmp(unit.load_state, "not-found"))
		return -ENOENT;
	*ret = unit;
	unit = (struct unit){0};
	return 0;
}

void unit_clear(struct unit *unit)
{
	free(unit->load_state);
	free(unit->fragment);
	free(unit->drop_ins);
	free(unit->program);
	free(unit->command);
	free(unit->user);
	free(unit->listen);
	*unit = (struct unit){0};
}

/* ---- The unit of the check ---- */

struct sandbox {
	char directory[32]; /* of its output */
	char name[UNIT_NAME_MAX + 32];
	char path[PATH_MAX]; /* of its file */
	int signals; /* see hold_signals() */
};

/* Appends the [Service] sections of a unit's file: the others tell when it is started. */
static int append_service(const char *path, struct text *text)
{
	CLEANUP(fclosep) FILE *file = fopen(path, "re");
	AUTO_FREE char *line = NULL;
	bool is_service = false;
	size_t size = 0;

	if (!file)
		return -errno;
	while (getline(&line, &size, file) >= 0) {
		const char *start = line + strspn(line, " \t");

		if (*start == '[')
			is_service = !strncmp(start, "[Service]", strlen("[Service]"));
		if (is_service)
			text_append_string(text, line);
	}
	text_append_string(text, "\n");
	return 0;
}

static int append_unit(const struct unit *unit, struct text *text, char why[static WHY_MAX])
{
	AUTO_FREE char *paths = NULL;
	char *path, *left = NULL;

	if (asprintf(&paths, "%s %s", unit->fragment, unit->drop_ins) < 0)
		return because(why, -ENOMEM, "out of memory");
	for (path = strtok_r(paths, " ", &left); path; path = strtok_r(NULL, " ", &left)) {
		int r;

		if (strstr(path, "/service.d/")) /* of every service: that of the check as well */
			continue;
		r = append_service(path, text);
		if (r < 0)
			return because(why, r, "reading %s: %s", path, strerror(-r));
	}
	return 0;
}

/* Without the file of an absolute path systemd starts nothing (systemd.exec(5)). */
static void append_if_missing(const char *setting, const char *unit, struct text *text)
{
	const char *colon = strchr(setting, ':'), *instance = strchr(unit, '@');
	AUTO_TEXT struct text path = {0};

	if (!colon || colon[1] != '/')
		return;
	for (const char *at = colon + 1; *at; at++) {
		if (*at != '%')
			text_append(&path, at, 1);
		else if (*++at == '%')
			text_append_string(&path, "%");
		else if (*at == 'i' && instance)
			text_append(&path, instance + 1, strcspn(instance + 1, "."));
		else
			return; /* who knows what it stands for */
	}
	if (access(text_string(&path), F_OK) < 0)
		text_printf(text, "; LoadCredential=%.*s names %s: %s", (int)(colon - setting),
			setting, text_string(&path), strerror(errno));
}

void unit_append_missing(const struct unit *unit, struct text *text)
{
	static const char *const names[] = {"LoadCredential", "LoadCredentialEncrypted"};
	AUTO_TEXT struct text settings = {0}, missing = {0};
	char why[WHY_MAX];

	if (append_unit(unit, &settings, why) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		AUTO_FREE char *copy = strdup(text_string(&settings));
		char *at = copy;

		text_clear(&missing);
		while (at && *at) {
			bool is;
			const char *value = next_line(&at, names[i], &is);

			value += is ? strlen(names[i]) + 1 : 0;
			if (is && !*value) /* undoes those before it */
				text_clear(&missing);
			else if (is)
				append_if_missing(value, unit->name, &missing);
		}
		text_append_string(text, text_string(&missing));
	}
}

void unit_append_variable(struct text *text, const char *name, const char *value)
{
	text_printf(text, "\"%s=", name);
	for (; *value; value++)
		if (*value == '"' || *value == '\\')
			text_printf(text, "\\%c", *value);
		else
			text_printf(text, *value == '%' ? "%%%%" : "%c", *value);
	text_append_string(text, "\" ");
}

static int write_unit(const struct sandbox *sandbox, const struct unit *unit, const char *arguments,
	const char *variables, char why[static WHY_MAX])
{
	AUTO_TEXT struct text text = {0};
	AUTO_CLOSE int fd = -1;
	int r = append_unit(unit, &text, why);

	if (r < 0)
		return r;
	text_printf(&text, OVERRIDES, unit->name, unit->program, arguments, variables,
		sandbox->directory, sandbox->directory);
	if (text_failed(&text))
		return because(why, -ENOMEM, "out of memory");
	/* A drop-in may have secrets. */
	fd = open(sandbox->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	r = fd < 0 ? -errno : write_all(fd, text.data, text.length);
	return r < 0 ? because(why, r, "writing %s: %s", sandbox->path, strerror(-r)) : 0;
}

/* The name keeps the instance of the unit, for %i. */
static int make_sandbox(struct sandbox *sandbox, const struct unit *unit, char why[static WHY_MAX])
{
	const char *tail = strchr(unit->name, '@');

	strcpy(sandbox->directory, "/run/mcastd-check.XXXXXX");
	if (!mkdtemp(sandbox->directory))
		return because(why, -errno, "making a directory in /run: %s", strerror(errno));
	snprintf(sandbox->name, sizeof(sandbox->name), "check-%s%s",
		strchr(sandbox->directory, '.') + 1, tail ? tail : ".service");
	snprintf(sandbox->path, sizeof(sandbox->path), UNITS "/%s", sandbox->name);
	return 0;
}

static void append_file(const struct sandbox *sandbox, const char *name, struct text *text)
{
	AUTO_CLOSE int fd = -1;
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", sandbox->directory, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		read_all(fd, SIZE_MAX, text);
	unlink(path);
}

/* Where systemd puts together what a unit sees: no part of a path for people. */
#define UNIT_ROOT "/run/systemd/unit-root"

/* What systemd has logged of it. The first failure says most: that of the process that was to
 * become the program, which is not in the unit's own part of the journal (journalctl -u). */
static void explain(const struct sandbox *sandbox, char why[static WHY_MAX])
{
	char match[sizeof(sandbox->name) + 8], start[sizeof(sandbox->name) + 16];
	const char *const sync[] = {"journalctl", "--sync", NULL};
	const char *const arguments[] = {
		"journalctl", "-q", "--no-pager", "-o", "cat", match, NULL};
	AUTO_TEXT struct text text = {0};
	const char *found;
	char *root;

	snprintf(match, sizeof(match), "UNIT=%s", sandbox->name);
	snprintf(start, sizeof(start), "%s: Failed ", sandbox->name);
	run_until(sync, sandbox->signals, SYNC_MS, &text);
	text_clear(&text);
	run_until(arguments, sandbox->signals, RUN_MS, &text);
	found = strstr(text_string(&text), start);
	if (!found) {
		because(why, 0, "journalctl %s tells why", match);
		return;
	}
	found += strlen(sandbox->name) + strlen(": ");
	because(why, 0, "%.*s", (int)strcspn(found, "\n"), found);
	root = strstr(why, UNIT_ROOT);
	if (root)
		memmove(root, root + strlen(UNIT_ROOT), strlen(root + strlen(UNIT_ROOT)) + 1);
}

/* Exit statuses from this one on are systemd's own (systemd.exec(5)): the program was not reached.
 */
#define STATUS_OF_SYSTEMD 200

static int start(const struct sandbox *sandbox, int *ret_status, char why[static WHY_MAX])
{
	const char *const arguments[] = {"systemctl", "--quiet", "start", sandbox->name, NULL};
	const char *const show[] = {
		"systemctl", "show", "--property=Result,ExecMainStatus", sandbox->name, NULL};
	AUTO_TEXT struct text ignored = {0}, shown = {0};
	AUTO_FREE char *result = NULL;
	int r = run_until(arguments, sandbox->signals, -1, &ignored);

	*ret_status = 0;
	if (r <= 0)
		return r < 0 ? because(why, r, "running systemctl: %s", strerror(-r)) : 0;
	r = run(show, &shown);
	result = property(&shown, "Result");
	*ret_status = (int)number(&shown, "ExecMainStatus");
	if (!r && result && !strcmp(result, "exit-code") && *ret_status < STATUS_OF_SYSTEMD)
		return 0;
	explain(sandbox, why);
	return -ENOEXEC;
}

/* It runs only where a signal has kept start() from waiting for its end. */
static void remove_sandbox(const struct sandbox *sandbox)
{
	const char *const stop[] = {"systemctl", "stop", sandbox->name, NULL};
	const char *const reset[] = {"systemctl", "reset-failed", sandbox->name, NULL};
	AUTO_TEXT struct text ignored = {0};

	run(stop, &ignored);
	append_file(sandbox, "out", &ignored); /* which systemd may have made until then */
	append_file(sandbox, "err", &ignored);
	unlink(sandbox->path);
	run(reset, &ignored);
	rmdir(sandbox->directory);
}

static int run_in(struct sandbox *sandbox, const struct unit *unit, const char *arguments,
	const char *variables, struct text *output, struct text *errors, int *ret_status,
	char why[static WHY_MAX])
{
	int r = make_sandbox(sandbox, unit, why);

	if (r < 0)
		return r;
	r = write_unit(sandbox, unit, arguments, variables, why);
	r = r < 0 ? r : start(sandbox, ret_status, why);
	append_file(sandbox, "out", output);
	append_file(sandbox, "err", errors);
	remove_sandbox(sandbox);
	return r;
}

int sandbox_run(const struct unit *unit, const char *arguments, const char *variables,
	struct text *output, struct text *errors, int *ret_status, char why[static WHY_MAX])
{
	sigset_t before;
	struct sandbox sandbox = {.signals = hold_signals(&before)};
	int r = run_in(&sandbox, unit, arguments, variables, output, errors, ret_status, why);

	closep(&sandbox.signals);
	sigprocmask(SIG_SETMASK, &before, NULL); /* a signal that has come ends the process */
	return r;
}
