/* Configurations from files: what is read, what is refused, and in which words. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "config/config.h"
#include "config/file.h"

/* ---- Kinds of handlers as they could be ---- */

struct file_settings {
	char *path;
	int format;
};

static const char *const formats[] = {"line", "json", "hex", NULL};

static const struct key file_keys[] = {
	{.name = "path",
		.type = KEY_PATH,
		.offset = offsetof(struct file_settings, path),
		.required = true},
	{.name = "format",
		.type = KEY_CHOICE,
		.offset = offsetof(struct file_settings, format),
		.choices = formats,
		.fallback = "line"},
};

static int check_file(const void *object, const char **ret_key, char why[static WHY_MAX])
{
	const struct file_settings *settings = object;

	assert_non_null(settings->path); /* what the rows promise */
	if (strcmp(settings->path, "/forbidden"))
		return 0;
	*ret_key = "path";
	strcpy(why, "is forbidden, use another");
	return -EINVAL;
}

static const char *file_of(const void *object)
{
	return ((const struct file_settings *)object)->path;
}

static const struct config_kind file_kind = {
	.name = "file",
	.may_block = true,
	.schema = {file_keys, ARRAY_SIZE(file_keys), sizeof(struct file_settings)},
	.check = check_file,
	.file = file_of,
};

struct relay_settings {
	struct address address;
	char *interface;
};

static const struct key relay_keys[] = {
	{KEY(struct relay_settings, address, KEY_ADDRESS), .required = true},
	{KEY(struct relay_settings, interface, KEY_STRING)},
};

static bool relay_relays(const void *object, struct config_relay *ret)
{
	const struct relay_settings *settings = object;

	*ret = (struct config_relay){
		.address = settings->address, .port = 1, .interface = settings->interface};
	return true;
}

static const struct config_kind relay_kind = {
	.name = "relay",
	.schema = {relay_keys, ARRAY_SIZE(relay_keys), sizeof(struct relay_settings)},
	.relays = relay_relays,
};
static int check_broker_group(const void *settings, const char *group, char why[static WHY_MAX])
{
	(void)settings;
	return strchr(group, '*') ? because(why, -EINVAL, "has a *, which no subject has") : 0;
}

static int64_t broker_port(const void *settings)
{
	return ((const struct file_settings *)settings)->format;
}

/* Its port is for the checks alone. */
static const struct key broker_keys[] = {
	{.name = "source_port",
		.type = KEY_CHOICE,
		.offset = offsetof(struct file_settings, format),
		.choices = formats,
		.fallback = "line"},
};

static const struct config_kind broker_kind = {
	.name = "broker",
	.may_block = true,
	.schema = {broker_keys, ARRAY_SIZE(broker_keys), sizeof(struct file_settings)},
	.source_port = broker_port,
	.exports = true,
	.imports = true,
	.check_group = check_broker_group,
};
static const struct config_kind log_kind = {.name = "log", .may_block = true},
				journal_kind = {.name = "journal"};
static const struct config_kind *const kinds[] = {
	&journal_kind, &log_kind, &file_kind, &relay_kind, &broker_kind, NULL};

/* ---- A directory with configurations ---- */

