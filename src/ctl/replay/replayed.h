/* What became of the datagrams of a capture, for people and for programs. */
#pragma once

#include "ctl/recording.h"
#include "ctl/replay/frequent.h"
#include "ctl/session.h"

/* Why something is skipped. The first ones count packets, and are those of dissect(); the others
 * count datagrams. */
enum skip {
	SKIP_UNSELECTED = DISSECT_RESULTS, /* by the options */
	SKIP_UNMATCHED, /* no group has the address */
	SKIP_SEVERAL, /* several groups have it */
	SKIP_TOO_LARGE,
	SKIP_REFUSED, /* by the daemon or the network */
	SKIP_REASONS,
};

struct replayed {
	uint64_t sent, bytes; /* of payload */
	uint64_t elapsed_ns;
	uint64_t latest_ns; /* the longest delay after the due time */
	uint64_t packets; /* in the capture */
	uint64_t skipped[SKIP_REASONS];
	uint64_t untimely; /* of what is not selected: by the time alone */
	/* Where they went to. */
	struct frequent unselected, unmatched, several;
};

/* Says on standard error where the datagrams went to that no group was found for. */
void replayed_note(struct replayed *replayed, const struct session *session);

/* The reason, where nothing was sent though nothing failed. */
void replayed_explain_nothing(struct replayed *replayed, const struct recording *recording,
	const struct session *session, const char *name);

/* On standard output, a line or an object. */
void replayed_show(
	struct replayed *replayed, const struct recording *recording, struct writer *writer);
