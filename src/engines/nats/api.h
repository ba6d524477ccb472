/* What JetStream says and is asked: JSON and subjects in, structs and texts out. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/errors.h"
#include "config/schema.h"

#define NATS_NAME_MAX 256 /* of a stream or consumer, with the zero */
#define NATS_REPLY_MAX 1024 /* of where a message is acknowledged to */

/* err_code of what is told apart: server/errors.json of nats-server. */
enum nats_error {
	NATS_ERROR_NONE = 0,
	NATS_ERROR_CONSUMER_IN_USE = 10013,
	NATS_ERROR_NO_CONSUMER = 10014,
	NATS_ERROR_DISABLED = 10039,
	NATS_ERROR_TOO_LARGE = 10054,
	NATS_ERROR_NO_STREAM = 10059,
	NATS_ERROR_LAST_ID = 10070,
	NATS_ERROR_STORE = 10077,
	NATS_ERROR_UNKNOWN = -1,
};

#define NATS_REASON_MAX 256

/* The error in an answer, NATS_ERROR_NONE when there is none, with its description. */
int nats_api_error(const char *json, size_t size, char ret_text[static NATS_REASON_MAX]);

/* Whether an acknowledgement says that the message is stored; quick. */
bool nats_api_is_stored(const char *json, size_t size);

/* ---- Consumers ---- */

enum nats_start { NATS_START_NEW, NATS_START_ALL, NATS_START_AT };

struct nats_consumer {
	const char *stream, *name, *filter, *deliver_to;
	enum nats_start start;
	uint64_t start_at; /* a number of the stream, for NATS_START_AT */
	unsigned most_pending;
};

/* A request to be freed, or NULL without memory. Creates the consumer, or changes where it delivers
 * to. */
char *nats_api_create(const struct nats_consumer *consumer);

/* Where a consumer is, as the server answers. */
struct nats_position {
	enum nats_start start; /* as it was created */
	uint64_t start_at;
	uint64_t delivered, delivered_in_stream; /* the last number of its own, and the stream's */
	uint64_t pending; /* delivered, and not acknowledged */
};

/* Returns 0 or -EINVAL. */
int nats_api_read_position(const char *json, size_t size, struct nats_position *ret);

/* The last number of a stream, and when it was made: another one of the same name is new. */
struct nats_stream {
	uint64_t last;
	char created[64];
};

/* What a stream is, and its subjects. Returns 0, -EINVAL or -ENOMEM; subjects has what was added
 * before. */
int nats_api_read_stream(
	const char *json, size_t size, struct string_list *subjects, struct nats_stream *ret);

/* The subjects that two patterns with * and > have in common, as a pattern. Returns 0, -ENOENT:
 * there are none; or -ENAMETOOLONG. */
#define NATS_SUBJECT_MAX 512
int nats_api_intersect(const char *a, const char *b, char ret[static NATS_SUBJECT_MAX]);

/* Which streams have a subject: the request to be freed, and its answer, of which what can be no
 * name of a stream is left out. Returns 0, -EINVAL, -ENOMEM, or -E2BIG: more than an answer has. */
#define NATS_NAMES_MAX 1024
char *nats_api_find(const char *subject);
int nats_api_read_names(const char *json, size_t size, struct string_list *ret);

/* The command that makes a stream for all groups of handlers with this subject, and for a site
 * (NULL: all). stream NULL: it is named after the subject. */
#define NATS_COMMAND_MAX 512
void nats_api_make_command(char ret[static NATS_COMMAND_MAX], const char *stream,
	const char *subject, const char *site);

/* ---- Messages of a consumer ---- */

/* The number behind the prefix of a subject that an answer comes to. Returns 0, or -EINVAL: it is
 * something else. */
int nats_api_read_serial(const char *subject, const char *prefix, uint64_t *ret);

/* The last token of a subject, which is the site: the broker's permissions protect it. */
const char *nats_api_site(const char *subject);

/* The numbers of a message, in its stream and of its consumer. */
struct nats_delivery {
	uint64_t in_stream, number;
};

/* From the subject that a delivered message is acknowledged to. Returns 0 or -EINVAL: it is not of
 * a consumer. */
int nats_api_read_delivery(const char *reply, struct nats_delivery *ret);

/* The name of the durable consumer for what comes from one site (NULL: any) into a group. Returns
 * 0, or -ENAMETOOLONG. */
int nats_api_name(char ret[static NATS_NAME_MAX], const char *site, const char *handler,
	const char *group, const char *from);
