#include "ctl/doctor/doctor.h"

#include "base/clock.h"
#include "ctl/doctor/gather.h"
#include "ctl/doctor/report.h"
#include "ctl/targets.h"

/* From this number of memberships on, those without a finding, and those with the same ones, are
 * only counted. */
#define BRIEF_FROM 8

/* Memberships that are named where a reload has changed them. */
#define CHANGED_LINES 8

/* Beyond the time to listen, for all answers of the daemon together: on one group, on all. */
#define ANSWERS_NS (5 * NS_PER_S)
#define ANSWERS_ALL_NS (15 * NS_PER_S)

/* Returns an exit code. */
static int read_subjects(struct look *look, struct targets *targets)
{
	const char *word = look->options->word;
	bool socket_given = look->session->socket_given;
	int code = EXIT_DONE;

	/* A TARGET needs no daemon, also where a socket is named. */
	look->session->socket_given = false;
	if (word)
		code = targets_read(look->session, &word, 1, targets);
	look->session->socket_given = socket_given;
	if (code || targets->count)
		return code;
	code = daemon_ask(look->session, &look->daemon);
	return code ? code : daemon_list(look->session, word, &look->subjects);
}

/* Only the first membership of the group tells of it. Returns an exit code. */
static int try_sending(struct look *look, const struct target *target)
{
	struct sending *sending = &look->sending;
	int code = target ? sending_try_target(look->session, target, sending)
			  : sending_try_group(look->session, &look->subjects, sending);

	for (size_t i = 0; i < look->subjects.count; i++)
		sending->is_received_there |= !strcmp(
			look->subjects.items[i].interface, sending->interface);
	sending->is_only_one = look->subjects.count > 1;
	return code;
}

/* What it counted before is of another socket. */
static bool was_changed(const struct look *look, const struct subject *subject)
{
	return look->subjects.is_daemon && !subject->is_counted_again;
}

static void tell_changed(const struct look *look, const struct subject *subject, size_t count)
{
	const struct subject_group *group = &look->subjects.groups.items[subject->group];

	if (count < CHANGED_LINES)
		session_fail(look->session, EXIT_REFUSED,
			"group %s on %s was changed or removed meanwhile: ask again", group->name,
			subject->interface);
	else if (count == CHANGED_LINES)
		session_fail(look->session, EXIT_REFUSED, "and more were changed or removed");
}

/* Returns an exit code. */
static int judge_all(struct look *look)
{
	size_t changed = 0;
	struct report report = {.writer = &look->session->writer,
		.is_privileged = look->wire != NULL,
		.is_brief = look->subjects.count >= BRIEF_FROM};

	report_begin(&report);
	for (size_t i = 0; i < look->subjects.count; i++) {
		AUTO_JUDGEMENT struct judgement judgement = {0};
		struct evidence evidence;

		if (was_changed(look, &look->subjects.items[i])) {
			tell_changed(look, &look->subjects.items[i], changed++);
			continue;
		}
		gather(look, i, &evidence);
		judge(&evidence, &judgement);
		report_add(&report, &evidence, &judgement);
	}
	report_end(&report);
	return report.found || changed ? EXIT_REFUSED : EXIT_DONE;
}

int doctor_run(struct session *session, const struct doctor_options *options)
{
	AUTO_LOOK struct look look = {.session = session, .options = options};
	AUTO_TARGETS struct targets targets = {0};
	const struct target *target;
	int code = EXIT_DONE, r = host_read_before(&look.host);

	session->deadline_ns = clock_ns(CLOCK_MONOTONIC) + options->wait_ns +
			       (options->word ? ANSWERS_NS : ANSWERS_ALL_NS);
	if (r < 0)
		return session_fail(
			session, EXIT_REFUSED, "looking at this host: %s", strerror(-r));
	code = read_subjects(&look, &targets);
	target = targets.count ? targets.items : NULL;
	if (!code)
		code = look_run(&look, target);
	if (!code && options->sends)
		code = try_sending(&look, target);
	return code ? code : judge_all(&look);
}
