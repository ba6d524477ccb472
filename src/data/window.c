#include "data/window.h"

#include <errno.h>
#include <stdlib.h>

#define PAUSE_MIN_NS 50000000ull
#define PAUSE_MAX_NS 1000000000ull

/* Larger buffers are given back once their datagram is closed: the memory of a window that is empty
 * is at most this for each slot. Those of datagrams that fit into a frame are used again, since
 * giving their pages back and getting new ones takes longer than all the rest. */
#define REUSED_MAX 2048

int window_init(struct window *window, unsigned capacity, uint64_t silence_ns)
{
	size_t slots = 1;

	while (slots < capacity)
		slots *= 2;
	*window = (struct window){
		.capacity = capacity, .mask = slots - 1, .silence_ns = silence_ns};
	window->slots = calloc(slots, sizeof(*window->slots));
	return window->slots ? 0 : -ENOMEM;
}

void window_clear(struct window *window)
{
	for (size_t i = 0; window->slots && i <= window->mask; i++)
		free(window->slots[i].data);
	free(window->slots);
	*window = (struct window){0};
}

unsigned window_room(const struct window *window)
{
	return window->capacity - (unsigned)(window->head - window->low);
}

static struct window_slot *slot_of(const struct window *window, uint64_t number)
{
	return &window->slots[number & window->mask];
}

struct window_slot *window_slot(const struct window *window, uint64_t number)
{
	bool is_held = number >= window->low && number < window->head;

	return is_held ? slot_of(window, number) : NULL;
}

static void drop_buffer(struct window_slot *slot)
{
	free(slot->data);
	slot->data = NULL;
	slot->room = 0;
}

/* Whether data has room for size bytes now. Small buffers grow in steps, as sizes vary. */
static bool has_room(struct window_slot *slot, size_t size)
{
	size_t room = size < REUSED_MAX ? (size + 127) & ~(size_t)127 : size;

	if (size && size <= slot->room)
		return true;
	drop_buffer(slot);
	slot->data = size ? malloc(room) : NULL;
	if (size && !slot->data)
		return false;
	slot->room = (uint32_t)room;
	return true;
}

struct window_slot *window_add(struct window *window, size_t size, size_t payload)
{
	struct window_slot *slot = slot_of(window, window->head);

	if (!has_room(slot, size))
		return NULL;
	*slot = (struct window_slot){.data = slot->data,
		.room = slot->room,
		.size = (uint32_t)size,
		.payload = (uint32_t)payload,
		.is_open = true};
	window->bytes += payload;
	window->open++;
	window->head++;
	return slot;
}

/* Whether that time has passed. A time that was read in another thread may be later than now. */
static bool has_passed(uint64_t now_ns, uint64_t since_ns, uint64_t ns)
{
	return now_ns > since_ns && now_ns - since_ns >= ns;
}

static void hear(struct window *window, uint64_t now_ns)
{
	if (now_ns > window->heard_ns)
		window->heard_ns = now_ns;
}

/* All that is open is sent again. */
static void go_back(struct window *window)
{
	window->next = window->low;
	window->answered = window->low;
	window->overtaken_ns = 0;
}

/* Whether nothing was acknowledged for the silence although something was sent; or only later
 * ones than the oldest, which then was lost, or its acknowledgement was. */
static bool is_silent(const struct window *window, uint64_t now_ns)
{
	if (!window->silence_ns || window->low == window->next)
		return false;
	return has_passed(now_ns, window->heard_ns, window->silence_ns) ||
	       (window->overtaken_ns &&
		       has_passed(now_ns, window->overtaken_ns, window->silence_ns));
}

bool window_next(struct window *window, uint64_t now_ns, uint64_t *ret_number)
{
	if (window->has_answered)
		hear(window, now_ns);
	window->has_answered = false;
	if (!window->is_connected || now_ns < window->resume_ns)
		return false;
	window->resume_ns = 0;
	if (is_silent(window, now_ns))
		go_back(window);
	while (window->next < window->head && !slot_of(window, window->next)->is_open)
		window->next++;
	if (window->next == window->head || (window->is_probing && window->next > window->low))
		return false;
	*ret_number = window->next;
	return true;
}

