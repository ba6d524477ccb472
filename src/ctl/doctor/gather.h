/* From a look to the evidence of one membership. */
#pragma once

#include "ctl/doctor/evidence.h"
#include "ctl/doctor/look.h"

/* What it points to belongs to the look. wire_seen() is not called again while it is used. */
void gather(const struct look *look, size_t subject, struct evidence *ret);
