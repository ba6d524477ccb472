#include "ctl/doctor/wire.h"

#include <errno.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "ctl/doctor/filter.h"
#include "ctl/doctor/tally.h"

/* The kernel copies frames into blocks, and gives a block away when it is full, or after that time
 * (Documentation/networking/packet_mmap.rst). */
#define BLOCK_SIZE (256U * 1024)
#define BLOCKS 16U
#define FRAME_SIZE 2048U /* must divide a block; says nothing else in TPACKET_V3 */
#define BLOCK_TIMEOUT_MS 10

/* Enough for the checksum of what an MTU of 1,500 lets through, with two tags; and for all headers
 * and the start of a payload. */
#define SNAP_WHOLE 1600
#define SNAP_SOME 192

/* One call of wire_read(). */
#define READ_NS (5 * NS_PER_MS)

/* After this number of frames in a look, only samples are captured whole: a flood of large frames
 * would fill the ring while others have the processor. */
#define FRAMES_WHOLE 10000

struct wire {
	int fd;
	uint8_t *ring;
	unsigned block; /* the next one */
	uint64_t frames; /* of this look */
	struct filter whole, sampled;
	bool samples; /* sampled is attached */
	uint64_t dropped; /* by the kernel */
	struct tally *tally;
};

/* It takes the place of the one before. */
static int attach_filter(struct wire *wire, bool samples)
{
	const struct filter *filter = samples ? &wire->sampled : &wire->whole;
	const struct sock_fprog program = {(unsigned short)filter->count, filter->items};

	if (setsockopt(wire->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0)
		return -errno;
	wire->samples = samples;
	return 0;
}

static int build_filters(struct wire *wire, const struct wire_group *groups, size_t count)
{
	struct filter_snap snap = {.whole = SNAP_WHOLE, .some = SNAP_SOME};
	int r = filter_build(groups, count, &snap, &wire->whole);

	snap.samples = true;
	return r < 0 ? r : filter_build(groups, count, &snap, &wire->sampled);
}

static int map_ring(struct wire *wire)
{
	const int version = TPACKET_V3;
	const struct tpacket_req3 request = {
		.tp_block_size = BLOCK_SIZE,
		.tp_block_nr = BLOCKS,
		.tp_frame_size = FRAME_SIZE,
		.tp_frame_nr = BLOCKS * (BLOCK_SIZE / FRAME_SIZE),
		.tp_retire_blk_tov = BLOCK_TIMEOUT_MS,
	};
	void *ring;

	if (setsockopt(wire->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0 ||
		setsockopt(wire->fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)) < 0)
		return -errno;
	ring = mmap(
		NULL, (size_t)BLOCK_SIZE * BLOCKS, PROT_READ | PROT_WRITE, MAP_SHARED, wire->fd, 0);
	if (ring == MAP_FAILED)
		return -errno;
	wire->ring = ring;
	return 0;
}

/* The protocol is told last, by bind(2): before, nothing comes in, so that nothing gets past the
 * filter. */
static int open_socket(struct wire *wire, const struct wire_group *groups, size_t count)
{
	const struct sockaddr_ll all = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int r;

	wire->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (wire->fd < 0)
		return errno == EACCES ? -EPERM : -errno;
	r = build_filters(wire, groups, count);
	if (r >= 0)
		r = attach_filter(wire, false);
	if (r >= 0)
		r = map_ring(wire);
	if (r >= 0 && bind(wire->fd, (const struct sockaddr *)&all, sizeof(all)) < 0)
		r = -errno;
	return r;
}

int wire_open(const struct wire_group *groups, size_t count, struct wire **ret)
{
	struct wire *wire = calloc(1, sizeof(*wire));
	int r;

	if (!wire)
		return -ENOMEM;
	wire->fd = -1;
	wire->tally = tally_new(groups, count, clock_ns(CLOCK_MONOTONIC));
	r = wire->tally ? open_socket(wire, groups, count) : -ENOMEM;
	if (r < 0) {
		wire_close(wire);
		return r;
	}
	*ret = wire;
	return 0;
}

void wire_close(struct wire *wire)
{
	if (!wire)
		return;
	if (wire->ring)
		munmap(wire->ring, (size_t)BLOCK_SIZE * BLOCKS);
	closep(&wire->fd);
	tally_free(wire->tally);
	free(wire->whole.items);
	free(wire->sampled.items);
	free(wire);
}

int wire_fd(const struct wire *wire)
{
	return wire->fd;
}

static bool has_ethernet(unsigned short link_type)
{
	return link_type == ARPHRD_ETHER || link_type == ARPHRD_LOOPBACK ||
	       link_type == ARPHRD_IEEE80211;
}

static void take_frame(struct wire *wire, const struct tpacket3_hdr *header, uint64_t now_ns)
{
	const uint8_t *start = (const uint8_t *)header;
	const struct sockaddr_ll *link = (const void *)(start +
							TPACKET_ALIGN(sizeof(struct tpacket3_hdr)));
	bool ethernet = has_ethernet(link->sll_hatype);
	const struct frame_context context = {
		.vlan = header->tp_status & TP_STATUS_VLAN_VALID
				? (int)(header->hv1.tp_vlan_tci & 0xfff)
				: -1,
		.checksum_not_ready = header->tp_status & TP_STATUS_CSUMNOTREADY,
		.wire_size = header->tp_len,
		.has_ethernet = ethernet,
	};
	const struct sighting sighting = {
		.ifindex = (unsigned)link->sll_ifindex,
		.packet_type = link->sll_pkttype,
		.now_ns = now_ns,
	};
	struct frame frame;

	wire->frames++;
	frame_parse(start + header->tp_mac, header->tp_snaplen, &context, &frame);
	tally_take(wire->tally, &frame, &sighting);
}

/* Returns the next block that the kernel has given away, or NULL. */
static struct tpacket_block_desc *next_block(const struct wire *wire)
{
	struct tpacket_block_desc *block = (void *)(wire->ring + (size_t)wire->block * BLOCK_SIZE);

	return __atomic_load_n(&block->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER
		       ? block
		       : NULL;
}

static void return_block(struct wire *wire, struct tpacket_block_desc *block)
{
	__atomic_store_n(&block->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	wire->block = (wire->block + 1) % BLOCKS;
}

static void take_block(struct wire *wire, const struct tpacket_block_desc *block, uint64_t now_ns)
{
	const uint8_t *at = (const uint8_t *)block + block->hdr.bh1.offset_to_first_pkt;

	for (uint32_t left = block->hdr.bh1.num_pkts; left; left--) {
		const struct tpacket3_hdr *header = (const void *)at;

		take_frame(wire, header, now_ns);
		at += header->tp_next_offset;
	}
}

bool wire_read(struct wire *wire)
{
	struct tpacket_block_desc *block = NULL;
	uint64_t begin_ns = clock_ns(CLOCK_MONOTONIC), now_ns = begin_ns;

	while (now_ns - begin_ns < READ_NS && (block = next_block(wire))) {
		take_block(wire, block, now_ns);
		return_block(wire, block);
		now_ns = clock_ns(CLOCK_MONOTONIC);
	}
	if (wire->frames > FRAMES_WHOLE && !wire->samples)
		attach_filter(wire, true);
	return block != NULL;
}

/* The kernel's number restarts from 0 when it is read. */
static uint64_t read_dropped(const struct wire *wire)
{
	struct tpacket_stats_v3 statistics;
	socklen_t size = sizeof(statistics);

	if (getsockopt(wire->fd, SOL_PACKET, PACKET_STATISTICS, &statistics, &size) < 0)
		return 0;
	return statistics.tp_drops;
}

/* What is in the block that the kernel fills now still counts. */
void wire_restart(struct wire *wire)
{
	struct tpacket_block_desc *block;

	for (unsigned i = 0; i < BLOCKS && (block = next_block(wire)); i++)
		return_block(wire, block);
	read_dropped(wire);
	wire->dropped = 0;
	wire->frames = 0;
	if (wire->samples)
		attach_filter(wire, false);
	tally_restart(wire->tally, clock_ns(CLOCK_MONOTONIC));
}

const struct wire_seen *wire_seen(struct wire *wire, size_t group, unsigned ifindex)
{
	return tally_seen(wire->tally, group, ifindex, clock_ns(CLOCK_MONOTONIC));
}

unsigned wire_elsewhere(struct wire *wire, size_t group, unsigned ifindex)
{
	return tally_elsewhere(wire->tally, group, ifindex);
}

uint64_t wire_missed(struct wire *wire)
{
	wire->dropped += read_dropped(wire);
	return wire->dropped + tally_left_out(wire->tally);
}
