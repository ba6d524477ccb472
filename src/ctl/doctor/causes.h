/* The causes that are known, in one table. A row has a predicate over the evidence, which is pure,
 * and what is told where it holds. Adding a cause is one row, its functions and one test. */
#pragma once

#include "ctl/doctor/finding.h"

/* What a finding means for the membership. */
enum verdict {
	VERDICT_DELIVERED, /* what comes is received */
	VERDICT_HOST, /* this host drops it */
	VERDICT_NETWORK, /* the network does not bring it */
	VERDICT_NOT_JOINED, /* it cannot be joined */
	VERDICT_OPEN, /* host or network: without the privilege to look nobody can tell */
};

/* Where on the way a cause is. A row is told unless a row of an earlier stage of receiving is at
 * least as certain: who is not joined has no use for a word on the firewall. */
enum stage {
	STAGE_VIEW, /* from where we look; hides nothing */
	STAGE_JOIN, /* it cannot be joined */
	STAGE_LINK, /* the interface receives nothing as it is */
	STAGE_HOST, /* it is lost between the wire and the socket */
	STAGE_ASKED, /* it comes, but not as asked */
	STAGE_COUNTERS, /* only counters of the whole host tell: one of them is told, the first */
	STAGE_NETWORK, /* it does not come; one of them is told, the first */
	STAGE_LAST = STAGE_NETWORK, /* of receiving */
	STAGE_BESIDE, /* what is received all the same; hides nothing */
	STAGE_SENDING,
	STAGE_NOTE, /* does not count as found */
};

struct cause {
	const char *name; /* "rp-filter" */
	enum stage stage;
	enum verdict verdict; /* where it is certain */
	enum certainty (*holds)(const struct evidence *evidence);
	/* Adds the message and the evidence; and the commands. */
	void (*tell)(const struct evidence *evidence, struct finding *finding);
	void (*fix)(const struct evidence *evidence, struct finding *finding);
	const char *meaning, *remedy; /* for the manual page */
};

/* In the order of telling, most telling first; ends with an empty row. */
extern const struct cause causes[];
