#include "daemon/adhoc.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/escape.h"
#include "base/io.h"
#include "base/log.h"
#include "config/where.h"
#include "formats/printer.h"
#include "handlers/handler.h"
#include "handlers/ledger.h"
#include "net/target.h"

/* No name of the configuration can be this one. */
#define PRINT_HANDLER "(print)"

/* ---- The handler that prints ---- */

struct print_settings {
	struct printer printer; /* that has printed nothing */
	uint64_t count; /* 0: no limit */
	int done_fd; /* eventfd(2): the count is reached */
};

struct print {
	struct print_settings settings;
	struct printer printer;
	const char *name;
	uint64_t left; /* to print, with a count */
	struct text text;
	struct log_limit limit;
};

static unsigned print_needs(const void *settings)
{
	return printer_needs(&((const struct print_settings *)settings)->printer);
}

static void print_close(void *object)
{
	struct print *print = object;

	if (!print)
		return;
	printer_clear(&print->printer);
	text_free(&print->text);
	free(print);
}

static int print_open(const void *settings, const struct handler_context *context,
	char why[static WHY_MAX], void **ret)
{
	struct print *print = calloc(1, sizeof(*print));

	(void)why;
	if (!print)
		return -ENOMEM;
	print->settings = *(const struct print_settings *)settings;
	print->printer = print->settings.printer;
	print->name = context->name;
	print->left = print->settings.count ? print->settings.count : UINT64_MAX;
	*ret = print;
	return 0;
}

/* Returns 0 or a negative errno. */
static int write_text(struct print *print)
{
	int r = text_failed(&print->text)
			? -ENOMEM
			: write_all(STDOUT_FILENO, print->text.data, print->text.length);

	if (r < 0 && log_limit_pass(&print->limit))
		log_warning("writing to standard output: %s", strerror(-r));
	text_clear(&print->text);
	return r;
}

/* At once, so that whoever reads a pcapng stream need not wait for a datagram. */
static void print_begin(void *object)
{
	struct print *print = object;

	printer_begin(&print->printer, &print->text);
	write_text(print);
}

/* What comes after the count was reached is dropped as at the end. */
static void print_deliver(void *object, const struct batch *batch, struct outcome *outcome)
{
	struct print *print = object;
	unsigned count = batch->count < print->left ? batch->count : (unsigned)print->left;

	outcome->dropped[DROP_SHUTDOWN] += batch->count - count;
	if (!count)
		return;
	for (unsigned i = 0; i < count; i++)
		printer_append(&print->printer, &print->text, batch->origin, &batch->datagrams[i]);
	if (write_text(print) < 0) {
		outcome->dropped[DROP_IO] += count;
		return;
	}
	outcome->delivered += count;
	if (print->settings.count && !(print->left -= count))
		eventfd_write(print->settings.done_fd, 1);
}

static const struct handler_kind print_kind = {
	.config = {.name = "print",
		.may_block = true,
		.schema = {.size = sizeof(struct print_settings)}},
	.tells_drops = true,
	.needs = print_needs,
	.open = print_open,
	.begin = print_begin,
	.deliver = print_deliver,
	.close = print_close,
};

/* ---- The configuration ---- */

static int set(
	struct config_group *group, const char *key, const char *value, struct errors *errors)
{
	char why[WHY_MAX];
	int r = schema_set(&group_schema, group, key, value, why);

	if (r < 0)
		errors_add(errors, "%s: %s: %s", group->name, key, why);
	return r;
}

static int fill_group(
	struct config_group *group, const struct target *target, struct errors *errors)
{
	char source[INET6_ADDRSTRLEN];
	int r;

	group->address = target->address;
	group->port = target->port;
	r = target->interface ? set(group, "interfaces", target->interface, errors) : 0;
	for (size_t i = 0; i < target->sources.count && r >= 0; i++)
		r = set(group, "sources", address_format(&target->sources.items[i], source),
			errors);
	return r < 0 ? r : set(group, "handlers", PRINT_HANDLER, errors);
}

/* What stands on the command line may not be text. */
static void report(struct errors *errors, const char *string, const char *why)
{
	AUTO_TEXT struct text line = {0};

	text_append_escaped(&line, string, strlen(string));
	text_append(&line, ": ", 2);
	text_append_escaped(&line, why, strlen(why));
	errors_add(errors, "%s", text_string(&line));
}

