#include "engines/nats/order.h"

#include <stdio.h>
#include <string.h>

#define EXPECTED_ID "Nats-Expected-Last-Msg-Id"

natsStatus order_expect(const struct order *order, natsMsg *message)
{
	if (!order->is_wanted || !order->last_id[0])
		return NATS_OK;
	return natsMsgHeader_Set(message, EXPECTED_ID, order->last_id);
}

void order_added(struct order *order, const char id[static ENVELOPE_ID_MAX])
{
	memcpy(order->last_id, id, sizeof(order->last_id));
}

void order_skip(struct order *order, const struct window *window, uint64_t number)
{
	const char *expected = NULL;
	struct window_slot *slot = window_slot(window, number), *next = NULL;

	if (!order->is_wanted)
		return;
	if (natsMsgHeader_Get(slot->object, EXPECTED_ID, &expected) != NATS_OK)
		expected = NULL;
	while (!next && ++number < window->head) {
		next = window_slot(window, number);
		next = next && next->is_open ? next : NULL;
	}
	if (!next)
		snprintf(order->last_id, sizeof(order->last_id), "%s", expected ? expected : "");
	else if (expected)
		natsMsgHeader_Set(next->object, EXPECTED_ID, expected);
	else
		natsMsgHeader_Delete(next->object, EXPECTED_ID);
}

void order_forget(const struct window *window, uint64_t number)
{
	struct window_slot *slot = window_slot(window, number);

	if (slot && slot->is_open && number == window->low)
		natsMsgHeader_Delete(slot->object, EXPECTED_ID);
}
