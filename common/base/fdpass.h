/*
 * fdpass: messages with descriptors, over a local socket. See unix(7), SCM_RIGHTS.
 */
#ifndef DT_FDPASS_H
#define DT_FDPASS_H

#include <stddef.h>

enum { FDPASS_MAX = 2 }; /* descriptors in a message */

/*
 * Sends `size` bytes and `n` descriptors, at most FDPASS_MAX. They stay open here.
 * Returns 0, or -1 with errno set.
 */
int fdpass_send(int to, const void *data, size_t size, const int *fds, size_t n);

/*
 * Receives a message of exactly `size` bytes and up to FDPASS_MAX descriptors, which the
 * caller closes. The other elements of fds[] are -1. Returns 0, or -1 with errno set,
 * which is EPIPE at the end.
 */
int fdpass_receive(int from, void *data, size_t size, int fds[FDPASS_MAX]);

#endif
