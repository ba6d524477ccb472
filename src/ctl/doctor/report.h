/* What was found, for people or as JSON. */
#pragma once

#include "ctl/doctor/judge.h"
#include "ctl/writer.h"

/* Memberships with the same causes: of many, only the first is told in full. */
struct report_kind {
	const struct cause *causes[FINDINGS_MAX]; /* ends with NULL, where there is room */
	enum verdict verdict;
	size_t count; /* without the first */
	struct text names; /* of some of those */
};

#define REPORT_KINDS_MAX 32

struct report {
	struct writer *writer;
	bool is_privileged;
	size_t healthy; /* memberships without anything to tell, not printed yet */
	size_t told; /* memberships that were printed */
	size_t found; /* memberships with a finding */
	bool is_brief; /* what is alike is only counted */
	struct report_kind kinds[REPORT_KINDS_MAX];
	size_t kind_count;
};

void report_begin(struct report *report);
void report_add(
	struct report *report, const struct evidence *evidence, const struct judgement *judgement);
void report_end(struct report *report);
