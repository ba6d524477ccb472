/* What one frame adds to what was seen of its group, where that is more than a number. */
#pragma once

#include "ctl/doctor/wire.h"

/* Keep the first ports and senders, as many as there is room for. */
void seen_add_port(struct wire_seen *seen, uint16_t port);
void seen_add_sender(struct wire_seen *seen, const struct frame *frame);

void seen_add_ttl(struct wire_seen *seen, uint8_t ttl);
