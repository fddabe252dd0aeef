/*
 * buf: growable bytes.
 *
 * `data` holds `len` bytes and always a NUL behind them, so that text can be used as a
 * string. A zeroed struct is an empty buf; releasing one of those is a no-op.
 */
#ifndef DT_BUF_H
#define DT_BUF_H

#include <stddef.h>

struct buf {
	char *data;
	size_t len, cap;
};

void buf_release(struct buf *b);

/* Forgets the contents, keeps the memory. */
void buf_clear(struct buf *b);

/* Makes room for `more` bytes behind the contents and returns where they go. */
char *buf_reserve(struct buf *b, size_t more);

void buf_add(struct buf *b, const void *data, size_t len);
void buf_addstr(struct buf *b, const char *s);
void buf_addch(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
