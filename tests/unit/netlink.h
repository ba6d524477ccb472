/* What the kernel answers to netlink requests, made up: the socket's functions are replaced. A test
 * adds its answers before it asks. */
#pragma once

#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

/* The answers, each given once, at the end of memory of its own: what reads further is caught by
 * the sanitizer. The caller's buffer is larger, and filled with what is no part of an answer. */
static struct answer {
	_Alignas(struct nlmsghdr) char data[1024];
	size_t size;
} answers[4];
static size_t answer_count, answers_given;

/* The last request. */
static _Alignas(struct nlmsghdr) char sent[256];

ssize_t send(int fd, const void *data, size_t size, int flags)
{
	(void)fd, (void)flags;
	memcpy(sent, data, size < sizeof(sent) ? size : sizeof(sent));
	return (ssize_t)size;
}

ssize_t recv(int fd, void *data, size_t size, int flags)
{
	const struct answer *answer = &answers[answers_given];

	(void)fd, (void)flags;
	if (answers_given == answer_count)
		return 0;
	answers_given++;
	memset(data, 'x', size);
	memcpy(data, answer->data, answer->size);
	return (ssize_t)answer->size;
}

static inline struct answer *begin_answer(void)
{
	struct answer *answer = &answers[answer_count++];

	answer->size = 0;
	return answer;
}

/* Begins a message in an answer. */
static inline struct nlmsghdr *begin(
	struct answer *answer, int type, const void *fixed, size_t size)
{
	struct nlmsghdr *message = (struct nlmsghdr *)(answer->data + answer->size);

	*message = (struct nlmsghdr){.nlmsg_len = (uint32_t)NLMSG_LENGTH(size),
		.nlmsg_type = (uint16_t)type,
		.nlmsg_seq = 1};
	memcpy(NLMSG_DATA(message), fixed, size);
	answer->size += message->nlmsg_len;
	return message;
}

static inline void add(
	struct answer *answer, struct nlmsghdr *message, int type, const void *value, size_t size)
{
	struct rtattr *attribute = (struct rtattr *)(answer->data + answer->size);

	attribute->rta_len = (unsigned short)RTA_LENGTH(size);
	attribute->rta_type = (unsigned short)type;
	memset(RTA_DATA(attribute), 'x', RTA_ALIGN(size));
	memcpy(RTA_DATA(attribute), value, size);
	message->nlmsg_len += (uint32_t)RTA_SPACE(size);
	answer->size += RTA_SPACE(size);
}

static inline void add_done(void)
{
	int none = 0;

	begin(begin_answer(), NLMSG_DONE, &none, sizeof(none));
}
