/* From files to a configuration: the main file, then those of the directory beside it, then the
 * checks. */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "config/check.h"
#include "config/file.h"
#include "config/read.h"

struct loader {
	struct config *config;
	const struct config_kind *const *kinds;
	struct errors *errors;
	bool is_partial; /* something could not be read */
	size_t size; /* bytes of all files so far */
};

/* Reads a file that is in config->files. Returns 0, -ENOMEM, or -EFBIG when no further one is to be
 * read; other failures are in the errors. */
static int load_file(struct loader *loader, const char *path)
{
	AUTO_TEXT struct text text = {0};
	const char *string;
	char why[WHY_MAX];
	int r = file_read(path, &text, why);

	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		errors_add(loader->errors, "%s: %s", path, why);
		loader->is_partial = true;
		return 0;
	}
	loader->size += text.length;
	if (loader->size > CONFIG_FILES_MAX) {
		errors_add(loader->errors,
			"%s: the files up to this one are larger than 32 MiB together: are these "
			"the right files?",
			path);
		loader->is_partial = true;
		return -EFBIG;
	}
	string = text_string(&text);
	if (text_failed(&text))
		return -ENOMEM;
	r = read_text(loader->config, path, string, text.length, loader->kinds, loader->errors);
	if (r == -EINVAL)
		loader->is_partial = true;
	return r == -ENOMEM ? r : 0;
}

/* conf.d beside mcastd.conf, and NAME.d beside any other NAME.conf, so that several daemons can
 * have their files in one directory. */
static char *directory_beside(const char *path)
{
	static const char suffix[] = ".conf";
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	size_t length = strlen(path), tail = strlen(suffix);
	char *directory;
	int r;

	if (length > tail && !strcmp(path + length - tail, suffix))
		length -= tail;
	if (!strcmp(name, "mcastd.conf"))
		r = asprintf(&directory, "%.*sconf.d", (int)(name - path), path);
	else
		r = asprintf(&directory, "%.*s.d", (int)length, path);
	return r < 0 ? NULL : directory;
}

/* The variable of mcastctl, so that both find each other where no file says it: in a container. */
static void set_control_socket(struct loader *loader)
{
	const char *path = getenv("MCASTD_SOCKET");
	char why[WHY_MAX];

	if (path && *path && schema_set(&control_schema, loader->config, "socket", path, why) < 0)
		errors_add(loader->errors, "$MCASTD_SOCKET: %s", why);
}

static int load_files(struct loader *loader, const char *path)
{
	struct string_list *files = &loader->config->files;
	AUTO_FREE char *directory = directory_beside(path);
	int r = directory ? string_list_add(files, path) : -ENOMEM;

	set_control_socket(loader);
	if (r >= 0)
		r = load_file(loader, files->items[0]);
	if (r >= 0 && file_list(directory, files, loader->errors) < 0)
		loader->is_partial = true;
	for (size_t i = 1; i < files->count && r >= 0; i++)
		r = load_file(loader, files->items[i]);
	return r == -EFBIG ? 0 : r;
}

/* Handlers that need no declaration, since no key of theirs is required. */
static int add_builtin_handlers(struct loader *loader)
{
	static const char *const names[] = {"log", "journal"};

	config_sort_handlers(loader->config);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		for (size_t j = 0; loader->kinds[j]; j++)
			if (!strcmp(loader->kinds[j]->name, names[i]) &&
				!config_find_handler(loader->config, names[i]) &&
				!config_add_handler(loader->config, names[i], loader->kinds[j]))
				return -ENOMEM;
	return 0;
}

static int load(struct loader *loader, const char *path)
{
	int r = path ? load_files(loader, path) : 0;

	if (r >= 0)
		r = find_clashes(loader->config, loader->errors);
	if (r >= 0)
		r = add_builtin_handlers(loader);
	if (r < 0)
		return r;
	config_check(loader->config, loader->is_partial, loader->errors);
	return 0;
}

int config_load(const char *path, const struct config_kind *const *kinds, struct errors *errors,
	struct config **ret)
{
	CLEANUP(config_freep) struct config *config = config_new();
	struct loader loader = {.config = config, .kinds = kinds, .errors = errors};
	size_t before = errors_total(errors);

	if (!config || load(&loader, path) < 0)
		errors_add(errors, "%s: out of memory", path ? path : "configuration");
	if (errors_total(errors) > before)
		return -EINVAL;
	config_forget_marks(config);
	/* libconfig's tree is freed, but malloc keeps its pages: 14 of 20 MiB with 10,000 groups.
	 */
	malloc_trim(0);
	*ret = take(config);
	return 0;
}