struct fixture {
	char directory[32];
	struct config *config;
	struct errors errors;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	strcpy(fixture->directory, "/tmp/test_config.XXXXXX");
	if (!mkdtemp(fixture->directory))
		return -1;
	unsetenv("RUNTIME_DIRECTORY");
	unsetenv("MCASTD_SOCKET");
	*state = fixture;
	return 0;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	config_free(fixture->config);
	errors_clear(&fixture->errors);
	nftw(fixture->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	free(fixture);
	return 0;
}

#define PATH_SIZE 128

static char *path_of(const struct fixture *fixture, const char *name, char path[static PATH_SIZE])
{
	snprintf(path, PATH_SIZE, "%s/%s", fixture->directory, name);
	return path;
}

static void write_bytes(struct fixture *fixture, const char *name, const void *bytes, size_t size)
{
	char path[PATH_SIZE];
	FILE *file;

	if (strchr(name, '/'))
		mkdir(dirname(path_of(fixture, name, path)), 0755);
	file = fopen(path_of(fixture, name, path), "w");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

static void write_file(struct fixture *fixture, const char *name, const char *text)
{
	write_bytes(fixture, name, text, strlen(text));
}

static int load(struct fixture *fixture)
{
	char path[PATH_SIZE];

	return config_load(
		path_of(fixture, "mcastd.conf", path), kinds, &fixture->errors, &fixture->config);
}

static const struct config *load_files(struct fixture *fixture)
{
	int r = load(fixture);

	if (r)
		fail_msg("%s", fixture->errors.count ? fixture->errors.lines[0] : "no reason");
	assert_int_equal(errors_total(&fixture->errors), 0);
	return fixture->config;
}

static const struct config *load_text(struct fixture *fixture, const char *text)
{
	write_file(fixture, "mcastd.conf", text);
	return load_files(fixture);
}

/* The one group of the text. */
static const struct config_group *load_group(struct fixture *fixture, const char *text)
{
	const struct config *config = load_text(fixture, text);

	assert_int_equal(config->group_count, 1);
	return &config->groups[0];
}

/* The error that expected is, in which every "D/" stands for the directory. */
static void assert_error(const struct fixture *fixture, size_t index, const char *expected)
{
	AUTO_TEXT struct text line = {0};
	const char *at;

	while ((at = strstr(expected, "D/"))) {
		text_append(&line, expected, (size_t)(at - expected));
		text_printf(&line, "%s/", fixture->directory);
		expected = at + 2;
	}
	text_append_string(&line, expected);
	assert_true(index < fixture->errors.count);
	assert_string_equal(fixture->errors.lines[index], text_string(&line));
}

/* The errors that the files have, in this order, and no others. */
static void assert_errors(struct fixture *fixture, const char *const *expected, size_t count)
{
	assert_int_equal(load(fixture), -EINVAL);
	assert_null(fixture->config);
	for (size_t i = 0; i < count; i++)
		assert_error(fixture, i, expected[i]);
	assert_int_equal(errors_total(&fixture->errors), count);
}

#define assert_refused(fixture, ...)                               \
	assert_errors(fixture, (const char *const[]){__VA_ARGS__}, \
		ARRAY_SIZE(((const char *const[]){__VA_ARGS__})))

/* ---- What is read ---- */

static void without_a_file_there_are_the_compiled_defaults(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(config_load(NULL, kinds, &fixture->errors, &fixture->config), 0);
	assert_string_equal(fixture->config->control_socket, "/run/mcastd.sock");
	assert_string_equal(fixture->config->run_directory, "/run/mcastd");
	assert_int_equal(fixture->config->group_count, 0);
	assert_int_equal(fixture->config->files.count, 0);
}

static void an_empty_file_is_a_configuration(void **state)
{
	const struct config *config = load_text(*state, "");

	assert_int_equal(config->group_count, 0);
	assert_int_equal(config->files.count, 1);
}

static void the_runtime_directory_is_the_first_of_the_list(void **state)
{
	setenv("RUNTIME_DIRECTORY", "/run/first:/run/second", 1);
	assert_string_equal(load_text(*state, "")->run_directory, "/run/first");
}

static void a_runtime_directory_that_is_no_path_is_ignored(void **state)
{
	setenv("RUNTIME_DIRECTORY", "relative", 1);
	assert_string_equal(load_text(*state, "")->run_directory, "/run/mcastd");
}

static void the_file_stands_above_the_runtime_directory(void **state)
{
	setenv("RUNTIME_DIRECTORY", "/run/first", 1);
	assert_string_equal(load_text(*state, "run_directory = \"/x\";")->run_directory, "/x");
}

static void the_variable_of_mcastctl_is_the_default_of_the_control_socket(void **state)
{
	setenv("MCASTD_SOCKET", "/run/c", 1);
	assert_string_equal(load_text(*state, "")->control_socket, "/run/c");
}

static void the_file_stands_above_the_variable_of_the_control_socket(void **state)
{
	setenv("MCASTD_SOCKET", "/run/c", 1);
	assert_string_equal(
		load_text(*state, "control: { socket = \"/run/d\"; };")->control_socket, "/run/d");
}

static void a_control_socket_of_the_environment_that_is_no_path_is_an_error(void **state)
{
	struct fixture *fixture = *state;

	setenv("MCASTD_SOCKET", "mcastd.sock", 1);
	write_file(fixture, "mcastd.conf", "");
	assert_int_equal(load(fixture), -EINVAL);
	assert_int_equal(errors_total(&fixture->errors), 1);
	assert_error(fixture, 0,
		"$MCASTD_SOCKET: \"mcastd.sock\" is not an absolute path, begin it with /");
}

static void the_control_socket_is_read(void **state)
{
	assert_string_equal(
		load_text(*state, "control: { socket = \"/run/c\"; };")->control_socket, "/run/c");
}

static void http_is_off_by_default(void **state)
{
	assert_int_equal(load_text(*state, "")->http.listen.count, 0);
}

static void the_keys_of_http_are_read(void **state)
{
	const struct config *config = load_text(*state,
		"http: { listen = [\"127.0.0.1:9184\", \"/run/h\"]; senders = true; socket_mode = "
		"\"0660\"; };");

	assert_int_equal(config->http.listen.count, 2);
	assert_string_equal(config->http.listen.items[1], "/run/h");
	assert_true(config->http.senders);
	assert_int_equal(config->http.socket_mode, 0660);
}

static void a_group_has_defaults(void **state)
{
	const struct config_group *group = load_group(
		*state, "groups: { news: { address = \"233.252.0.1\"; port = 5004; }; };");

	assert_string_equal(group->name, "news");
	assert_int_equal(group->address.family, AF_INET);
	assert_int_equal(group->port, 5004);
	assert_int_equal(group->receive_buffer, 4 << 20);
	assert_int_equal(group->ttl, 1);
	assert_true(group->loop);
	assert_false(group->socket);
	assert_false(group->coalesce);
	assert_int_equal(group->socket_mode, 0660);
	assert_true(group->socket_empty);
	assert_int_equal(group->sources.count, 0);
	assert_int_equal(group->block_sources.count, 0);
	assert_int_equal(group->interfaces.count, 0);
	assert_int_equal(group->handlers.count, 0);
	assert_int_equal(group->send_interface.count, 0);
	assert_int_equal(group->source_address.family, AF_UNSPEC);
	assert_int_equal(group->source_port, 0);
	assert_int_equal(group->dscp, 0);
	assert_false(group->replies);
	assert_int_equal(group->socket_group.kind, PRINCIPAL_NONE);
	assert_int_equal(group->allow_send.count, 1);
	assert_int_equal(group->allow_send.items[0].kind, PRINCIPAL_SOCKET);
	assert_int_equal(group->allow_receive.count, 1);
	assert_int_equal(group->allow_receive.items[0].kind, PRINCIPAL_SOCKET);
}

static void every_key_of_a_group_is_read(void **state)
{
	const struct config_group *group = load_group(*state,
		"groups: { news: { address = \"ff15::1\"; port = 1; interfaces = [\"eth0\", "
		"\"vlan*\"];\n"
		"sources = [\"2001:db8::1\", \"2001:db8::2\"]; handlers = [\"log\", \"journal\"];\n"
		"receive_buffer = \"8M\"; ttl = 0; loop = false; send_interface = \"eth0\";\n"
		"dscp = 46; source_address = \"2001:db8::9\"; source_port = 5353; replies = true;\n"
		"socket = true; socket_mode = \"0600\"; socket_group = \"root\";\n"
		"allow_send = [\"user:root\", \"group:4711\"]; allow_receive = \"socket\";\n"
		"coalesce = true; }; };");

	assert_int_equal(group->address.family, AF_INET6);
	assert_int_equal(group->port, 1);
	assert_true(group->coalesce);
	assert_int_equal(group->interfaces.count, 2);
	assert_string_equal(group->interfaces.items[0], "eth0");
	assert_string_equal(group->interfaces.items[1], "vlan*");
	assert_int_equal(group->sources.count, 2);
	assert_int_equal(group->handlers.count, 2);
	assert_string_equal(group->handlers.items[0], "log");
	assert_string_equal(group->handlers.items[1], "journal");
	assert_int_equal(group->receive_buffer, 8 << 20);
	assert_int_equal(group->ttl, 0);
	assert_false(group->loop);
	assert_int_equal(group->send_interface.count, 1);
	assert_string_equal(group->send_interface.items[0], "eth0");
	assert_int_equal(group->dscp, 46);
	assert_int_equal(group->source_address.family, AF_INET6);
	assert_int_equal(group->source_port, 5353);
	assert_true(group->replies);
	assert_true(group->socket);
	assert_int_equal(group->socket_mode, 0600);
	assert_int_equal(group->socket_group.kind, PRINCIPAL_GROUP);
	assert_int_equal(group->socket_group.id, 0);
	assert_int_equal(group->allow_send.count, 2);
	assert_int_equal(group->allow_send.items[0].kind, PRINCIPAL_USER);
	assert_int_equal(group->allow_send.items[0].id, 0);
	assert_int_equal(group->allow_send.items[1].kind, PRINCIPAL_GROUP);
	assert_int_equal(group->allow_send.items[1].id, 4711);
	assert_int_equal(group->allow_receive.count, 1);
	assert_int_equal(group->allow_receive.items[0].kind, PRINCIPAL_SOCKET);
}

static void a_single_string_is_a_list_of_one(void **state)
{
	const struct config_group *group = load_group(*state,
		"groups: { a: { address = \"233.252.0.1\"; port = 1; interfaces = \"eth0\";"
		"block_sources = \"192.0.2.1\"; }; };");

	assert_int_equal(group->interfaces.count, 1);
	assert_string_equal(group->interfaces.items[0], "eth0");
	assert_int_equal(group->block_sources.count, 1);
}

static void groups_stay_in_the_order_of_the_file(void **state)
{
	const struct config *config = load_text(*state,
		"groups: { z: { address = \"233.252.0.1\"; port = 1; };\n"
		"a: { address = \"233.252.0.1\"; port = 2; };\n"
		"m: { address = \"233.252.0.1\"; port = 3; }; };");

	assert_string_equal(config->groups[0].name, "z");
	assert_string_equal(config->groups[1].name, "a");
	assert_string_equal(config->groups[2].name, "m");
}

static void a_group_knows_where_it_stands(void **state)
{
	const struct config_group *group = load_group(
		*state, "\n\ngroups: {\n  a: {\n address = \"233.252.0.1\"; port = 1; }; };");

	assert_int_equal(group->place.line, 4);
	assert_string_equal(strrchr(group->place.file, '/'), "/mcastd.conf");
	assert_null(group->marks);
}

static void a_number_with_l_is_a_number(void **state)
{
	assert_int_equal(
		load_group(*state, "groups: { a: { address = \"233.252.0.1\"; port = 5004L; }; };")
			->port,
		5004);
}

static void a_handler_has_the_settings_of_its_kind(void **state)
{
	const struct config *config = load_text(*state,
		"handlers: { archive: { type = \"file\"; path = \"/x\"; format = "
		"\"json\"; queue = \"1M\";"
		"drop = \"oldest\"; }; };");
	const struct config_handler *handler = config_find_handler(config, "archive");
	const struct file_settings *settings = handler->settings;

	assert_ptr_equal(handler->kind, &file_kind);
	assert_string_equal(settings->path, "/x");
	assert_int_equal(settings->format, 1);
	assert_int_equal(handler->queue, 1 << 20);
	assert_int_equal(handler->drop, DROP_OLDEST);
	assert_int_equal(handler->place.line, 1);
}

static void a_handler_has_defaults(void **state)
{
	const struct config *config = load_text(
		*state, "handlers: { archive: { type = \"file\"; path = \"/x\"; }; };");
	const struct config_handler *handler = config_find_handler(config, "archive");

	assert_int_equal(handler->queue, 4 << 20);
	assert_int_equal(handler->drop, DROP_NEWEST);
	assert_int_equal(((const struct file_settings *)handler->settings)->format, 0);
}

static void log_and_journal_need_no_declaration(void **state)
{
	const struct config *config = load_text(*state, "");

	assert_int_equal(config->handler_count, 2);
	assert_ptr_equal(config_find_handler(config, "log")->kind, &log_kind);
	assert_ptr_equal(config_find_handler(config, "journal")->kind, &journal_kind);
	assert_null(config_find_handler(config, "log")->place.file);
}

static void a_declared_log_stands_above_the_builtin(void **state)
{
	const struct config *config = load_text(
		*state, "handlers: { log: { type = \"log\"; queue = \"64K\"; }; };");

	assert_int_equal(config->handler_count, 2);
	assert_int_equal(config_find_handler(config, "log")->queue, 64 << 10);
}

static void a_kind_that_is_not_built_in_has_no_handler(void **state)
{
	static const struct config_kind *const few[] = {&file_kind, &log_kind, NULL};
	struct fixture *fixture = *state;

	assert_int_equal(config_load(NULL, few, &fixture->errors, &fixture->config), 0);
	assert_null(config_find_handler(fixture->config, "journal"));
	assert_non_null(config_find_handler(fixture->config, "log"));
}

static void any_handler_is_found_by_its_name(void **state)
{
	AUTO_TEXT struct text text = {0};
	const struct config *config;
	char name[16];

	text_append_string(&text, "handlers: {");
	for (int i = 100; i > 0; i--)
		text_printf(&text, "h%d: { type = \"log\"; };\n", i);
	text_append_string(&text, "};");
	config = load_text(*state, text_string(&text));
	for (int i = 100; i > 0; i--) {
		snprintf(name, sizeof(name), "h%d", i);
		assert_string_equal(config_find_handler(config, name)->name, name);
	}
	assert_null(config_find_handler(config, "h101"));
}

static void added_handlers_are_found_too(void **state)
{
	static const char *const names[] = {"z", "a", "k", "log2"};
	struct fixture *fixture = *state;

	load_text(fixture, "");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_string_equal(
			config_add_handler(fixture->config, names[i], &file_kind)->name, names[i]);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_non_null(config_find_handler(fixture->config, names[i]));
	assert_non_null(config_find_handler(fixture->config, "journal"));
}

/* ---- conf.d ---- */

#define GROUP_A "groups: { a: { address = \"233.252.0.1\"; port = 1; }; };"
#define GROUP_B "groups: { b: { address = \"233.252.0.2\"; port = 1; }; };"
#define GROUP_C "groups: { c: { address = \"233.252.0.3\"; port = 1; }; };"

static void conf_d_is_read_by_name_behind_the_main_file(void **state)
{
	struct fixture *fixture = *state;
	const struct config *config;

	write_file(fixture, "mcastd.conf", GROUP_B);
	write_file(fixture, "conf.d/a.conf", GROUP_C); /* in C order upper case comes first */
	write_file(fixture, "conf.d/B.conf", GROUP_A);
	config = load_files(fixture);
	assert_int_equal(config->group_count, 3);
	assert_string_equal(config->groups[0].name, "b");
	assert_string_equal(config->groups[1].name, "a");
	assert_string_equal(config->groups[2].name, "c");
	assert_int_equal(config->files.count, 3);
	assert_string_equal(strrchr(config->files.items[1], '/'), "/B.conf");
	assert_ptr_equal(config->groups[1].place.file, config->files.items[1]);
}

static void a_later_file_stands_above_an_earlier_one(void **state)
{
	struct fixture *fixture = *state;

	write_file(
		fixture, "mcastd.conf", "run_directory = \"/a\"; control: { socket = \"/a/c\"; };");
	write_file(fixture, "conf.d/10.conf", "run_directory = \"/b\";");
	write_file(fixture, "conf.d/9.conf", "run_directory = \"/c\";");
	assert_string_equal(load_files(fixture)->run_directory, "/c");
	assert_string_equal(fixture->config->control_socket, "/a/c");
}

static void other_names_in_conf_d_are_ignored(void **state)
{
	struct fixture *fixture = *state;

	write_file(fixture, "mcastd.conf", "");
	write_file(fixture, "conf.d/a.conf~", "broken");
	write_file(fixture, "conf.d/.a.conf", "broken");
	write_file(fixture, "conf.d/README", "broken");
	assert_int_equal(load_files(fixture)->files.count, 1);
}

static void a_file_of_another_name_has_a_directory_of_its_own(void **state)
{
	struct fixture *fixture = *state;
	char path[PATH_SIZE];

	write_file(fixture, "lab.conf", GROUP_A);
	write_file(fixture, "lab.d/more.conf", GROUP_B);
	write_file(fixture, "conf.d/others.conf", GROUP_C);
	assert_int_equal(config_load(path_of(fixture, "lab.conf", path), kinds, &fixture->errors,
				 &fixture->config),
		0);
	assert_int_equal(fixture->config->files.count, 2);
	assert_string_equal(strrchr(fixture->config->files.items[1], '/'), "/more.conf");
}

static void a_group_may_use_a_handler_of_a_later_file(void **state)
{
	struct fixture *fixture = *state;

	write_file(fixture, "mcastd.conf",
		"groups: { a: { address = \"233.252.0.1\"; port = 1; handlers = \"late\"; }; };");
	write_file(fixture, "conf.d/z.conf", "handlers: { late: { type = \"log\"; }; };");
	assert_string_equal(load_files(fixture)->groups[0].handlers.items[0], "late");
}

static void a_conf_d_with_too_many_files_is_refused(void **state)
{
	struct fixture *fixture = *state;
	char first[PATH_SIZE], name[PATH_SIZE], path[PATH_SIZE];

	write_file(fixture, "mcastd.conf", "");
	write_file(fixture, "conf.d/0.conf", "");
	path_of(fixture, "conf.d/0.conf", first);
	for (unsigned i = 1; i <= CONFIG_D_MAX; i++) {
		snprintf(name, sizeof(name), "conf.d/%u.conf", i);
		assert_int_equal(link(first, path_of(fixture, name, path)), 0);
	}
	assert_int_equal(load(fixture), -EINVAL);
	assert_non_null(strstr(fixture->errors.lines[0],
		"/conf.d: has more than 16384 files that end in .conf: is this the right "
		"directory?"));
	assert_int_equal(unlink(path), 0);
	errors_clear(&fixture->errors);
	assert_int_equal(load_files(fixture)->files.count, 1 + CONFIG_D_MAX);
}

static void a_comment_may_end_with_the_file(void **state)
{
	struct fixture *fixture = *state;
	static const char *const texts[] = {
		GROUP_A "\n# a comment", GROUP_A " // a comment", GROUP_A " /* a comment */", "#"};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_int_equal(load_text(fixture, texts[i])->group_count, i < 3);
		config_free(take(fixture->config));
	}
}

static void a_relative_path_has_its_conf_d_beside_it(void **state)
{
	struct fixture *fixture = *state;

	write_file(fixture, "mcastd.conf", GROUP_A);
	write_file(fixture, "conf.d/b.conf", GROUP_B);
	assert_int_equal(chdir(fixture->directory), 0);
	assert_int_equal(config_load("mcastd.conf", kinds, &fixture->errors, &fixture->config), 0);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(fixture->config->group_count, 2);
	assert_string_equal(fixture->config->groups[0].place.file, "mcastd.conf");
}

static void a_group_defined_twice_names_both_places(void **state)
{
	write_file(*state, "mcastd.conf", GROUP_A);
	write_file(*state, "conf.d/x.conf", "\n" GROUP_A);
	assert_refused(*state, "D/conf.d/x.conf:2: groups.a: already defined at D/mcastd.conf:1, "
			       "rename or remove one of "
			       "them");
}

static void a_handler_defined_twice_names_both_places(void **state)
{
	write_file(*state, "mcastd.conf", "");
	write_file(*state, "conf.d/x.conf", "handlers: { h: { type = \"log\"; }; };");
	write_file(*state, "conf.d/y.conf", "\nhandlers: { h: { type = \"log\"; }; };");
	assert_refused(*state, "D/conf.d/y.conf:2: handlers.h: already defined at "
			       "D/conf.d/x.conf:1, rename or remove one "
			       "of them");
}

/* Two handlers that write to these names in the directory of the fixture. */
static void write_two(struct fixture *fixture, const char *a, const char *b)
{
	AUTO_TEXT struct text text = {0};

	text_printf(&text,
		"handlers: {\n a: { type = \"file\"; path = \"%s/%s\"; };\n b: { type = \"file\"; "
		"path "
		"= \"%s/%s\"; };\n};\n",
		fixture->directory, a, fixture->directory, b);
	write_file(fixture, "mcastd.conf", text_string(&text));
}

static void assert_same_file(struct fixture *fixture, const char *a, const char *b)
{
	AUTO_TEXT struct text expected = {0};

	write_two(fixture, a, b);
	text_printf(&expected,
		"D/mcastd.conf:3: handlers.b: writes the same file as handlers.a at "
		"D/mcastd.conf:2%s",
		!strcmp(a, b) ? ", give each one of its own" : ", where it is called ");
	assert_int_equal(load(fixture), -EINVAL);
	assert_int_equal(errors_total(&fixture->errors), 1);
	if (!strcmp(a, b))
		assert_error(fixture, 0, text_string(&expected));
	else
		assert_non_null(strstr(fixture->errors.lines[0], ", where it is called "));
	errors_clear(&fixture->errors);
}

static void handlers_that_write_one_file_by_any_name_are_refused(void **state)
{
	struct fixture *fixture = *state;
	char path[PATH_SIZE], link_path[PATH_SIZE];

	write_file(fixture, "d/f", "");
	assert_int_equal(symlink("d", path_of(fixture, "dl", path)), 0);
	assert_int_equal(
		link(path_of(fixture, "d/f", path), path_of(fixture, "hard", link_path)), 0);
	assert_same_file(fixture, "d/f", "d/f");
	assert_same_file(fixture, "d/f", "d/../d/f");
	assert_same_file(fixture, "d/f", "d//f");
	assert_same_file(fixture, "d/f", "dl/f");
	assert_same_file(fixture, "d/new", "dl/new");
	assert_same_file(fixture, "d/f", "hard");
	assert_same_file(fixture, "missing/f", "missing/f");
}

static void handlers_that_write_files_of_their_own_are_accepted(void **state)
{
	struct fixture *fixture = *state;

	write_file(fixture, "d/f", "");
	write_two(fixture, "d/f", "f");
	load_files(fixture);
}

static void a_file_in_dev_is_a_file(void **state)
{
	write_file(*state, "mcastd.conf",
		"handlers: { a: { type = \"file\"; path = \"/dev/shm/mcastd-test-none\"; };\n"
		"b: { type = \"file\"; path = \"/dev/shm/mcastd-test-none\"; }; };");
	assert_refused(*state, "D/mcastd.conf:2: handlers.b: writes the same file as handlers.a at "
			       "D/mcastd.conf:1, give each one of its own");
}

static void a_character_device_may_be_shared(void **state)
{
	load_text(*state, "handlers: { a: { type = \"file\"; path = \"/dev/null\"; };\n"
			  "b: { type = \"file\"; path = \"/dev/null\"; }; };");
}

static void the_places_of_the_keys_of_a_start_are_known(void **state)
{
	struct fixture *fixture = *state;
	const struct config *config;
	char path[PATH_SIZE];

	write_file(fixture, "conf.d/x.conf", "\n\nuser = \"root\";");
	config = load_text(fixture,
		"user = \"root\";\ncontrol: {\n socket = \"/x\";\n};\nrun_directory = \"/y\";");
	assert_string_equal(config->user_place.file, path_of(fixture, "conf.d/x.conf", path));
	assert_int_equal(config->user_place.line, 3);
	assert_int_equal(config->control_place.line, 3);
	assert_int_equal(config->run_directory_place.line, 5);
	assert_null(config->group_place.file);
}

static void a_fifo_in_conf_d_is_refused_and_not_waited_for(void **state)
{
	char path[PATH_SIZE];

	write_file(*state, "mcastd.conf", "");
	write_file(*state, "conf.d/a.conf", "");
	assert_int_equal(mkfifo(path_of(*state, "conf.d/f.conf", path), 0600), 0);
	assert_refused(*state, "D/conf.d/f.conf: is not a regular file, replace or remove it");
}

static void a_fifo_as_the_main_file_is_refused_and_not_waited_for(void **state)
{
	char path[PATH_SIZE];

	assert_int_equal(mkfifo(path_of(*state, "mcastd.conf", path), 0600), 0);
	assert_refused(*state, "D/mcastd.conf: is not a regular file, replace or remove it");
}

static void a_directory_in_conf_d_is_refused(void **state)
{
	char path[PATH_SIZE];

	write_file(*state, "mcastd.conf", "");
	write_file(*state, "conf.d/a.conf", "");
	assert_int_equal(mkdir(path_of(*state, "conf.d/d.conf", path), 0700), 0);
	assert_refused(*state, "D/conf.d/d.conf: is not a regular file, replace or remove it");
}

static void a_link_to_nowhere_is_refused(void **state)
{
	char path[PATH_SIZE];

	write_file(*state, "mcastd.conf", "");
	write_file(*state, "conf.d/a.conf", "");
	assert_int_equal(symlink("/nowhere/x", path_of(*state, "conf.d/l.conf", path)), 0);
	assert_refused(*state, "D/conf.d/l.conf: cannot open it: No such file or directory");
}

static void a_conf_d_that_is_no_directory_is_refused(void **state)
{
	write_file(*state, "mcastd.conf", "");
	write_file(*state, "conf.d", "");
	assert_refused(*state, "D/conf.d: cannot read the directory: Not a directory");
}

static void a_file_name_that_forges_lines_is_refused(void **state)
{
	write_file(*state, "mcastd.conf", "");
	write_file(*state, "conf.d/a\n.conf", "");
	assert_refused(*state, "D/conf.d: the file name \"a\\n.conf\" has characters that cannot "
			       "be shown, rename it");
}

static void a_missing_file_is_refused(void **state)
{
	assert_refused(*state, "D/mcastd.conf: cannot open it: No such file or directory");
}

static void a_file_too_large_is_refused(void **state)
{
	char path[PATH_SIZE];

	write_file(*state, "mcastd.conf", "");
	assert_int_equal(truncate(path_of(*state, "mcastd.conf", path), (16 << 20) + 1), 0);
	assert_refused(*state, "D/mcastd.conf: is larger than 16 MiB: is this the right file?");
}

static void files_too_large_together_are_refused(void **state)
{
	AUTO_FREE char *comment = malloc(16 << 20);

	assert_non_null(comment);
	memset(comment, '#', 16 << 20);
	strcpy(comment + (16 << 20) - 2, "\n");
	write_file(*state, "mcastd.conf", "\n\n");
	write_file(*state, "conf.d/a.conf", comment);
	write_file(*state, "conf.d/b.conf", comment);
	write_file(*state, "conf.d/c.conf", "\n");
	assert_refused(*state,
		"D/conf.d/c.conf: the files up to this one are larger than 32 MiB together: are "
		"these the right files?");
}

/* ---- Broken in one place: the text, and the one error after "D/mcastd.conf:" ---- */

#define IN_A(keys) "groups: {\n a: {\n  address = \"233.252.0.1\"; port = 1;\n  " keys "\n };\n};\n"
#define IN_H(keys) "handlers: {\n h: {\n  type = \"file\"; path = \"/x\";\n  " keys "\n };\n};\n"

#define IN_B(keys) "handlers: { hq: { type = \"broker\"; }; };\n" IN_A(keys)

/* clang-format off */
#define BROKEN_CONFIGURATIONS(X) \
	X(inputs_without_import_port, IN_B("inputs = [\"hq\"];"), \
		"5: groups.a.inputs: needs import_port, add it outside of groups: import_port = 5999; " \
		"(a free port, the same in all daemons of this network)") \
	X(an_input_that_is_not_there, "import_port = 5999;" IN_B("inputs = [\"hr\"];"), \
		"5: groups.a.inputs: there is no handler \"hr\", did you mean \"hq\"?") \
	X(an_input_by_which_nothing_comes, "import_port = 5999;" IN_B("inputs = [\"log\"];"), \
		"5: groups.a.inputs: nothing comes in by \"log\", of type log; name a handler that " \
		"speaks to a broker, or move it to handlers") \
	X(inputs_of_a_group_that_cannot_send, "import_port = 5999;" \
		"handlers: { hq: { type = \"broker\"; }; };\n" \
		"groups: { a: { address = \"::\"; port = 1;\n inputs = [\"hq\"]; }; };", \
		"3: groups.a.inputs: has no effect, nothing can be sent to ::") \
	X(an_http_address_without_a_port, "http: { listen = [\"127.0.0.1\"]; };", \
		"1: http.listen: \"127.0.0.1\" has no port, write 127.0.0.1:9184") \
	X(an_http_address_that_is_none, "\nhttp: { listen = \"localhost:9184\"; };", \
		"2: http.listen: \"localhost:9184\" is none of ADDRESS:PORT, [ADDRESS]:PORT and /PATH; " \
		"write 127.0.0.1:9184") \
	X(an_http_address_twice, "http: { listen = [\"[::1]:9184\", \"[0::1]:9184\"]; };", \
		"1: http.listen: \"[0::1]:9184\" is the same as \"[::1]:9184\", remove one") \
	X(an_http_socket_that_is_the_control_socket, "http: { listen = \"/run/mcastd.sock\"; };", \
		"1: http.listen: \"/run/mcastd.sock\" is the control socket, use another path") \
	X(an_unknown_key_of_http, "http: { port = 9184; };", \
		"1: http: unknown key \"port\", known: listen, senders, socket_mode, socket_group") \
	X(import_port_out_of_range, "import_port = 65536;", \
		"1: import_port: 65536 is out of range, use 1 to 65535") \
	X(import_port_that_a_group_sends_from, "import_port = 5999;" IN_A("source_port = 5999;"), \
		"4: groups.a.source_port: 5999 is import_port, and what leaves from it is never given " \
		"to a broker; use another port") \
	X(import_port_that_a_handler_sends_from, \
		"import_port = 2; handlers: { hq: { type = \"broker\"; source_port = \"hex\"; }; };", \
		"1: handlers.hq.source_port: 2 is import_port, and what leaves from it is never given " \
		"to a broker; use another port") \
	X(import_port_that_is_the_port_of_the_group, "import_port = 1;" IN_B("inputs = [\"hq\"];"), \
		"4: groups.a.port: 1 is import_port, and many programs send from the port of the " \
		"group; use another import_port") \
	X(a_group_whose_name_the_broker_cannot_have, "import_port = 5999;" \
		"handlers: { hq: { type = \"broker\"; }; };\n" \
		"groups: { a*: { address = \"233.252.0.1\"; port = 1; handlers = [\"hq\"]; }; };", \
		"2: groups.a*.handlers: \"hq\": the name of the group has a *, which no subject has") \
	X(an_input_of_a_group_whose_name_the_broker_cannot_have, "import_port = 5999;" \
		"handlers: { hq: { type = \"broker\"; }; };\n" \
		"groups: { a*: { address = \"233.252.0.1\"; port = 1; inputs = [\"hq\"]; }; };", \
		"2: groups.a*.inputs: \"hq\": the name of the group has a *, which no subject has") \
	X(unknown_key_in_a_group, IN_A("adress = \"x\";"), \
		"4: groups.a: unknown key \"adress\", did you mean \"address\"?") \
	X(unknown_key_at_the_top, "\ngruops: {};", "2: unknown key \"gruops\", did you mean \"groups\"?") \
	X(key_that_does_not_exist_yet, "metrics: { listen = \"127.0.0.1:9184\"; };", \
		"1: unknown key \"metrics\", known: user, group, run_directory, import_port, groups, handlers, control, http, events") \
	X(a_group_named_as_that_of_events, \
		"groups: { events: { address = \"233.252.0.1\"; port = 5004; }; };", \
		"1: groups.events: the name belongs to the group of the daemon's own events, use " \
		"another") \
	X(an_unknown_handler_of_events, "events: { handlers = [\"nobody\"]; };", \
		"1: events.handlers: there is no handler \"nobody\", define it in handlers: { ... };") \
	X(a_key_that_events_do_not_have, "events: { allow_send = []; };", \
		"1: events: unknown key \"allow_send\", known: handlers, socket, socket_mode, socket_group, allow_receive") \
	X(a_handler_of_events_that_strips, \
		"handlers: { f: { type = \"file\"; path = \"/x\"; strip = \"rtp\"; }; };\n" \
		"events: { handlers = [\"f\"]; };", \
		"2: events.handlers: no event has the header that \"f\" takes away; remove it, or " \
		"its strip") \
	X(strip_of_what_is_not_known, "handlers: { h: { type = \"log\"; strip = \"ts\"; }; };", \
		"1: handlers.h.strip: \"ts\" is not known here, use \"none\" or \"rtp\"") \
	X(unknown_key_in_control, "control: { port = 1; };", \
		"1: control: unknown key \"port\", known: socket") \
	X(unknown_key_in_a_handler, IN_H("pth = \"x\";"), \
		"4: handlers.h: unknown key \"pth\", did you mean \"path\"?") \
	X(key_of_another_kind, "handlers: { h: { type = \"log\"; path = \"/x\"; }; };", \
		"1: handlers.h: unknown key \"path\", known: type, queue, queue_datagrams, drop, strip, " \
		"filter.sources, filter.block_sources, filter.min_size, filter.max_size, filter.prefix, " \
		"filter.match, filter.not.sources, filter.not.block_sources, filter.not.min_size, filter.not.max_size, " \
		"filter.not.prefix, filter.not.match, rate, burst, sample") \
	X(no_address, "groups: {\n a: { port = 1; };\n};", \
		"2: groups.a: has no address, add one: address = \"233.252.0.1\";") \
	X(no_port, "groups: {\n a: { address = \"233.252.0.1\"; };\n};", \
		"2: groups.a: has no port, add one: port = 5004;") \
	X(address_of_no_host, "groups: { a: {\n address = \"0.0.0.1\"; port = 1; }; };", \
		"2: groups.a.address: \"0.0.0.1\" is no address of a host, use 0.0.0.0 for all of this host") \
	X(address_that_is_a_name, "groups: { a: { address = \"news\"; port = 1; }; };", \
		"1: groups.a.address: \"news\" is not an IP address, write one such as \"233.252.0.1\" or \"ff15::1\"") \
	X(port_out_of_range, "groups: { a: { address = \"233.252.0.1\";\n port = 70000; }; };", \
		"2: groups.a.port: 70000 is out of range, use 1 to 65535") \
	X(port_zero, "groups: { a: { address = \"233.252.0.1\"; port = 0; }; };", \
		"1: groups.a.port: 0 is out of range, use 1 to 65535") \
	X(port_as_a_string, "groups: { a: { address = \"233.252.0.1\"; port = \"5004\"; }; };", \
		"1: groups.a.port: is a string, write a number without quotes") \
	X(port_with_a_fraction, "groups: { a: { address = \"233.252.0.1\"; port = 50.5; }; };", \
		"1: groups.a.port: is a number with a fraction, write a whole number") \
	X(ttl_out_of_range, IN_A("ttl = 256;"), "4: groups.a.ttl: 256 is out of range, use 0 to 255") \
	X(ttl_negative, IN_A("ttl = -1;"), "4: groups.a.ttl: -1 is out of range, use 0 to 255") \
	X(size_as_a_number, IN_A("receive_buffer = 8388608;"), \
		"4: groups.a.receive_buffer: is a number, write it with its unit in quotes: \"8M\"") \
	X(size_out_of_range, IN_A("receive_buffer = \"2G\";"), \
		"4: groups.a.receive_buffer: \"2G\" is out of range, use 4K to 1023M") \
	X(size_with_a_wrong_unit, IN_A("receive_buffer = \"8MB\";"), \
		"4: groups.a.receive_buffer: \"8MB\" is not a size, write one such as \"64K\", \"4M\" or \"1G\"") \
	X(bool_as_a_number, IN_A("loop = 1;"), "4: groups.a.loop: is a number, write true") \
	X(bool_as_a_string, IN_A("socket = \"yes\";"), \
		"4: groups.a.socket: is a string, write true without quotes") \
	X(no_interfaces, IN_A("interfaces = [];"), \
		"4: groups.a.interfaces: is empty, which would select nothing: leave the key out for its default") \
	X(interfaces_in_one_string, IN_A("interfaces = \"eth0,eth1\";"), \
		"4: groups.a.interfaces: \"eth0,eth1\" is a list in one string, write [\"eth0\", \"eth1\"]") \
	X(interface_with_its_parent, IN_A("interfaces = \"eth0@if2\";"), \
		"4: groups.a.interfaces: \"eth0@if2\" has what \"ip link\" prints behind the name, leave out the @ and what follows") \
	X(interface_left_out_with_a_minus, IN_A("interfaces = \"-veth*\";"), \
		"4: groups.a.interfaces: \"-veth*\" begins with -, write ! in front of what to leave out") \
	X(interface_by_a_link_local_address, IN_A("interfaces = \"fe80::1\";"), \
		"4: groups.a.interfaces: \"fe80::1\" is link-local: more than one interface may have it, write the name of one") \
	X(interface_that_is_only_left_out, IN_A("send_interface = \"!eth0\";"), \
		"4: groups.a.send_interface: \"!eth0\" leaves one out, name those to use") \
	X(source_address_of_a_group, IN_A("source_address = \"233.252.0.9\";"), \
		"4: groups.a.source_address: \"233.252.0.9\" cannot be sent from, use an address of this host") \
	X(source_address_of_the_other_family, IN_A("source_address = \"2001:db8::1\";"), \
		"4: groups.a.source_address: \"2001:db8::1\" is not of the group's family, use an IPv4 address") \
	X(interface_with_a_space, IN_A("interfaces = \"eth 0\";"), \
		"4: groups.a.interfaces: \"eth 0\" cannot be an interface: no name has a space, a control character or :") \
	X(interface_with_a_control_character, IN_A("interfaces = \"eth\033\";"), \
		"4: groups.a.interfaces: \"eth\\x1b\" cannot be an interface: no name has a space, a control character or :") \
	X(interface_that_is_a_path, IN_A("interfaces = \"/sys\";"), \
		"4: groups.a.interfaces: \"/sys\" cannot be an interface: write its name or one of its addresses, without /") \
	X(interface_twice, IN_A("interfaces = [\"eth0\",\n\"eth0\"];"), \
		"5: groups.a.interfaces: \"eth0\" is in the list twice, remove one") \
	X(interfaces_as_a_list, IN_A("interfaces = (\"eth0\");"), \
		"4: groups.a.interfaces: is a list ( ), write an array: interfaces = [\"eth0\"];") \
	X(interfaces_as_numbers, IN_A("interfaces = [1];"), \
		"4: groups.a.interfaces: is a number, write strings such as [\"eth0\"]") \
	X(send_interface_as_a_glob, IN_A("send_interface = \"eth*\";"), \
		"4: groups.a.send_interface: \"eth*\" is a pattern, use the names of interfaces") \
	X(source_that_is_multicast, IN_A("sources = \"233.252.0.2\";"), \
		"4: groups.a.sources: \"233.252.0.2\" is not the address of a sender, use a unicast address") \
	X(source_of_the_other_family, IN_A("sources = [\"2001:db8::1\"];"), \
		"4: groups.a.sources: \"2001:db8::1\" is not of the group's family, use an IPv4 address") \
	X(expected_sender_of_the_other_family, IN_A("expect_senders = [\"192.0.2.7\", \"2001:db8::/32\"];"), \
		"4: groups.a.expect_senders: \"2001:db8::/32\" is not of the group's family, use IPv4 addresses") \
	X(source_that_is_none, IN_A("block_sources = [\"0.0.0.0\"];"), \
		"4: groups.a.block_sources: \"0.0.0.0\" is not the address of a sender, use a unicast address") \
	X(sources_beside_block_sources, IN_A("sources = \"192.0.2.1\";\n block_sources = \"192.0.2.2\";"), \
		"5: groups.a.block_sources: cannot be used together with sources, remove one of the two") \
	X(unknown_handler, "handlers: { archive: { type = \"log\"; }; };\n" IN_A("handlers = [\"archve\"];"), \
		"5: groups.a.handlers: there is no handler \"archve\", did you mean \"archive\"?") \
	X(handler_that_nobody_meant, IN_A("handlers = [\"recorder\"];"), \
		"4: groups.a.handlers: there is no handler \"recorder\", define it in handlers: { ... };") \
	X(handler_twice_in_a_group, IN_A("handlers = [\"log\", \"log\"];"), \
		"4: groups.a.handlers: \"log\" is in the list twice, remove one") \
	X(mode_that_is_not_octal, IN_A("socket = true; socket_mode = \"0999\";"), \
		"4: groups.a.socket_mode: \"0999\" is not a file mode, write three octal digits such as \"0660\"") \
	X(mode_as_a_number, IN_A("socket = true; socket_mode = 660;"), \
		"4: groups.a.socket_mode: is a number, write it in octal and in quotes: \"0660\"") \
	X(expected_rate_as_a_number, IN_A("expect_rate = 100;"), \
		"4: groups.a.expect_rate: is a number, write a rate, in quotes: \"100/s\"") \
	X(expected_rate_without_a_time, IN_A("expect_rate = \"100\";"), \
		"4: groups.a.expect_rate: \"100\" is no rate: write datagrams in a time, like \"900/s\"") \
	X(expected_rates_in_the_wrong_order, IN_A("expect_rate = [\"2/s\", \"60/m\"];"), \
		"4: groups.a.expect_rate: \"2/s\" is more than \"60/m\": write the lower one first") \
	X(unknown_user, IN_A("allow_send = [\"user:no-such-user\"];"), \
		"4: groups.a.allow_send: there is no user \"no-such-user\" on this system, use another or create it") \
	X(unknown_group, IN_A("allow_receive = [\"group:no-such-group\"];"), \
		"4: groups.a.allow_receive: there is no group \"no-such-group\" on this system, use another or create it") \
	X(neither_a_user_nor_a_group, IN_A("allow_receive = [\"root\"];"), \
		"4: groups.a.allow_receive: \"root\" is neither a user nor a group, write \"user:NAME\", \"group:NAME\", " \
		"or \"socket\" for those of socket_mode and socket_group") \
	X(a_user_twice, IN_A("allow_receive = [\"user:root\", \"user:0\"];"), \
		"4: groups.a.allow_receive: \"user:0\" is in the list twice, remove one") \
	X(allow_send_to_unicast, "groups: { a: { address = \"0.0.0.0\"; port = 1;\nallow_send = []; }; };", \
		"2: groups.a.allow_send: has no effect, nothing can be sent to 0.0.0.0") \
	X(unknown_socket_group, IN_A("socket = true; socket_group = \"no-such-group\";"), \
		"4: groups.a.socket_group: there is no group \"no-such-group\" on this system, use another or create it") \
	X(group_as_an_array, "groups: {\n a = [1];\n};", "2: groups.a: is an array [ ], write a: { ... };") \
	X(group_as_a_number, "groups: { a = 1; };", "1: groups.a: is a number, write a: { ... };") \
	X(groups_as_a_list, "groups = ( { port = 1; } );", \
		"1: groups: is a list ( ), write groups: { NAME: { ... }; };") \
	X(control_as_a_string, "control = \"/run/x\";", "1: control: is a string, write control: { ... };") \
	X(control_socket_relative, "control: { socket = \"run/x\"; };", \
		"1: control.socket: \"run/x\" is not an absolute path, begin it with /") \
	X(run_directory_empty, "run_directory = \"\";", \
		"1: run_directory: is empty, write a value or leave the key out") \
	X(handler_without_type, "handlers: {\n h: { queue = \"1M\"; path = 5; };\n};", \
		"2: handlers.h: has no type, add type = \"...\"; with one of journal, log, file, relay, broker") \
	X(handler_of_unknown_type, "handlers: { h: {\n type = \"flie\"; path = \"/x\"; }; };", \
		"2: handlers.h.type: unknown type \"flie\", did you mean \"file\"? (there are journal, log, file, relay, broker)") \
	X(type_as_a_number, "handlers: { h: { type = 5; }; };", \
		"1: handlers.h.type: is a number, write a string such as \"file\"") \
	X(handler_without_a_required_key, "handlers: {\n h: { type = \"file\"; };\n};", \
		"2: handlers.h: has no path, add one: path = \"/a/path\";") \
	X(queue_of_a_type_that_has_none, "handlers: {\n h: { type = \"journal\";\n drop = \"oldest\"; };\n};", \
		"3: handlers.h.drop: has no effect, a handler of this type never waits and has no queue; remove it") \
	X(queue_out_of_range, IN_H("queue = \"1K\";"), "4: handlers.h.queue: \"1K\" is out of range, use 64K to 1G") \
	X(unknown_drop_policy, IN_H("drop = \"latest\";"), \
		"4: handlers.h.drop: \"latest\" is not known here, use \"newest\" or \"oldest\"") \
	X(unknown_choice_of_a_kind, IN_H("format = \"jsn\";"), \
		"4: handlers.h.format: \"jsn\" is not known here, did you mean \"json\"?") \
	X(what_only_the_kind_can_check, "handlers: { h: { type = \"file\";\n path = \"/forbidden\"; }; };", \
		"2: handlers.h.path: is forbidden, use another") \
	X(a_group_without_its_s, "group: { news: { address = \"233.252.0.1\"; port = 1; }; };", \
		"1: group: is one value and no { }, did you mean \"groups\"?") \
	X(a_system_group_with_an_s, "user = \"root\";\ngroups = \"daemon\";", \
		"2: groups: is a string, write groups: { NAME: { ... }; }; or did you mean \"group\"?") \
	X(a_group_without_a_user, "\ngroup = \"daemon\";", \
		"2: group: has no effect without user, which is to run the daemon: add one, as user = \"mcastd\";, or remove group") \
	X(a_user_that_there_is_not, "\nuser = \"no-such-user\";", \
		"2: user: this system has no user no-such-user: useradd --system no-such-user, or name another") \
	X(a_user_by_number, "user = \"65534\";", "1: user: 65534 is a number, write the name of the user") \
	X(a_group_to_run_as_that_there_is_not, "user = \"root\";\ngroup = \"no-such-group\";", \
		"2: group: this system has no group no-such-group: groupadd --system no-such-group, or name another") \
	X(an_address_as_a_number, "groups: { a: {\n address = 239; port = 1; }; };", \
		"2: groups.a.address: is a number, write a string such as \"233.252.0.1\"") \
	X(a_mode_that_is_not_octal, IN_A("socket_mode = 998;"), \
		"4: groups.a.socket_mode: is a number, write a string such as \"0660\"") \
	X(a_number_in_an_array, IN_A("dscp = [46];"), \
		"4: groups.a.dscp: is an array [ ], write one value: dscp = 0;") \
	X(a_prefix_of_no_bytes, IN_H("filter: { prefix = \"0x\"; };"), \
		"4: handlers.h.filter.prefix: has no bytes after the 0x, and every datagram is like that: write two digits for each, or leave the key out") \
	X(a_prefix_of_no_bytes_in_not, IN_H("filter: { not: { prefix = \"0x\"; }; };"), \
		"4: handlers.h.filter.not.prefix: has no bytes after the 0x, and every datagram is like that: write two digits for each, or leave the key out") \
	X(a_prefix_longer_than_max_size, IN_H("filter: { max_size = 2; prefix = \"ALARM\"; };"), \
		"4: handlers.h.filter.prefix: 'ALARM' needs a payload of 5 bytes, more than max_size: no datagram is like that") \
	X(a_condition_beyond_max_size, IN_H("filter: { max_size = 9; match = [\"u16@8 == 7\"]; };"), \
		"4: handlers.h.filter.match: 'u16@8 == 7' needs a payload of 10 bytes, more than max_size: no datagram is like that") \
	X(conditions_that_contradict, IN_H("filter: { match = [\"u8@0 == 1\", \"u8@0 == 2\"]; };"), \
		"4: handlers.h.filter.match: 'u8@0 == 2' contradicts what else the filter asks of these bytes: no datagram is like that") \
	X(a_condition_that_contradicts_the_prefix, IN_H("filter: { prefix = \"A\"; match = [\"u8@0 == 1\"]; };"), \
		"4: handlers.h.filter.match: 'u8@0 == 1' contradicts what else the filter asks of these bytes: no datagram is like that") \
	X(block_sources_that_leave_out_all_of_sources, \
		IN_H("filter: { sources = \"10.1.0.0/16\";\nblock_sources = \"10.0.0.0/8\"; };"), \
		"5: handlers.h.filter.block_sources: leaves out all of sources, no datagram is like that") \
	X(array_of_different_types, IN_A("interfaces = [\"eth0\", 1];"), \
		"4: mismatched element type in array, write all items as strings") \
	X(something_else_than_a_setting, "a = 1;\n= 5;", \
		"2: syntax error, a setting is NAME = VALUE; look here and on the line above") \
	/* The traps of libconfig, each of which 1.5 lets through or answers with exit(2) */ \
	X(trap_include_of_a_directory, "a = 1;\n@include \"/tmp\"\n", \
		"2: @include is not supported, put the file into conf.d instead") \
	X(trap_integer_that_wraps, IN_A("ttl = 5000000000;"), \
		"4: 5000000000 has more than 9 digits, use a smaller number (a size or a duration is a string with its unit: \"4G\", \"5s\")") \
	X(trap_hexadecimal_that_wraps, IN_A("ttl = 0x100000001;"), \
		"4: 0x100000001 has more than 7 hexadecimal digits, use a smaller number") \
	X(trap_leading_zero, IN_A("ttl = 010;"), \
		"4: 010 begins with 0, which some versions of libconfig take for octal, remove the 0 (a file mode is a string: \"0660\")") \
	X(trap_strings_that_join, IN_A("interfaces = [\"eth0\" \"eth1\"];"), \
		"4: two strings without a comma between them become one, write the comma") \
	X(trap_unclosed_comment, "run_directory = \"/x\";\n/* groups: {};\n", \
		"2: the comment that begins here is never closed, add */") \
	X(trap_escaped_nul, "run_directory = \"/x\\x00y\";", "1: \\x00 cannot be in a string, remove it") \
	X(trap_same_key_twice, IN_A("ttl = 1;\n  ttl = 2;"), \
		"5: groups.a.ttl: already defined at D/mcastd.conf:4, remove one of them") \
	X(trap_same_group_twice, "groups: {\n a: { port = 1; };\n a: { port = 2; };\n};", \
		"3: groups.a: already defined at D/mcastd.conf:2, remove one of them") \
	X(trap_float_where_lookup_fails, IN_H("queue = 1.5;"), \
		"4: handlers.h.queue: is a number with a fraction, write a string such as \"4M\"")

/* clang-format on */

#define BROKEN_TEST(name, text, expected)                          \
	static void name(void **state)                             \
	{                                                          \
		write_file(*state, "mcastd.conf", text);           \
		assert_refused(*state, "D/mcastd.conf:" expected); \
	}

BROKEN_CONFIGURATIONS(BROKEN_TEST)

static void trap_nul_byte_that_truncates(void **state)
{
	static const char text[] = "run_directory = \"/x\";\n\0groups: {";

	write_bytes(*state, "mcastd.conf", text, sizeof(text) - 1);
	assert_refused(*state,
		"D/mcastd.conf:2: there is a NUL byte, which no text has: is this the right file?");
}

/* ---- Broken in several places ---- */

static void all_errors_of_a_file_are_found_in_one_run(void **state)
{
	write_file(*state, "mcastd.conf",
		"groups: {\n"
		"  a: { adress = \"233.252.0.1\"; port = \"1\"; ttl = 010; handlers = [\"x1\", "
		"\"log\"]; };\n"
		"  b: { address = \"0.0.0.1\"; port = 70000; };\n"
		"};\n"
		"handlers: { h: { type = \"x\"; }; i: { type = \"file\"; }; };\n"
		"contrl: {};\n");
	assert_refused(*state,
		"D/mcastd.conf:2: 010 begins with 0, which some versions of libconfig take for "
		"octal, "
		"remove the 0 (a file mode is a string: \"0660\")",
		"D/mcastd.conf:2: groups.a: unknown key \"adress\", did you mean \"address\"?",
		"D/mcastd.conf:2: groups.a.port: is a string, write a number without quotes",
		"D/mcastd.conf:2: groups.a: has no address, add one: address = \"233.252.0.1\";",
		"D/mcastd.conf:3: groups.b.port: 70000 is out of range, use 1 to 65535",
		"D/mcastd.conf:5: handlers.h.type: unknown type \"x\", use another (there are "
		"journal, log, "
		"file, relay, broker)",
		"D/mcastd.conf:5: handlers.i: has no path, add one: path = \"/a/path\";",
		"D/mcastd.conf:6: unknown key \"contrl\", did you mean \"control\"?",
		"D/mcastd.conf:2: groups.a.handlers: there is no handler \"x1\", define it in "
		"handlers: { "
		"... };",
		"D/mcastd.conf:3: groups.b.address: \"0.0.0.1\" is no address of a host, use "
		"0.0.0.0 for all of this host");
}

static void every_item_of_a_list_is_judged(void **state)
{
	write_file(*state, "mcastd.conf",
		IN_A("sources = [\"x\",\n\"y\",\n\"192.0.2.1\",\n\"233.252.0.9\"];"));
	assert_refused(*state,
		"D/mcastd.conf:4: groups.a.sources: \"x\" is not an IP address, write one such as "
		"\"233.252.0.1\" or \"ff15::1\"",
		"D/mcastd.conf:5: groups.a.sources: \"y\" is not an IP address, write one such as "
		"\"233.252.0.1\" or \"ff15::1\"",
		"D/mcastd.conf:4: groups.a.sources: \"233.252.0.9\" is not the address of a "
		"sender, use a "
		"unicast address");
}

static void errors_of_all_files_are_found_in_one_run(void **state)
{
	write_file(*state, "mcastd.conf", "a = ;");
	write_file(*state, "conf.d/a.conf", "b = 1;");
	write_file(*state, "conf.d/b.conf", "run_directory = \"x\";");
	assert_refused(*state, "D/mcastd.conf:1: syntax error, there is no value after =",
		"D/conf.d/a.conf:1: unknown key \"b\", known: user, group, run_directory, "
		"import_port, groups, "
		"handlers, "
		"control, http, events",
		"D/conf.d/b.conf:1: run_directory: \"x\" is not an absolute path, begin it with /");
}

static void a_handler_may_be_in_a_file_that_could_not_be_read(void **state)
{
	write_file(*state, "mcastd.conf", IN_A("handlers = \"archive\";"));
	write_file(*state, "conf.d/a.conf", "handlers: { archive: { type = } };");
	assert_refused(*state, "D/conf.d/a.conf:1: syntax error, there is no value after =");
}

static void a_refused_value_has_no_further_errors(void **state)
{
	write_file(*state, "mcastd.conf", IN_A("socket = 1; socket_mode = \"0600\";"));
	assert_refused(*state, "D/mcastd.conf:4: groups.a.socket: is a number, write true");
}

static void a_refused_mode_is_not_refused_again_for_want_of_a_socket(void **state)
{
	write_file(*state, "mcastd.conf", IN_A("socket_mode = \"0999\";"));
	assert_refused(*state, "D/mcastd.conf:4: groups.a.socket_mode: \"0999\" is not a file "
			       "mode, write three octal "
			       "digits such as \"0660\"");
}

static void values_cannot_forge_lines_or_send_escapes(void **state)
{
	write_file(*state, "mcastd.conf",
		IN_A("interfaces = \"\\n/etc/x:1: all is \\x1b[32mwell /\";"));
	assert_refused(*state, "D/mcastd.conf:4: groups.a.interfaces: \"\\n/etc/x:1: all is "
			       "\\x1b[32mwell /\" cannot be an "
			       "interface: write its name or one of its addresses, without /");
}

static void long_values_are_cut(void **state)
{
	char text[4096], keys[3000];

	memset(keys, 'x', sizeof(keys));
	keys[sizeof(keys) - 1] = '\0';
	snprintf(text, sizeof(text), "control: { socket = \"%s\"; };", keys);
	write_file(*state, "mcastd.conf", text);
	assert_refused(*state, "D/mcastd.conf:1: control.socket: "
			       "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\" is not an "
			       "absolute path, begin it with /");
}

static void two_groups_that_receive_the_same_name_both_places(void **state)
{
	write_file(*state, "mcastd.conf",
		"groups: {\n"
		"  b: { address = \"233.252.0.1\"; port = 1; interfaces = \"eth0\"; };\n"
		"  a: { address = \"233.252.0.1\"; port = 1; interfaces = [\"eth0\"]; };\n"
		"};");
	assert_refused(*state,
		"D/mcastd.conf:3: groups.a: joins the same address, port, interfaces and sources "
		"as "
		"groups.b at D/mcastd.conf:2, remove one of them or let them differ");
}

static void groups_that_differ_in_one_of_them_are_accepted(void **state)
{
	load_text(*state,
		"groups: {\n"
		"  a: { address = \"233.252.0.1\"; port = 1; };\n"
		"  b: { address = \"233.252.0.1\"; port = 2; };\n"
		"  c: { address = \"233.252.0.2\"; port = 1; };\n"
		"  d: { address = \"233.252.0.1\"; port = 1; interfaces = \"eth0\"; };\n"
		"  e: { address = \"233.252.0.1\"; port = 1; interfaces = \"eth1\"; };\n"
		"  f: { address = \"233.252.0.1\"; port = 1; sources = \"192.0.2.1\"; };\n"
		"  g: { address = \"233.252.0.1\"; port = 1; sources = \"192.0.2.2\"; };\n"
		"  h: { address = \"233.252.0.1\"; port = 1; block_sources = \"192.0.2.2\"; };\n"
		"};");
}

/* ---- Relays: group a, and what it is relayed to ---- */

#define RELAY(group, relay)                                                                    \
	"groups: { a: { port = 1; " group " handlers = \"r\"; }; };\nhandlers: { r: { type = " \
	"\"relay\"; " relay " }; };"

static bool has_error(const struct fixture *fixture, const char *part)
{
	for (size_t i = 0; i < fixture->errors.count; i++)
		if (strstr(fixture->errors.lines[i], part))
			return true;
	return false;
}

static bool is_echo(struct fixture *fixture, const char *text)
{
	write_file(fixture, "mcastd.conf", text);
	errors_clear(&fixture->errors);
	config_free(take(fixture->config));
	load(fixture);
	return has_error(
		fixture, "groups.a.handlers: \"r\" sends to the address and port of the group");
}

static void a_group_that_hears_its_own_handler_is_refused(void **state)
{
	static const char *const texts[] = {
		RELAY("address = \"233.252.0.1\";", "address = \"233.252.0.1\";"),
		RELAY("address = \"233.252.0.1\"; interfaces = \"eth0\";",
			"address = \"233.252.0.1\";"),
		RELAY("address = \"233.252.0.1\"; interfaces = [\"eth0\", \"eth1\"];",
			"address = \"233.252.0.1\"; interface = \"eth1\";"),
		RELAY("address = \"233.252.0.1\"; interfaces = \"vlan*\";",
			"address = \"233.252.0.1\"; interface = \"vlan7\";"),
		RELAY("address = \"233.252.0.1\"; interfaces = \"!eth1\";",
			"address = \"233.252.0.1\"; interface = \"eth0\";"),
		RELAY("address = \"233.252.0.1\"; interfaces = [\"!eth1\", \"eth*\"];",
			"address = \"233.252.0.1\"; interface = \"eth0\";"),
		RELAY("address = \"ff05::1\"; interfaces = \"eth0\";",
			"address = \"ff05::1\"; interface = \"eth0\";"),
		RELAY("address = \"192.0.2.255\"; interfaces = \"eth0\";",
			"address = \"192.0.2.255\"; interface = \"eth0\";"),
		RELAY("address = \"192.0.2.1\";", "address = \"192.0.2.1\";"),
		RELAY("address = \"0.0.0.0\";", "address = \"127.0.0.1\";"),
		RELAY("address = \"::\";", "address = \"::1\";"),
		RELAY("address = \"0.0.0.0\";", "address = \"255.255.255.255\";")};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_true(is_echo(*state, texts[i]));
}

static void a_group_that_does_not_hear_its_own_handler_is_accepted(void **state)
{
	static const char *const texts[] = {
		RELAY("address = \"233.252.0.1\"; interfaces = \"!eth1\";",
			"address = \"233.252.0.1\"; interface = \"eth1\";"),
		RELAY("address = \"233.252.0.1\"; interfaces = [\"eth*\", \"!eth[12]\"];",
			"address = \"233.252.0.1\"; interface = \"eth1\";"),
		RELAY("address = \"233.252.0.1\"; interfaces = \"eth0\";",
			"address = \"233.252.0.1\"; interface = \"eth1\";"),
		RELAY("address = \"233.252.0.1\";", "address = \"233.252.0.2\";"),
		RELAY("address = \"0.0.0.0\";", "address = \"192.0.2.9\";"),
		RELAY("address = \"127.0.0.2\";", "address = \"127.0.0.1\";"),
		RELAY("address = \"::\";", "address = \"127.0.0.1\";")};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_false(is_echo(*state, texts[i]));
}

static void the_own_handler_is_heard_on_interfaces_of_any_name_and_address(void **state)
{
	assert_true(is_echo(*state, RELAY("address = \"233.252.0.1\"; interfaces = \"lo\";",
					    "address = \"233.252.0.1\"; interface = "
					    "\"127.0.0.1\";")));
	assert_true(is_echo(*state, RELAY("address = \"233.252.0.1\"; interfaces = "
					  "\"127.0.0.1\";",
					    "address = \"233.252.0.1\"; interface = \"lo\";")));
	assert_false(is_echo(*state, RELAY("address = \"233.252.0.1\"; interfaces = "
					   "\"!127.0.0.1\";",
					     "address = \"233.252.0.1\"; interface = \"lo\";")));
	assert_false(is_echo(*state, RELAY("address = \"233.252.0.1\";",
					     "address = \"233.252.0.1\"; interface = \"lo\";")));
}

/* A name is joined whatever the list leaves out; a pattern is not. */
static void what_is_named_is_not_left_out_by_a_pattern(void **state)
{
	assert_true(is_echo(
		*state, RELAY("address = \"233.252.0.1\"; interfaces = [\"eth0\", \"!eth*\"];",
				"address = \"233.252.0.1\"; interface = \"eth0\";")));
	assert_false(
		is_echo(*state, RELAY("address = \"233.252.0.1\"; interfaces = [\"*\", \"!eth*\"];",
					"address = \"233.252.0.1\"; interface = \"eth0\";")));
}

#define MERGED(legs, relay)                                                                        \
	"groups: { " legs " a: { merge = [\"b\", \"c\"]; sequence = \"u32@0\"; handlers = \"r\"; " \
	"}; };\nhandlers: { r: { type = \"relay\"; " relay " }; };"

/* The group has no address of its own, and gets what its legs do. */
static void a_merged_group_relays_under_the_rules_of_its_legs(void **state)
{
	struct fixture *fixture = *state;

	write_file(fixture, "mcastd.conf",
		MERGED("b: { address = \"192.0.2.1\"; port = 1; }; c: { address = \"233.252.0.1\"; "
		       "port = 2; };",
			"address = \"233.252.0.1\";"));
	load(fixture);
	assert_true(has_error(fixture,
		"groups.a.handlers: \"r\" would send to the network what anybody sends to its "
		"leg b on this host; "));
}

static void groups_of_one_address_may_feed_each_other(void **state)
{
	struct fixture *fixture = *state;

	write_file(fixture, "mcastd.conf",
		"groups: {\n"
		"  a: { address = \"233.252.0.1\"; port = 1; interfaces = \"eth0\"; handlers = "
		"\"to-b\"; };\n"
		"  b: { address = \"233.252.0.1\"; port = 1; interfaces = \"eth1\"; handlers = "
		"\"to-a\"; };\n"
		"};\n"
		"handlers: {\n"
		"  to-a: { type = \"relay\"; address = \"233.252.0.1\"; interface = \"eth0\"; };\n"
		"  to-b: { type = \"relay\"; address = \"233.252.0.1\"; interface = \"eth1\"; };\n"
		"};");
	assert_int_equal(load(fixture), 0);
}

static void a_broker_may_serve_a_group_both_ways(void **state)
{
	struct fixture *fixture = *state;

	write_file(fixture, "mcastd.conf",
		"import_port = 5999;" IN_B("handlers = [\"hq\"]; inputs = [\"hq\"];"));
	assert_int_equal(load(fixture), 0);
	assert_int_equal(fixture->config->import_port, 5999);
	assert_string_equal(fixture->config->groups[0].inputs.items[0], "hq");
}

static bool is_injection(struct fixture *fixture, const char *text)
{
	write_file(fixture, "mcastd.conf", text);
	errors_clear(&fixture->errors);
	config_free(take(fixture->config));
	load(fixture);
	return has_error(fixture,
		":1: groups.a.handlers: \"r\" would send to the network what anybody sends to this "
		"host; name the senders with sources, or where they are with interfaces");
}

static void unicast_of_any_sender_is_not_relayed_to_a_network(void **state)
{
	static const char *const texts[] = {
		RELAY("address = \"192.0.2.1\";", "address = \"233.252.0.1\";"),
		RELAY("address = \"0.0.0.0\";", "address = \"233.252.0.1\";"),
		RELAY("address = \"192.0.2.1\"; interfaces = [\"!eth0\"];",
			"address = \"233.252.0.1\";"),
		RELAY("address = \"192.0.2.1\"; block_sources = \"192.0.2.8\";",
			"address = \"233.252.0.1\";")};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_true(is_injection(*state, texts[i]));
}

static void unicast_of_named_senders_or_interfaces_is_relayed(void **state)
{
	static const char *const texts[] = {
		RELAY("address = \"192.0.2.1\"; sources = \"192.0.2.7\";",
			"address = \"233.252.0.1\";"),
		RELAY("address = \"192.0.2.1\"; interfaces = \"wg0\";",
			"address = \"233.252.0.1\";"),
		RELAY("address = \"192.0.2.1\";",
			"address = \"233.252.0.1\"; filter: { sources = \"10.0.0.0/8\"; };"),
		RELAY("address = \"192.0.2.1\";", "address = \"192.0.2.9\";")};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_false(is_injection(*state, texts[i]));
}

/* A directory of groups whose socket's path has this many bytes. */
static void write_socket_path(struct fixture *fixture, size_t length)
{
	char directory[128] = "/", text[512];
	size_t size = length - strlen("/groups/a");

	memset(directory + 1, 'd', size - 1);
	directory[size] = '\0';
	snprintf(text, sizeof(text), "run_directory = \"%s\";\n" IN_A("socket = true;"), directory);
	write_file(fixture, "mcastd.conf", text);
}

static void a_socket_path_of_107_bytes_fits(void **state)
{
	write_socket_path(*state, 107);
	load_files(*state);
}

static void a_socket_path_of_108_bytes_is_refused(void **state)
{
	struct fixture *fixture = *state;

	write_socket_path(fixture, 108);
	assert_int_equal(load(fixture), -EINVAL);
	assert_non_null(strstr(fixture->errors.lines[0], ":1: run_directory: "));
}

static void a_group_name_makes_its_socket_path_too_long(void **state)
{
	write_file(*state, "mcastd.conf",
		"run_directory = \"/run/012345678901234567890123456789012345678901234567890\";\n"
		"groups: { abcdefghijklmnopqrstuvwxyz0123456789abcdefgh: {\n"
		"  address = \"233.252.0.1\"; port = 1;\n"
		"  socket = true; }; };");
	assert_refused(*state,
		"D/mcastd.conf:4: groups.abcdefghijklmnopqrstuvwxyz0123456789abcdefgh.socket: the "
		"socket's "
		"path would have 108 bytes, use at most 107: shorten the name or run_directory");
}

static void a_control_socket_of_108_bytes_is_refused(void **state)
{
	struct fixture *fixture = *state;
	char path[109] = "/", text[256];

	memset(path + 1, 'x', 107);
	snprintf(text, sizeof(text), "control: { socket = \"%s\"; };", path);
	write_file(fixture, "mcastd.conf", text);
	assert_int_equal(load(fixture), -EINVAL);
	assert_non_null(strstr(fixture->errors.lines[0], "is longer than 107 bytes"));
}

static void an_empty_list_allows_nobody(void **state)
{
	assert_int_equal(load_group(*state, IN_A("allow_send = [];"))->allow_send.count, 0);
}

static void a_socket_group_may_be_a_number(void **state)
{
	const struct config_group *group = load_group(
		*state, IN_A("socket = true; socket_group = \"4711\";"));

	assert_int_equal(group->socket_group.id, 4711);
}

static void the_number_of_kept_errors_is_bounded(void **state)
{
	struct fixture *fixture = *state;
	AUTO_TEXT struct text text = {0};

	for (int i = 0; i < 1000; i++)
		text_printf(&text, "key%d = 1;\n", i);
	write_file(fixture, "mcastd.conf", text_string(&text));
	assert_int_equal(load(fixture), -EINVAL);
	assert_int_equal(fixture->errors.count, ERRORS_MAX);
	assert_int_equal(errors_total(&fixture->errors), 1000);
}

/* ---- Groups that do not come from a file ---- */

static void make_group(struct config_group *group, const char *name, const char *address)
{
	char why[WHY_MAX];

	assert_int_equal(config_group_init(group, name), 0);
	if (address)
		assert_int_equal(schema_set(&group_schema, group, "address", address, why), 0);
	assert_int_equal(schema_set(&group_schema, group, "port", "5004", why), 0);
}

static void check_made_group(
	struct fixture *fixture, const char *name, const char *address, size_t count)
{
	struct config_group group;

