/* A file of records: gathered in a buffer, written whole, so that no record is ever torn by us. */
#pragma once

#include <stddef.h>

#include "base/errors.h"
#include "base/text.h"
#include "data/account.h"

struct recorder;

/* Opens path for appending, and creates it (0640) where it does not exist. Symbolic links and anything that is no regular file or
 * character device are refused. Returns 0, or a negative errno with the reason in why. */
int recorder_open(const char *path, char why[static WHY_MAX], struct recorder **ret);

/* Where to append one record; then call recorder_commit(). */
struct text *recorder_text(struct recorder *recorder);

/* Counts what was appended as one datagram's record; writes when the buffer is full. */
void recorder_commit(struct recorder *recorder, struct outcome *outcome);

/* Writes out the buffer. What could not be written whole is taken back from the file, and counted as dropped. */
void recorder_flush(struct recorder *recorder, struct outcome *outcome);

/* When the oldest record in the buffer is to be written at the latest (CLOCK_MONOTONIC); 0: the buffer is empty. */
uint64_t recorder_deadline(const struct recorder *recorder);

/* Flush first. Accepts NULL. */
void recorder_close(struct recorder *recorder);