static int add_target(struct config *config, const char *string, struct errors *errors)
{
	CLEANUP(config_group_clear) struct config_group group = {0};
	AUTO_TARGET struct target target = {0};
	AUTO_FREE char *name = NULL;
	char why[WHY_MAX];
	int r = target_parse(string, &target, why);

	if (r < 0) {
		report(errors, string, why);
		return r;
	}
	if (!(name = target_group_name(&target)))
		return -ENOMEM;
	for (size_t i = 0; i < config->group_count; i++) {
		if (strcmp(config->groups[i].name, name) != 0)
			continue;
		report(errors, string,
			"there is a group of this name already: name it once, with all its "
			"sources");
		return -EINVAL;
	}
	if (config_group_init(&group, name) < 0)
		return -ENOMEM;
	r = fill_group(&group, &target, errors);
	if (r >= 0 && config_check_group(config, &group, errors))
		r = -EINVAL;
	return r < 0 ? r : config_add_group(config, &group);
}

int adhoc_configure(const struct options *options, struct config *config, struct errors *errors)
{
	struct config_handler *handler;
	struct print_settings *settings;
	char why[WHY_MAX];
	int r, failed = 0;

	if (!options->target_count)
		return 0;
	handler = config_add_handler(config, PRINT_HANDLER, &print_kind.config);
	if (!handler)
		return -ENOMEM;
	settings = handler->settings;
	*settings = (struct print_settings){
		.printer = {.program = "mcastd", .local_time = options->local_time},
		.count = options->count,
		.done_fd = options->done_fd};
	if (options->format)
		printer_set_format(&settings->printer, options->format);
	schema_clear(&filter_schema, &handler->filter);
	r = where_read(options->where, options->where_count, &handler->filter, why);
	if (r < 0) /* memory is short: the options were checked */
		return r;
	for (int i = 0; i < options->target_count; i++)
		if ((r = add_target(config, options->targets[i], errors)) < 0)
			failed = r;
	return failed;
}

/* ---- While it runs ---- */

struct watched {
	char *name;
	const struct group_counters *counters; /* outlive the group, as the daemon stops */
};

struct adhoc {
	struct event_base *base;
	const struct options *options;
	struct groups *groups;
	struct handler *handler;
	const struct account *account; /* outlives the handler, likewise */
	struct watched *watched; /* the targets' groups */
	size_t watched_count;
	struct event *tick, *end;
	bool timed_out;
	uint64_t told; /* lost, as logged last */
};

/* The count is reached, or the time is over. */
static void on_end(evutil_socket_t fd, short what, void *argument)
{
	struct adhoc *adhoc = argument;

	(void)fd;
	adhoc->timed_out = what & EV_TIMEOUT;
	event_base_loopbreak(adhoc->base);
}

/* Those that standard output did not take; at the end, also those that were still queued for it. */
static uint64_t lost_here(const struct adhoc *adhoc, const struct account *account)
{
	const uint64_t *dropped = account->outcome.dropped;
	uint64_t count = adhoc->options->count;
	bool is_done = count && account->outcome.delivered >= count;

	return dropped[DROP_QUEUE] + dropped[DROP_IO] + (is_done ? 0 : dropped[DROP_SHUTDOWN]);
}

/* Why standard output did not take them. */
static const char *reason_here(const struct account *account, uint64_t here)
{
	uint64_t failed = account->outcome.dropped[DROP_IO];

	return !failed          ? "standard output too slow"
	       : failed == here ? "writing to standard output failed"
				: "standard output too slow, or writing to it failed";
}

static void tell_lost(struct adhoc *adhoc, const struct account *account, const char *when)
{
	uint64_t here = lost_here(adhoc, account), before = 0;

	for (size_t i = 0; i < adhoc->watched_count; i++)
		before += adhoc->watched[i].counters->kernel_dropped;
	if (before + here == adhoc->told)
		return;
	adhoc->told = before + here;
	log_warning("%" PRIu64 " datagram%s lost %s: %" PRIu64
		    " before mcastd (receive buffer full), %" PRIu64 " in it (%s)",
		before + here, plural(before + here), when, before, here,
		reason_here(account, here));
}

/* Whether the reader of standard output has gone: a pipe says so by POLLERR, a socket by POLLHUP.
 */
static bool has_no_reader(void)
{
	struct pollfd output = {.fd = STDOUT_FILENO};

	return poll(&output, 1, 0) > 0 && output.revents & (POLLERR | POLLHUP);
}

/* Once a second. With a datagram SIGPIPE ends it; without, it would not notice. A daemon that has a
 * configuration goes on for the rest of it. */
