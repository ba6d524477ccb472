/* Which datagrams of a capture are meant: by where they went to, where they came from and when. */
#pragma once

#include "ctl/command.h"
#include "ctl/recording.h"
#include "ctl/replay/when.h"

/* An address or a network, and a port: "233.252.0.1:5004", "233.252.0.0/24", "[ff15::1]:5004". */
struct end_pattern {
	struct prefix prefix;
	uint16_t port; /* 0: any */
};

/* Reads size bytes. Returns 0 or -EINVAL. */
int end_pattern_parse(const char *string, size_t size, struct end_pattern *ret);

bool end_pattern_matches(
	const struct end_pattern *pattern, const struct address *address, uint16_t port);

struct end_patterns {
	struct end_pattern *items;
	size_t count; /* 0: all are meant */
};

/* All zeros select everything. */
struct selection {
	struct end_patterns destinations, sources;
	bool has_from, has_to;
	struct when from,
		to; /* from is the first time that is selected, to the first that is not */
	bool is_resolved;
	uint64_t from_ns, to_ns;
};

/* Returns an exit code. */
int selection_read(struct selection *selection, const struct session *session,
	const struct option_value *only, const struct option_value *source,
	const struct option_value *from, const struct option_value *to);

enum selected {
	SELECTED,
	UNSELECTED_ADDRESS,
	UNSELECTED_TIME, /* by the time alone */
};

/* Whether the last datagram of the recording is one of them, or why not. */
enum selected selection_has(struct selection *selection, const struct recording *recording,
	const struct recorded *recorded);

/* Whether it is to begin at a time of day that was over when the recording began: then all is
 * selected, and the day after may be meant. */
bool selection_begins_before(const struct selection *selection, const struct recording *recording);

void selection_clear(struct selection *selection);
