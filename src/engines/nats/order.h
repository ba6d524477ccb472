/* The order in which the stream stores messages, where the key "ordered" wants it: each message
 * names the one before it, and is refused unless that is the last one that the stream has of its
 * subject. One that will never be stored passes what it expected on to the next. */
#pragma once

#include <nats/nats.h>
#include <stdbool.h>
#include <stdint.h>

#include "data/window.h"
#include "formats/envelope.h"

struct order {
	bool is_wanted;
	char last_id[ENVELOPE_ID_MAX]; /* of the message that was added last; "": none was */
};

/* The message of the next slot is to expect the one that was added last. */
natsStatus order_expect(const struct order *order, natsMsg *message);

/* It has this id. */
void order_added(struct order *order, const char id[static ENVELOPE_ID_MAX]);

/* The message of a slot of the window, which is open, will never be stored: the next one expects
 * what this one did. */
void order_skip(struct order *order, const struct window *window, uint64_t number);

/* The stream does not know what the message expects. The oldest one needs no expectation: what was
 * before it is stored. A server that was restarted may not know any more which one that was. */
void order_forget(const struct window *window, uint64_t number);
