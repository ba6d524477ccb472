/* What was found, for people or as JSON. */
#pragma once

#include "ctl/doctor/judge.h"
#include "ctl/writer.h"

struct report {
	struct writer *writer;
	bool is_privileged;
	size_t healthy; /* memberships without anything to tell, not printed yet */
	size_t told; /* memberships that were printed */
	size_t found; /* memberships with a finding */
	bool is_brief; /* healthy memberships are only counted */
};

void report_begin(struct report *report);
void report_add(
	struct report *report, const struct evidence *evidence, const struct judgement *judgement);
void report_end(struct report *report);