	make_group(&group, name, address);
	assert_int_equal(config_check_group(fixture->config, &group, &fixture->errors), count);
	assert_int_equal(errors_total(&fixture->errors), count);
	config_group_clear(&group);
}

static void a_group_may_be_named_after_its_address(void **state)
{
	load_text(*state, "");
	check_made_group(*state, "233.252.0.1:5004", "233.252.0.1", 0);
	check_made_group(*state, "[ff15::1]:5004%lo", "ff15::1", 0);
}

static void a_group_name_cannot_be_a_path(void **state)
{
	load_text(*state, "");
	check_made_group(*state, "../x", "233.252.0.1", 1);
	assert_error(*state, 0, "group ../x: the name begins with a dot");
}

static void a_group_name_has_no_other_characters(void **state)
{
	load_text(*state, "");
	check_made_group(*state, "a/b\n", "233.252.0.1", 1);
	assert_error(*state, 0,
		"group a/b\\n: the name has other characters than letters, digits and ._:%-+[]*?");
}

static void a_group_name_is_not_empty(void **state)
{
	load_text(*state, "");
	check_made_group(*state, "", "233.252.0.1", 1);
	assert_error(*state, 0, "group : the name is empty");
}

static void a_group_name_has_64_bytes_at_most(void **state)
{
	char name[GROUP_NAME_MAX + 2];

	load_text(*state, "");
	memset(name, 'a', sizeof(name));
	name[GROUP_NAME_MAX] = '\0';
	check_made_group(*state, name, "233.252.0.1", 0);
	name[GROUP_NAME_MAX] = 'a';
	name[GROUP_NAME_MAX + 1] = '\0';
	check_made_group(*state, name, "233.252.0.1", 1);
	assert_error(*state, 0,
		"group aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...: the name is longer than 64 "
		"bytes, use a shorter one");
}

static void a_made_group_needs_an_address(void **state)
{
	load_text(*state, "");
	check_made_group(*state, "x", NULL, 1);
	assert_error(*state, 0, "group x: address: is missing");
}

static void a_made_group_needs_an_address_that_a_host_may_have(void **state)
{
	load_text(*state, "");
	check_made_group(*state, "x", "192.0.2.1", 0);
	check_made_group(*state, "x", "0.0.0.1", 1);
	assert_error(*state, 0,
		"group x: address: \"0.0.0.1\" is no address of a host, use "
		"0.0.0.0 for all of this host");
}

static void an_added_group_belongs_to_the_configuration(void **state)
{
	struct fixture *fixture = *state;
	struct config_group group;

	load_text(fixture, GROUP_A);
	make_group(&group, "x", "233.252.0.1");
	assert_int_equal(config_add_group(fixture->config, &group), 0);
	assert_null(group.name);
	assert_int_equal(fixture->config->group_count, 2);
	assert_string_equal(fixture->config->groups[1].name, "x");
}

/* ---- Comparing ---- */

static struct config *load_other(struct fixture *fixture, const char *text)
{
	struct config *config;
	char path[PATH_SIZE];

