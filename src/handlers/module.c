#include "handlers/module.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

#include "base/text.h"
#include "config/report.h"
#include "handlers/module_file.h"

#define SYMBOL "engine"

/* A kind with what its module has. It is never freed: handlers refer to it. */
struct module {
	struct module *next;
	const struct handler_kind *row;
	struct handler_kind kind;
};

static bool ends_in(const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');

	return slash && !strcmp(slash + 1, name);
}

/* The program's own path ends in " (deleted)" once another file has taken its place, which leaves
 * the directory. */
static bool was_replaced(const char *own)
{
	static const char mark[] = " (deleted)";
	size_t length = strlen(own), tail = strlen(mark);

	return length > tail && !strcmp(own + length - tail, mark);
}

static int find_path(
	const char *module, char why[static WHY_MAX], struct text *path, bool *ret_replaced)
{
	char own[PATH_MAX] = "", *slash;

	if (readlink("/proc/self/exe", own, sizeof(own) - 1) < 0)
		return because(
			why, -errno, "reading /proc/self/exe to find modules: %s", strerror(errno));
	slash = strrchr(own, '/');
	if (!slash)
		return because(why, -ENOENT, "%s: is no path of a program", own);
	*ret_replaced = was_replaced(own);
	*slash = '\0';
	if (ends_in(own, "bin") || ends_in(own, "sbin"))
		*strrchr(own, '/') = '\0';
	text_printf(path, "%s/lib/mcastd/" MCASTD_VERSION "/%s.so", own, module);
	text_string(path);
	return text_failed(path) ? because(why, -ENOMEM, "out of memory") : 0;
}

/* A thread that a handler has left behind may be in the middle of a handshake when the program
 * ends: libcrypto, which modules bring along, must not free what it uses (OPENSSL_init_crypto(3)).
 */
static void keep_libcrypto(void *object)
{
	static const uint64_t no_atexit = 0x80000; /* OPENSSL_INIT_NO_ATEXIT */
	int (*init)(uint64_t options, const void *settings);

	*(void **)&init = dlsym(object, "OPENSSL_init_crypto");
	if (init)
		init(no_atexit, NULL);
}

static int open_module(
	const struct handler_kind *row, char why[static WHY_MAX], const struct handler_kind **ret)
{
	AUTO_TEXT struct text text = {0};
	char wrong[WHY_MAX];
	const char *path;
	bool is_replaced;
	void *object;
	int r = find_path(row->module, why, &text, &is_replaced);

	if (r < 0)
		return r;
	path = text_string(&text);
	if (access(path, F_OK) < 0 && errno == ENOENT && is_replaced)
		return because(why, -ESTALE,
			"type %s: this mcastd, version " MCASTD_VERSION
			", has been replaced: restart it, and install mcastd-%s",
			row->config.name, row->module);
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return because(why, -ENOENT, "type %s: install mcastd-%s (there is no %s)",
			row->config.name, row->module, path);
	r = module_file_check(path, wrong);
	if (r < 0)
		return because(why, r, "type %s: install mcastd-%s again: %s", row->config.name,
			row->module, wrong);
	object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!object)
		return because(why, -ELIBACC, "type %s: install mcastd-%s again: %s",
			row->config.name, row->module, dlerror());
	*ret = dlsym(object, SYMBOL);
	if (*ret) {
		keep_libcrypto(object);
		return 0;
	}
	dlclose(object);
	return because(why, -ELIBBAD, "type %s: install mcastd-%s again: %s is no module",
		row->config.name, row->module, path);
}

static int module_new(const struct handler_kind *row, char why[static WHY_MAX], struct module **ret)
{
	AUTO_FREE struct module *module = malloc(sizeof(*module));
	const struct handler_kind *kind = NULL;
	int r = module ? open_module(row, why, &kind) : because(why, -ENOMEM, "out of memory");

	if (r < 0)
		return r;
	*module = (struct module){.row = row, .kind = *kind};
	module->kind.config = row->config;
	module->kind.module = row->module;
	*ret = take(module);
	return 0;
}

int module_load(
	const struct handler_kind *kind, char why[static WHY_MAX], const struct handler_kind **ret)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct module *first;
	struct module **at = &first;
	int r = 0;

	if (!kind->module) {
		*ret = kind;
		return 0;
	}
	pthread_mutex_lock(&lock);
	while (*at && (*at)->row != kind)
		at = &(*at)->next;
	if (!*at)
		r = module_new(kind, why, at);
	if (r >= 0)
		*ret = &(*at)->kind;
	pthread_mutex_unlock(&lock);
	return r;
}

int modules_load(const struct config *config, struct errors *errors)
{
	int failure = 0;

	for (size_t i = 0; i < config->handler_count; i++) {
		const struct config_handler *handler = &config->handlers[i];
		struct subject subject = handler_subject(handler);
		const struct handler_kind *kind;
		char why[WHY_MAX];
		int r = module_load(
			container_of(handler->kind, struct handler_kind, config), why, &kind);

		if (r < 0) {
			config_report(errors, &subject, 0, NULL, "%s", why);
			failure = r;
		}
	}
	return failure;
}
