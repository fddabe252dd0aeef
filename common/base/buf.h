/*
 * buf: a byte string that grows as needed.
 *
 * Callers build text and binary data of unknown length without counting bytes:
 *
 *	struct buf b = {0};
 *	buf_addf(&b, "%s/%s", dir, name);
 *	buf_release(&b);
 *
 * `data` holds `len` bytes. Once something was added, a NUL follows them, so text can be
 * used as a C string. A zeroed struct is an empty buf, whose `data` is NULL. The process
 * ends with a message if memory runs out.
 */
#ifndef DT_BUF_H
#define DT_BUF_H

#include <stddef.h>

struct buf {
	char *data;
	size_t len, cap;
};

void buf_release(struct buf *b);

/* Makes the contents empty; keeps the memory for reuse. */
void buf_clear(struct buf *b);

/*
 * Makes room for `more` bytes after the contents and returns a pointer to that room.
 * `len` does not change.
 */
char *buf_reserve(struct buf *b, size_t more);

void buf_add(struct buf *b, const void *data, size_t len);
void buf_addstr(struct buf *b, const char *s);
void buf_addch(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