	write_file(fixture, "other", text);
	assert_int_equal(
		config_load(path_of(fixture, "other", path), kinds, &fixture->errors, &config), 0);
	return config;
}

static void groups_that_say_the_same_are_equal_wherever_they_stand(void **state)
{
	const struct config_group *group = load_group(
		*state, IN_A("ttl = 1; interfaces = \"eth0\";"));
	struct config *other = load_other(*state, "\n\n" IN_A("interfaces = [\"eth0\"];"));

	assert_true(config_group_equal(group, &other->groups[0]));
	config_free(other);
}

static void groups_that_differ_in_a_key_are_not_equal(void **state)
{
	const struct config_group *group = load_group(*state, IN_A("ttl = 1;"));
	struct config *other = load_other(*state, IN_A("ttl = 2;"));

	assert_false(config_group_equal(group, &other->groups[0]));
	config_free(other);
}

static void groups_of_different_names_are_not_equal(void **state)
{
	const struct config_group *group = load_group(*state, GROUP_A);
	struct config *other = load_other(
		*state, "groups: { b: { address = \"233.252.0.1\"; port = 1; }; };");

	assert_false(config_group_equal(group, &other->groups[0]));
	config_free(other);
}

static bool handlers_equal(struct fixture *fixture, const char *one, const char *two)
{
	const struct config *config = load_text(fixture, one);
	struct config *other = load_other(fixture, two);
	bool equal = config_handler_equal(
		config_find_handler(config, "log"), config_find_handler(other, "log"));

	config_free(other);
	return equal;
}

static void a_builtin_handler_equals_the_same_one_declared(void **state)
{
	assert_true(handlers_equal(*state, "", "handlers: { log: { type = \"log\"; }; };"));
}

static void handlers_that_differ_in_a_common_key_are_not_equal(void **state)
{
	assert_false(handlers_equal(
		*state, "", "handlers: { log: { type = \"log\"; drop = \"oldest\"; }; };"));
}

static void handlers_that_differ_in_their_kind_are_not_equal(void **state)
{
	assert_false(handlers_equal(*state, "", "handlers: { log: { type = \"journal\"; }; };"));
}

static void handlers_that_differ_in_a_key_of_their_kind_are_not_equal(void **state)
{
	assert_false(
		handlers_equal(*state, "handlers: { log: { type = \"file\"; path = \"/a\"; }; };",
			"handlers: { log: { type = \"file\"; path = \"/b\"; }; };"));
}

/* ---- Size ---- */

static void ten_thousand_groups_are_read(void **state)
{
	struct fixture *fixture = *state;
	const struct config *config;

	write_file(fixture, "mcastd.conf", "");
	for (int file = 0; file < 10; file++) {
		AUTO_TEXT struct text text = {0};
		char name[32];

		text_append_string(&text, "groups: {\n");
		for (int i = file * 1000; i < file * 1000 + 1000; i++)
			text_printf(&text,
				"g%d: { address = \"239.0.%d.%d\"; port = 1; handlers = \"log\"; "
				"};\n",
				i, i / 256, i % 256);
		text_append_string(&text, "};\n");
		snprintf(name, sizeof(name), "conf.d/%d.conf", file);
		write_file(fixture, name, text_string(&text));
	}
	config = load_files(fixture);
	assert_int_equal(config->group_count, 10000);
	assert_string_equal(config->groups[9999].name, "g9999");
}

/* One definition in each file: what is first must not depend on how the sort goes about it. */
static void of_many_definitions_the_first_one_is_named(void **state)
{
	struct fixture *fixture = *state;
	char name[32];

	write_file(fixture, "mcastd.conf", GROUP_A);
	for (int i = 10; i < 30; i++) {
		snprintf(name, sizeof(name), "conf.d/%d.conf", i);
		write_file(fixture, name, GROUP_A);
	}
	assert_int_equal(load(fixture), -EINVAL);
	assert_int_equal(fixture->errors.count, 20);
	for (size_t i = 0; i < 20; i++)
		assert_non_null(strstr(fixture->errors.lines[i], "/mcastd.conf:1, rename"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown),
#define BROKEN_ROW(name, text, expected) TEST(name)

/* clang-format off */
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_a_file_there_are_the_compiled_defaults)
		TEST(an_empty_file_is_a_configuration)
		TEST(the_runtime_directory_is_the_first_of_the_list)
		TEST(a_runtime_directory_that_is_no_path_is_ignored)
		TEST(the_file_stands_above_the_runtime_directory)
		TEST(the_control_socket_is_read)
		TEST(http_is_off_by_default)
		TEST(the_keys_of_http_are_read)
		TEST(the_variable_of_mcastctl_is_the_default_of_the_control_socket)
		TEST(the_file_stands_above_the_variable_of_the_control_socket)
		TEST(a_control_socket_of_the_environment_that_is_no_path_is_an_error)
		TEST(a_group_has_defaults)
		TEST(every_key_of_a_group_is_read)
		TEST(a_single_string_is_a_list_of_one)
		TEST(groups_stay_in_the_order_of_the_file)
		TEST(a_group_knows_where_it_stands)
		TEST(a_number_with_l_is_a_number)
		TEST(a_handler_has_the_settings_of_its_kind)
		TEST(a_handler_has_defaults)
		TEST(log_and_journal_need_no_declaration)
		TEST(a_declared_log_stands_above_the_builtin)
		TEST(a_kind_that_is_not_built_in_has_no_handler)
		TEST(any_handler_is_found_by_its_name)
		TEST(added_handlers_are_found_too)
		TEST(conf_d_is_read_by_name_behind_the_main_file)
		TEST(a_later_file_stands_above_an_earlier_one)
		TEST(other_names_in_conf_d_are_ignored)
		TEST(a_file_of_another_name_has_a_directory_of_its_own)
		TEST(a_group_may_use_a_handler_of_a_later_file)
		TEST(a_conf_d_with_too_many_files_is_refused)
		TEST(a_comment_may_end_with_the_file)
		TEST(a_relative_path_has_its_conf_d_beside_it)
		TEST(a_group_defined_twice_names_both_places)
		TEST(a_handler_defined_twice_names_both_places)
		TEST(handlers_that_write_one_file_by_any_name_are_refused)
		TEST(handlers_that_write_files_of_their_own_are_accepted)
		TEST(a_file_in_dev_is_a_file)
		TEST(a_character_device_may_be_shared)
		TEST(the_places_of_the_keys_of_a_start_are_known)
		TEST(a_fifo_in_conf_d_is_refused_and_not_waited_for)
		TEST(a_fifo_as_the_main_file_is_refused_and_not_waited_for)
		TEST(a_directory_in_conf_d_is_refused)
		TEST(a_link_to_nowhere_is_refused)
		TEST(a_conf_d_that_is_no_directory_is_refused)
		TEST(a_file_name_that_forges_lines_is_refused)
		TEST(a_missing_file_is_refused)
		TEST(a_file_too_large_is_refused)
		TEST(files_too_large_together_are_refused)
		BROKEN_CONFIGURATIONS(BROKEN_ROW)
		TEST(trap_nul_byte_that_truncates)
		TEST(all_errors_of_a_file_are_found_in_one_run)
		TEST(every_item_of_a_list_is_judged)
		TEST(errors_of_all_files_are_found_in_one_run)
		TEST(a_handler_may_be_in_a_file_that_could_not_be_read)
		TEST(a_refused_value_has_no_further_errors)
		TEST(a_refused_mode_is_not_refused_again_for_want_of_a_socket)
		TEST(values_cannot_forge_lines_or_send_escapes)
		TEST(long_values_are_cut)
		TEST(two_groups_that_receive_the_same_name_both_places)
		TEST(groups_that_differ_in_one_of_them_are_accepted)
		TEST(a_group_that_hears_its_own_handler_is_refused)
		TEST(a_group_that_does_not_hear_its_own_handler_is_accepted)
		TEST(the_own_handler_is_heard_on_interfaces_of_any_name_and_address)
		TEST(what_is_named_is_not_left_out_by_a_pattern)
		TEST(a_merged_group_relays_under_the_rules_of_its_legs)
		TEST(groups_of_one_address_may_feed_each_other)
		TEST(a_broker_may_serve_a_group_both_ways)
		TEST(unicast_of_any_sender_is_not_relayed_to_a_network)
		TEST(unicast_of_named_senders_or_interfaces_is_relayed)
		TEST(a_socket_path_of_107_bytes_fits)
		TEST(a_socket_path_of_108_bytes_is_refused)
		TEST(a_group_name_makes_its_socket_path_too_long)
		TEST(a_control_socket_of_108_bytes_is_refused)
		TEST(a_socket_group_may_be_a_number)
		TEST(an_empty_list_allows_nobody)
		TEST(the_number_of_kept_errors_is_bounded)
		TEST(a_group_may_be_named_after_its_address)
		TEST(a_group_name_cannot_be_a_path)
		TEST(a_group_name_has_no_other_characters)
		TEST(a_group_name_is_not_empty)
		TEST(a_group_name_has_64_bytes_at_most)
		TEST(a_made_group_needs_an_address)
		TEST(a_made_group_needs_an_address_that_a_host_may_have)
		TEST(an_added_group_belongs_to_the_configuration)
		TEST(groups_that_say_the_same_are_equal_wherever_they_stand)
		TEST(groups_that_differ_in_a_key_are_not_equal)
		TEST(groups_of_different_names_are_not_equal)
		TEST(a_builtin_handler_equals_the_same_one_declared)
		TEST(handlers_that_differ_in_a_common_key_are_not_equal)
		TEST(handlers_that_differ_in_their_kind_are_not_equal)
		TEST(handlers_that_differ_in_a_key_of_their_kind_are_not_equal)
		TEST(ten_thousand_groups_are_read)
		TEST(of_many_definitions_the_first_one_is_named)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
