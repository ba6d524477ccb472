/* Which files the recorders of this process write to. A reload that changes a handler opens the new
 * recorder while the old one still delivers its queue, to the same path: the new one must be able
 * to take the path from the old one, without the two ever writing to the same file. The list is
 * behind one lock that is never held over a system call. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct recorder_claim {
	struct recorder_claim *next;
	dev_t device;
	ino_t inode;
	bool listed;
	bool writes;
	uint64_t born; /* counts up */
	bool moving; /* about to change what the path stands for */
	uint64_t superseded_ns; /* when a younger one took the path (CLOCK_MONOTONIC); 0: it is ours
				 */
};

/* Says which file it has open, and joins the list. It does not write to it yet. */
void recorder_claim_set(struct recorder_claim *claim, dev_t device, ino_t inode);

/* Leaves the list, if it is on it. Close the file first. */
void recorder_claim_end(struct recorder_claim *claim);

/* Becomes the one that writes to its file. Returns whether it is. */
bool recorder_claim_write(struct recorder_claim *claim);
void recorder_claim_no_write(struct recorder_claim *claim);

/* Whether any recorder has the file open. */
bool recorder_claim_exists(dev_t device, ino_t inode);

/* Takes the path from the older recorder that writes to our file. That one goes on with the file
 * that it has, and leaves the path alone. Returns 0, -EAGAIN when it is just moving the file, or
 * -EBUSY when it is younger. */
int recorder_claim_take_over(struct recorder_claim *mine);

/* To be called around renaming the file. Returns whether it is ours to rename. */
bool recorder_claim_begin_move(struct recorder_claim *claim);
void recorder_claim_end_move(struct recorder_claim *claim);

uint64_t recorder_claim_superseded(const struct recorder_claim *claim);
