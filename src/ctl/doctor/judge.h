/* From the evidence to the findings. Pure. */
#pragma once

#include "ctl/doctor/causes.h"

#define FINDINGS_MAX 16

struct judgement {
	enum verdict verdict;
	struct finding findings[FINDINGS_MAX];
	size_t count;
	size_t found; /* of the first, what is more than a note */
};

void judge(const struct evidence *evidence, struct judgement *ret);
void judgement_clear(struct judgement *judgement);

#define AUTO_JUDGEMENT CLEANUP(judgement_clear)
