/*
 * userns-private: the user namespace of a run, and its IDs.
 */
#ifndef DT_USERNS_PRIVATE_H
#define DT_USERNS_PRIVATE_H

#include <stdbool.h>

struct err;
struct rootfs;

/*
 * Enters a new user namespace and becomes its root. It has the IDs that newuidmap(1) and
 * newgidmap(1) grant to this user, or else only the user's own. Returns 0, or -1 and a
 * reason.
 */
int userns_enter(struct err *e);

/*
 * Checks that the overlay can show all files of the sorted tree as they are: their owners
 * exist in this user namespace, and if it is not the initial one, `is_user_ns`, root may
 * set their extended attributes. Returns 0, or -1 and a reason.
 */
int userns_check(const struct rootfs *r, bool is_user_ns, struct err *e);

#endif
