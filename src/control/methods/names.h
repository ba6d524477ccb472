/* The groups that a request names. */
#pragma once

#include "config/config.h"
#include "control/method.h"

/* Names in one request. */
#define NAMES_MAX 1024

/* Copies the names of an array of PARAMETER_NAMES, sorted and each once. All are of groups that
 * exist and, with is_to_receive, that the client may receive. Otherwise answers, and returns a
 * negative errno. without says what the method does without names. */
int names_read(struct client *client, const json_t *array, bool is_to_receive, const char *without,
	struct string_list *ret);

/* Answers, and returns whether the user holds too much memory for a request that keeps names until
 * it has ended. */
bool names_are_too_much(struct client *client);
