/* Lists of groups and handlers as answers: in pieces, each of which is of one moment. */
#pragma once

#include "control/method.h"

/* So many groups and handlers make a piece; lists that are no longer are of one moment altogether.
 */
#define PIECE_ITEMS 64

/* A handler names its groups: so many of them take as long as one more item. */
#define PIECE_NAMES 256

enum listed { LIST_GROUPS = 1 << 0, LIST_HANDLERS = 1 << 1 };

/* Answers the request at hand, which has no parameters, with these lists, of enum listed. */
enum call_result listing_reply(struct client *client, const struct call *call, unsigned lists);

/* One of them, as an element of an array (describe.c). */
void describe_group(struct text *text, struct group *group);
void describe_handler(struct text *text, const struct groups *groups, struct handler *handler);
