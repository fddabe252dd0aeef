/*
 * digest: SHA-256 and the text forms of a digest.
 *
 * Layers, configurations and NARs are named by their SHA-256. This module computes it and
 * converts between the spellings that OCI and Nix use:
 *
 *	struct digest d;
 *	digest_init(&d);
 *	digest_update(&d, data, len);
 *	digest_hex(&d, hex);
 *	digest_release(&d);
 *
 * The hex form is 64 lower-case digits. Image documents write "sha256:" before it (OCI
 * image specification, descriptor.md).
 */
#ifndef DT_DIGEST_H
#define DT_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { DIGEST_BYTES = 32, DIGEST_HEX = 64 };

/* A SHA-256 computation in progress. */
struct digest {
	void *state;
};

void digest_init(struct digest *d);
void digest_release(struct digest *d);
void digest_update(struct digest *d, const void *data, size_t len);

/*
 * Adds a string including its NUL, or a number in the byte order of the machine. Both
 * have an unambiguous end, so that adjacent fields cannot be confused.
 */
void digest_text(struct digest *d, const char *s);
void digest_number(struct digest *d, uint64_t n);

/* Finishes the digest, writes its hex form, and resets `d` for the next digest. */
void digest_hex(struct digest *d, char hex[DIGEST_HEX + 1]);

/* Computes the SHA-256 of `len` bytes in hex. */
void digest_of(const void *data, size_t len, char hex[DIGEST_HEX + 1]);

/*
 * Adds up to `size` bytes of a file, starting at offset `at`. Returns the number of
 * bytes, which is less than `size` only at the end of the file, or -1 with errno set.
 */
int64_t digest_add_file(struct digest *d, int fd, off_t at, uint64_t size);

/*
 * Computes the SHA-256 of `size` bytes of a file, starting at offset `at`, in hex.
 * Returns 0, or -1 with errno set. errno is EIO if the file ends too early.
 */
int digest_span(int fd, off_t at, uint64_t size, char hex[DIGEST_HEX + 1]);

/*
 * Compares two hex digests in constant time. Digests of received data are compared with
 * the expected ones by this function only.
 */
bool digest_is_same(const char *a, const char *b);

/* Returns whether `s` is exactly 64 lower-case hex digits. */
bool digest_is_hex(const char *s);

/* Writes "sha256:HEX", the form of a digest in image documents and registries. */
enum { DIGEST_REFERENCE = 7 + DIGEST_HEX + 1 };
void digest_reference(const char *hex, char out[DIGEST_REFERENCE]);

/* Returns the hex part of "sha256:HEX", or NULL if `s` has another form. */
const char *digest_strip(const char *s);

/*
 * Writes the 32 characters that Nix would use in the name of a store path with this
 * digest. Nix folds the digest to 160 bits by XOR and writes them in its own base 32.
 * `hex` must be a valid digest.
 */
enum { DIGEST_NIX32 = 32 };
void digest_nix32(const char *hex, char out[DIGEST_NIX32 + 1]);

/* Writes the complete digest in Nix base 32, 52 characters. `hex` must be valid. */
enum { DIGEST_BASE32 = 52 };
void digest_base32(const char *hex, char out[DIGEST_BASE32 + 1]);

/*
 * Reads a SHA-256 that a user pinned, in any form that Nix accepts:
 *
 * - hex, base 64 or Nix base 32, with or without "sha256:" before it;
 * - "sha256-" and base 64 (W3C Subresource Integrity);
 * - an empty text, for a hash that is not known yet, which reads as 32 zero bytes.
 *
 * Returns 0, or -1 if the text has none of these forms.
 */
int digest_pin(const char *text, char hex[DIGEST_HEX + 1]);

/* Writes the W3C Subresource Integrity form: "sha256-" and the digest in base 64. */
enum { DIGEST_SRI = 7 + 44 + 1 };
void digest_sri(const char *hex, char out[DIGEST_SRI]);

#endif
