/*
 * digest: SHA-256, and how digests are spelled.
 *
 * A digest's hex form is 64 lower-case digits; in image documents it follows "sha256:"
 * (OCI image specification, descriptor.md).
 */
#ifndef DT_DIGEST_H
#define DT_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { DIGEST_BYTES = 32, DIGEST_HEX = 64 };

/* A running SHA-256. */
struct digest {
	void *state;
};

void digest_init(struct digest *d);
void digest_release(struct digest *d);
void digest_update(struct digest *d, const void *data, size_t len);

/* Adds a text with its NUL, and a number: so that what follows cannot be taken for them.
 */
void digest_text(struct digest *d, const char *s);
void digest_number(struct digest *d, uint64_t n);

/* Ends the sum, writes its hex form, and makes `d` ready for the next one. */
void digest_hex(struct digest *d, char hex[DIGEST_HEX + 1]);

/* The hex SHA-256 of `len` bytes. */
void digest_of(const void *data, size_t len, char hex[DIGEST_HEX + 1]);

/*
 * The hex SHA-256 of `size` bytes of a file, from `at` on. Returns 0, or -1 and errno,
 * which is EIO if the file ends before.
 */
int digest_span(int fd, off_t at, uint64_t size, char hex[DIGEST_HEX + 1]);

/* Whether two hex digests are equal, in a time that does not tell where they differ. */
bool digest_is_same(const char *a, const char *b);

/* Whether `s` is exactly 64 lower-case hex digits. */
bool digest_is_hex(const char *s);

/* The hex part of "sha256:HEX", or NULL if `s` is anything else. */
const char *digest_strip(const char *s);

/*
 * The 32 characters by which Nix would name something of this digest: the digest folded
 * to 160 bits, in Nix' base 32.
 */
enum { DIGEST_NIX32 = 32 };
void digest_nix32(const char *hex, char out[DIGEST_NIX32 + 1]);

/*
 * Reads a pinned SHA-256 as Nix takes it: hex, base 64 or Nix' base 32, "sha256:" in
 * front or not, or "sha256-" and base 64 (W3C Subresource Integrity). An empty text is a
 * hash that is not known yet, and reads as 32 zero bytes. Returns 0, or -1.
 */
int digest_pin(const char *text, char hex[DIGEST_HEX + 1]);

/* Writes "sha256-" and the digest in base 64. */
enum { DIGEST_SRI = 7 + 44 + 1 };
void digest_sri(const char *hex, char out[DIGEST_SRI]);

#endif
