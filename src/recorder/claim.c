#include "recorder/claim.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>

#include "base/clock.h"

static struct {
	pthread_mutex_t lock;
	struct recorder_claim *first;
	uint64_t births;
} claims = {.lock = PTHREAD_MUTEX_INITIALIZER};

void recorder_claim_set(struct recorder_claim *claim, dev_t device, ino_t inode)
{
	pthread_mutex_lock(&claims.lock);
	claim->device = device;
	claim->inode = inode;
	claim->writes = false;
	if (!claim->born)
		claim->born = ++claims.births;
	if (!claim->listed) {
		claim->listed = true;
		claim->next = claims.first;
		claims.first = claim;
	}
	pthread_mutex_unlock(&claims.lock);
}

void recorder_claim_end(struct recorder_claim *claim)
{
	pthread_mutex_lock(&claims.lock);
	for (struct recorder_claim **link = &claims.first; *link; link = &(*link)->next) {
		if (*link != claim)
			continue;
		*link = claim->next;
		claim->listed = false;
		claim->writes = false;
		break;
	}
	pthread_mutex_unlock(&claims.lock);
}

/* The other recorder that writes to the same file. The lock is held. */
static struct recorder_claim *find_writer(const struct recorder_claim *mine)
{
	struct recorder_claim *claim = claims.first;

	while (claim && (claim == mine || !claim->writes || claim->device != mine->device ||
				claim->inode != mine->inode))
		claim = claim->next;
	return claim;
}

bool recorder_claim_write(struct recorder_claim *claim)
{
	bool writes;

	pthread_mutex_lock(&claims.lock);
	writes = !find_writer(claim);
	claim->writes = writes;
	pthread_mutex_unlock(&claims.lock);
	return writes;
}

void recorder_claim_no_write(struct recorder_claim *claim)
{
	pthread_mutex_lock(&claims.lock);
	claim->writes = false;
	pthread_mutex_unlock(&claims.lock);
}

bool recorder_claim_exists(dev_t device, ino_t inode)
{
	const struct recorder_claim *claim;

	pthread_mutex_lock(&claims.lock);
	claim = claims.first;
	while (claim && (claim->device != device || claim->inode != inode))
		claim = claim->next;
	pthread_mutex_unlock(&claims.lock);
	return claim;
}

int recorder_claim_take_over(struct recorder_claim *mine)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	struct recorder_claim *writer;
	int r = 0;

	pthread_mutex_lock(&claims.lock);
	writer = find_writer(mine);
	if (writer && writer->born > mine->born)
		r = -EBUSY;
	else if (writer && writer->moving)
		r = -EAGAIN;
	else if (writer && !writer->superseded_ns)
		writer->superseded_ns = now;
	pthread_mutex_unlock(&claims.lock);
	return r;
}

bool recorder_claim_begin_move(struct recorder_claim *claim)
{
	bool ours;

	pthread_mutex_lock(&claims.lock);
	ours = !claim->superseded_ns;
	claim->moving = ours;
	pthread_mutex_unlock(&claims.lock);
	return ours;
}

void recorder_claim_end_move(struct recorder_claim *claim)
{
	pthread_mutex_lock(&claims.lock);
	claim->moving = false;
	pthread_mutex_unlock(&claims.lock);
}

uint64_t recorder_claim_superseded(const struct recorder_claim *claim)
{
	uint64_t superseded_ns;

	pthread_mutex_lock(&claims.lock);
	superseded_ns = claim->superseded_ns;
	pthread_mutex_unlock(&claims.lock);
	return superseded_ns;
}
