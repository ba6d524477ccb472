#include "ctl/doctor/judge.h"

#include "ctl/doctor/fixes.h"

static bool is_receiving(enum stage stage)
{
	return stage >= STAGE_JOIN && stage <= STAGE_LAST;
}

/* Whether a cause is hidden by what was found already. */
static bool is_hidden(
	const struct cause *cause, enum certainty certainty, const struct judgement *judgement)
{
	bool one_only = cause->stage == STAGE_COUNTERS || cause->stage == STAGE_NETWORK;

	if (!is_receiving(cause->stage))
		return false;
	for (size_t i = 0; i < judgement->count; i++) {
		const struct finding *other = &judgement->findings[i];

		if (!is_receiving(other->cause->stage))
			continue;
		if (other->cause->stage == cause->stage && !one_only)
			continue;
		if (other->is_certain || certainty == CERTAINTY_LIKELY)
			return true;
	}
	return false;
}

static enum verdict conclude(const struct evidence *evidence, const struct judgement *judgement)
{
	for (size_t i = 0; i < judgement->found; i++) {
		const struct finding *finding = &judgement->findings[i];

		if (is_receiving(finding->cause->stage) && finding->is_certain)
			return finding->cause->verdict;
		/* What was seen on the wire is lost here, whatever the cause. */
		if (is_receiving(finding->cause->stage))
			return evidence->wire ? finding->cause->verdict : VERDICT_OPEN;
	}
	return evidence->received ? VERDICT_DELIVERED : VERDICT_OPEN;
}

/* Nothing was received, and who sees the wire could tell more. What is open says that itself. */
static bool needs_root(const struct evidence *evidence, const struct cause *cause)
{
	bool is_of_network = cause->stage == STAGE_NETWORK && cause->verdict != VERDICT_OPEN;

	return !evidence->wire && !evidence->is_elsewhere && !evidence->received &&
	       (cause->stage == STAGE_COUNTERS || is_of_network);
}

void judge(const struct evidence *evidence, struct judgement *ret)
{
	*ret = (struct judgement){0};
	for (const struct cause *cause = causes; cause->name; cause++) {
		enum certainty certainty = cause->holds(evidence);
		struct finding *finding = &ret->findings[ret->count];

		if (certainty == CERTAINTY_NO || ret->count == FINDINGS_MAX ||
			is_hidden(cause, certainty, ret))
			continue;
		finding->cause = cause;
		finding->is_certain = certainty == CERTAINTY_CERTAIN;
		cause->tell(evidence, finding);
		if (needs_root(evidence, cause))
			fix_by_root(evidence, finding); /* who sees more */
		cause->fix(evidence, finding);
		ret->count++;
		ret->found += cause->stage != STAGE_NOTE;
	}
	ret->verdict = conclude(evidence, ret);
}

void judgement_clear(struct judgement *judgement)
{
	for (size_t i = 0; i < judgement->count; i++)
		finding_clear(&judgement->findings[i]);
	*judgement = (struct judgement){0};
}
