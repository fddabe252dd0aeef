/*
 * jail-private: the mounts of the script's namespace.
 */
#ifndef DT_JAIL_PRIVATE_H
#define DT_JAIL_PRIVATE_H

struct err;
struct jail;

/*
 * In a new mount namespace: mounts everything that the script sees, makes the image the
 * root directory, and the previous root unreachable. Returns 0, or -1 and a reason.
 */
int jail_enter(const struct jail *j, struct err *e);

#endif