static void on_tick(evutil_socket_t fd, short what, void *argument)
{
	struct adhoc *adhoc = argument;
	struct account account;

	(void)fd, (void)what;
	if (!adhoc->options->configuration && has_no_reader())
		event_base_loopbreak(adhoc->base);
	for (size_t i = 0; i < adhoc->watched_count; i++) {
		struct group *group = groups_find(adhoc->groups, adhoc->watched[i].name);

		if (group)
			group_kernel_dropped(group); /* reads it from the sockets */
	}
	handler_account(adhoc->handler, &account);
	tell_lost(adhoc, &account, "so far");
}

static int watch(struct adhoc *adhoc, const char *string)
{
	AUTO_TARGET struct target target = {0};
	struct watched *watched = &adhoc->watched[adhoc->watched_count];
	AUTO_FREE char *name = NULL;
	char why[WHY_MAX];
	struct group *group;
	int r = target_parse(string, &target, why);

	if (r < 0)
		return r;
	if (!(name = target_group_name(&target)))
		return -ENOMEM;
	group = groups_find(adhoc->groups, name);
	if (!group)
		return -ENOENT;
	watched->name = take(name);
	watched->counters = group->counters;
	adhoc->watched_count++;
	return 0;
}

static int start_events(struct adhoc *adhoc, const struct options *options)
{
	static const struct timeval second = {.tv_sec = 1};
	struct timeval timeout = ns_timeval(options->timeout_ns);

	adhoc->tick = event_new(adhoc->base, -1, EV_PERSIST, on_tick, adhoc);
	adhoc->end = event_new(adhoc->base, options->done_fd, EV_READ, on_end, adhoc);
	if (!adhoc->tick || !adhoc->end || event_add(adhoc->tick, &second) < 0)
		return -ENOMEM;
	return event_add(adhoc->end, options->timeout_ns ? &timeout : NULL);
}

int adhoc_start(const struct options *options, struct event_base *base, struct groups *groups,
	struct handlers *handlers, struct adhoc **ret)
{
	struct adhoc *adhoc = options->target_count ? calloc(1, sizeof(*adhoc)) : NULL;
	int r = 0;

	*ret = adhoc;
	if (!adhoc)
		return options->target_count ? -ENOMEM : 0;
	adhoc->base = base;
	adhoc->options = options;
	adhoc->groups = groups;
	adhoc->handler = handlers_find(handlers, PRINT_HANDLER);
	adhoc->account = handler_ledger(adhoc->handler)->account;
	adhoc->watched = calloc((size_t)options->target_count, sizeof(*adhoc->watched));
	if (!adhoc->watched)
		return -ENOMEM;
	for (int i = 0; i < options->target_count && r >= 0; i++)
		r = watch(adhoc, options->targets[i]);
	return r < 0 ? r : start_events(adhoc, options);
}

static void tell_filtered(const struct account *account)
{
	if (account->filtered + account->outcome.dropped[DROP_RATE])
		log_info("%" PRIu64 " of %" PRIu64 " datagram%s did not pass --where",
			account->filtered + account->outcome.dropped[DROP_RATE], account->received,
			plural(account->received));
}

int adhoc_finish(struct adhoc *adhoc)
{
	uint64_t wanted, printed;

	if (!adhoc)
		return EXIT_SUCCESS;
	adhoc->told = 0; /* says it once more, in all */
	tell_lost(adhoc, adhoc->account, "in all");
	tell_filtered(adhoc->account);
	wanted = adhoc->options->count ? adhoc->options->count : 1;
	printed = adhoc->account->outcome.delivered;
	if (!adhoc->timed_out || printed >= wanted)
		return EXIT_SUCCESS;
	if (adhoc->options->count)
		log_error("timeout: %" PRIu64 " of %" PRIu64 " datagram%s %s", printed, wanted,
			plural(wanted),
			!lost_here(adhoc, adhoc->account) ? "came"
			: wanted == 1                     ? "was printed"
							  : "were printed");
	else
		log_error("timeout: no datagram %s",
			lost_here(adhoc, adhoc->account) ? "was printed" : "came");
	return EXIT_FAILURE;
}

void adhoc_free(struct adhoc *adhoc)
{
	if (!adhoc)
		return;
	if (adhoc->tick)
		event_free(adhoc->tick);
	if (adhoc->end)
		event_free(adhoc->end);
	for (size_t i = 0; i < adhoc->watched_count; i++)
		free(adhoc->watched[i].name);
	free(adhoc->watched);
	free(adhoc);
}
