/* Changing to another configuration: everything that can fail comes first, beside what runs. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/adhoc.h"
#include "daemon/identity.h"
#include "daemon/state.h"
#include "service/notify.h"

/* So long the queue of a handler that goes is still delivered. */
#define DRAIN_NS (5 * NS_PER_S)

int daemon_load(const struct options *options, struct errors *errors, struct config **ret)
{
	CLEANUP(config_freep) struct config *config = NULL;
	int r = config_load(options->configuration, handler_config_kinds(), errors, &config);

	if (r < 0)
		return r;
	r = adhoc_configure(options, config, errors);
	if (r < 0)
		return r;
	*ret = take(config);
	return 0;
}

const char *daemon_status(const struct daemon *daemon, char status[static STATUS_MAX])
{
	unsigned counts[3] = {0};

	for (size_t i = 0; i < groups_count(daemon->groups); i++) {
		const struct group *group = groups_at(daemon->groups, i);

		for (size_t j = 0; j < group->memberships.count; j++)
			counts[group->memberships.items[j]->state]++;
	}
	snprintf(status, STATUS_MAX, "%zu groups: %u memberships joined, %u waiting, %u failed",
		groups_count(daemon->groups), counts[MEMBERSHIP_JOINED], counts[MEMBERSHIP_WAITING],
		counts[MEMBERSHIP_FAILED]);
	return status;
}

void daemon_tell_status(struct daemon *daemon)
{
	char status[STATUS_MAX];

	if (!strcmp(daemon_status(daemon, status), daemon->status))
		return;
	strcpy(daemon->status, status);
	notify_status(status);
}

static bool is_same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* What is settled for as long as the daemon runs: sockets that programs know by their path, and who
 * it is. */
static int check_settled(
	const struct config *running, const struct config *wanted, struct errors *errors)
{
	const struct {
		const char *key, *running, *wanted;
	} settled[] = {{"control.socket", running->control_socket, wanted->control_socket},
		{"run_directory", running->run_directory, wanted->run_directory},
		{"user", running->user, wanted->user}, {"group", running->group, wanted->group}};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(settled); i++) {
		if (is_same(settled[i].running, settled[i].wanted))
			continue;
		errors_add(errors,
			"%s: cannot change from %s to %s while the daemon runs; restart it",
			settled[i].key, settled[i].running ? settled[i].running : "nothing",
			settled[i].wanted ? settled[i].wanted : "nothing");
		r = -EBUSY;
	}
	return r;
}

int daemon_apply(struct daemon *daemon, struct config *wanted, bool dry_run,
	struct config_changes *changes, struct errors *errors)
{
	struct handlers_plan *handlers_plan = NULL;
	struct groups_plan *groups_plan = NULL;
	int r = daemon->config ? check_settled(daemon->config, wanted, errors) : 0;

	if (r >= 0)
		r = handlers_prepare(
			daemon->handlers, daemon->config, wanted, errors, &handlers_plan);
	if (r >= 0)
		r = groups_prepare(
			daemon->groups, wanted, handlers_plan, dry_run, errors, &groups_plan);
	if (r < 0 && !errors_total(errors))
		errors_add(errors, "%s", strerror(-r));
	if (r >= 0)
		config_compare(daemon->config, wanted, changes);
	if (r < 0 || dry_run) {
		groups_abandon(daemon->groups, groups_plan);
		handlers_abandon(handlers_plan);
		return r;
	}
	/* Groups first: then nobody delivers any more to a handler that goes. */
	groups_commit(daemon->groups, groups_plan);
	handlers_commit(daemon->handlers, handlers_plan, clock_ns(CLOCK_MONOTONIC) + DRAIN_NS);
	/* And joining last: then all is ready for what arrives. */
	identity_raise();
	groups_reconcile(daemon->groups, NULL);
	identity_lower();
	config_free(daemon->config);
	daemon->config = wanted;
	return 0;
}

static void log_lines(int level, const struct errors *lines)
{
	for (size_t i = 0; i < lines->count; i++)
		log_message(level, "%s", lines->lines[i]);
	if (lines->omitted)
		log_message(level, "and %zu more", lines->omitted);
}

int daemon_reload(
	void *argument, bool dry_run, struct config_changes *changes, struct errors *errors)
{
	struct daemon *daemon = argument;
	CLEANUP(config_freep) struct config *wanted = NULL;
	char status[STATUS_MAX];
	int r;

	if (!dry_run)
		notify_reloading();
	r = daemon_load(daemon->options, errors, &wanted);
	if (r >= 0)
		r = daemon_apply(daemon, wanted, dry_run, changes, errors);
	if (dry_run)
		return r;
	if (r < 0) {
		log_event(LOG_ERR, &(struct log_fields){.message_id = MESSAGE_RELOAD_FAILED},
			"reloading failed, the old configuration stays in force:");
		log_lines(LOG_ERR, errors);
	} else {
		take(wanted);
		log_event(LOG_INFO, &(struct log_fields){.message_id = MESSAGE_RELOADED},
			"reloaded: %zu changes", errors_total(&changes->lines));
		log_lines(LOG_INFO, &changes->lines);
	}
	notify_ready(strcpy(daemon->status, daemon_status(daemon, status)));
	return r;
}
