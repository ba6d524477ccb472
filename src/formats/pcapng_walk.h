/* Where the last whole block of a pcapng file ends. */
#pragma once

#include <stdint.h>

/* A recorder_measure(): reads all of the file, its blocks' lengths only, in pieces. What Wireshark
 * or dumpcap wrote, with another byte order or link type, is not ours to go on with: libpcap wants
 * one link type and snapshot length in a file. */
int pcapng_measure(int fd, uint64_t size, uint64_t *ret_whole);