void window_sent(struct window *window, uint64_t number, uint64_t now_ns)
{
	struct window_slot *slot = window_slot(window, number);

	if (!slot)
		return;
	if (window->low == window->next)
		hear(window, now_ns);
	window->resent += slot->sends > 0;
	if (!slot->sends)
		slot->sent_ns = now_ns;
	slot->sends++;
	if (number == window->next)
		window->next++;
}

/* The slot of what was sent and is open; or NULL. */
static struct window_slot *find_open(const struct window *window, uint64_t number)
{
	struct window_slot *slot = window_slot(window, number);

	return slot && slot->is_open && slot->sends ? slot : NULL;
}

/* Closes it, and moves the window up to the oldest that is open. */
static void close_slot(struct window *window, struct window_slot *slot, uint64_t now_ns)
{
	uint64_t before = window->low;

	slot->is_open = false;
	window->bytes -= slot->payload;
	window->open--;
	if (slot->room > REUSED_MAX)
		drop_buffer(slot);
	while (window->low < window->head && !slot_of(window, window->low)->is_open)
		window->low++;
	if (window->next < window->low)
		window->next = window->low;
	if (window->low != before)
		window->overtaken_ns = 0;
	if (window->answered > window->low && !window->overtaken_ns)
		window->overtaken_ns = now_ns;
}

bool window_acknowledge(
	struct window *window, uint64_t number, uint64_t now_ns, uint64_t *ret_took_ns)
{
	struct window_slot *slot = find_open(window, number);

	if (number < window->head)
		hear(window, now_ns);
	if (!slot)
		return false;
	if (number == window->low && number < window->next) {
		window->is_probing = false;
		window->pause_ns = 0;
	}
	if (number >= window->answered)
		window->answered = number + 1;
	*ret_took_ns = now_ns > slot->sent_ns ? now_ns - slot->sent_ns : 0;
	close_slot(window, slot, now_ns);
	return true;
}

/* Those that were sent before the pause are answered one by one: the first one counts, then it has
 * gone back. */
void window_refuse(struct window *window, uint64_t number, uint64_t now_ns)
{
	if (!find_open(window, number) || number >= window->next)
		return;
	window->pause_ns = window->pause_ns ? 2 * window->pause_ns : PAUSE_MIN_NS;
	if (window->pause_ns > PAUSE_MAX_NS)
		window->pause_ns = PAUSE_MAX_NS;
	window->resume_ns = now_ns + window->pause_ns;
	window->is_probing = true;
	go_back(window);
}

bool window_expire(struct window *window, uint64_t number)
{
	struct window_slot *slot = window_slot(window, number);

	if (!slot || !slot->is_open)
		return false;
	close_slot(window, slot, window->heard_ns);
	return true;
}

bool window_release(struct window *window, uint64_t number)
{
	if (!window_expire(window, number))
		return false;
	window->has_answered = true;
	return true;
}

void window_connected(struct window *window, uint64_t now_ns)
{
	window->is_connected = true;
	hear(window, now_ns);
	go_back(window);
}

void window_disconnected(struct window *window)
{
	window->is_connected = false;
}

uint64_t window_deadline(const struct window *window)
{
	uint64_t deadline;

	if (!window->is_connected || !window->open)
		return 0;
	if (window->resume_ns)
		return window->resume_ns;
	if (!window->silence_ns || window->low == window->next)
		return 0;
	deadline = window->heard_ns;
	if (window->overtaken_ns && window->overtaken_ns < deadline)
		deadline = window->overtaken_ns;
	return deadline + window->silence_ns;
}

unsigned window_abandon(struct window *window, unsigned *ret_sent)
{
	unsigned open = window->open, sent = 0;

	for (uint64_t number = window->low; number < window->head; number++) {
		struct window_slot *slot = slot_of(window, number);

		sent += slot->is_open && slot->sends;
		slot->is_open = false;
		drop_buffer(slot);
	}
	window->low = window->next = window->answered = window->head;
	window->bytes = window->open = 0;
	window->overtaken_ns = 0;
	*ret_sent = sent;
	return open;
}
