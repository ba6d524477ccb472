#include "base/clock.h"
#include "ctl/command.h"
#include "ctl/doctor/doctor.h"

#define WAIT_NS (3 * NS_PER_S)
#define WAIT_MAX_NS (3600 * NS_PER_S)

enum { DOCTOR_WAIT, DOCTOR_SEND };

static const struct option_row options[] = {
	[DOCTOR_WAIT] = {"wait", 0, OPTION_DURATION, "TIME",
		"How long to listen, like 10s; default: 3s"},
	[DOCTOR_SEND] = {"send", 0, OPTION_FLAG, NULL,
		"Also send a datagram to the group, with the payload \"mcastctl doctor\""},
	{0},
};

static int run(struct session *session, const struct arguments *arguments)
{
	const struct option_value *wait = &arguments->options[DOCTOR_WAIT];
	const struct doctor_options doctor = {
		.word = arguments->word_count ? arguments->words[0] : NULL,
		.wait_ns = wait->given ? wait->number : WAIT_NS,
		.sends = arguments->options[DOCTOR_SEND].given,
	};

	if (doctor.wait_ns > WAIT_MAX_NS)
		return session_fail(session, EXIT_MISUSED, "--wait: at most an hour");
	if (doctor.sends && !doctor.word)
		return session_fail(
			session, EXIT_MISUSED, "--send needs a GROUP or a TARGET to send to");
	return doctor_run(session, &doctor);
}

const struct command doctor_command = {
	.name = "doctor",
	.arguments = "[GROUP|TARGET]",
	.words_max = 1,
	.help = "Find out why nothing arrives, and what fixes it; as root it sees most",
	.options = options,
	.run = run,
};
