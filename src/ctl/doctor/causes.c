#include "ctl/doctor/causes.h"

#include "ctl/doctor/rows.h"

#define LIST(id, name, stage, verdict, meaning, remedy) \
	{name, stage, verdict, is_##id, tell_##id, fix_##id, meaning, remedy},
const struct cause causes[] = {CAUSES(LIST){0}};
