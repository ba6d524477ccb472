#include "engines/nats/nkey.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engines/secrets.h"

#define KEY_SIZE 32
#define SEED_SIZE (2 + KEY_SIZE + 2) /* prefix, key, CRC */
#define PUBLIC_SIZE (1 + KEY_SIZE + 2)
#define PREFIX_SEED (18 << 3)
#define PREFIX_USER (20 << 3)

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/* CRC-16/XMODEM. */
static uint16_t crc(const uint8_t *data, size_t size)
{
	uint16_t sum = 0;

	for (size_t i = 0; i < size; i++) {
		sum ^= (uint16_t)(data[i] << 8);
		for (int bit = 0; bit < 8; bit++)
			sum = (uint16_t)(sum & 0x8000 ? sum << 1 ^ 0x1021 : sum << 1);
	}
	return sum;
}

/* Decodes exactly size bytes. */
static int decode(const char *text, uint8_t *ret, size_t size)
{
	uint32_t bits = 0;
	unsigned count = 0;
	size_t filled = 0;

	for (; *text; text++) {
		const char *found = strchr(alphabet, *text);

		if (!found)
			return -EINVAL;
		bits = bits << 5 | (uint32_t)(found - alphabet);
		count += 5;
		if (count < 8)
			continue;
		count -= 8;
		if (filled == size)
			return -EINVAL;
		ret[filled++] = (uint8_t)(bits >> count);
	}
	return filled == size && count < 5 ? 0 : -EINVAL;
}

/* The size is a multiple of 5 bytes. */
static void encode(const uint8_t *data, size_t size, char *ret)
{
	uint32_t bits = 0;
	unsigned count = 0;

	for (size_t i = 0; i < size; i++) {
		bits = bits << 8 | data[i];
		count += 8;
		for (; count >= 5; count -= 5)
			*ret++ = alphabet[bits >> (count - 5) & 31];
	}
	*ret = '\0';
}

static int derive(const uint8_t seed[static KEY_SIZE], uint8_t ret[static KEY_SIZE])
{
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, KEY_SIZE);
	size_t size = KEY_SIZE;
	int r = key && EVP_PKEY_get_raw_public_key(key, ret, &size) == 1 ? 0 : -EINVAL;

	EVP_PKEY_free(key);
	return r;
}

int nkey_public(const char *seed, char ret[static NKEY_PUBLIC_MAX])
{
	uint8_t bytes[SEED_SIZE], public[PUBLIC_SIZE] = {PREFIX_USER};
	uint16_t sum;
	int r = decode(seed, bytes, SEED_SIZE);

	if (r >= 0) {
		sum = crc(bytes, SEED_SIZE - 2);
		if (bytes[0] != (PREFIX_SEED | PREFIX_USER >> 5) ||
			bytes[1] != (PREFIX_USER << 3 & 0xff) ||
			bytes[SEED_SIZE - 2] != (sum & 0xff) || bytes[SEED_SIZE - 1] != sum >> 8)
			r = -EINVAL;
	}
	r = r < 0 ? r : derive(bytes + 2, public + 1);
	explicit_bzero(bytes, sizeof(bytes));
	if (r < 0)
		return r;
	sum = crc(public, PUBLIC_SIZE - 2);
	public[PUBLIC_SIZE - 2] = (uint8_t)sum;
	public[PUBLIC_SIZE - 1] = (uint8_t)(sum >> 8);
	encode(public, PUBLIC_SIZE, ret);
	return 0;
}

int nkey_public_of_file(
	const char *file, char why[static WHY_MAX], char ret[static NKEY_PUBLIC_MAX])
{
	char *seed;
	int r = engine_read_secret(file, why, &seed);

	if (r < 0)
		return r;
	r = nkey_public(seed, ret);
	explicit_bzero(seed, strlen(seed));
	free(seed);
	if (r < 0)
		because(why, r, "%s: is not the seed of a user's NKey (SU...)", file);
	return r;
}
