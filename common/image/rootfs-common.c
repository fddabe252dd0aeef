#include "image/rootfs.h"

#include "base/hash.h"
#include "base/mem.h"
#include "image/rootfs-private.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS_MIN = 64 };

_Static_assert(sizeof(struct rootfs_common) == 40, "no padding: all bytes are compared");

const struct rootfs_common *rootfs_common(const struct rootfs *r,
					  const struct rootfs_inode *inode)
{
	return &r->common[inode->common];
}

/* Whether they are equal. Their extended attributes are compared as text. */
static bool is_same(const struct rootfs *r, const struct rootfs_common *a,
		    const struct rootfs_common *b, const void *xattrs)
{
	struct rootfs_common x = *a;

	x.xattrs = b->xattrs;
	return memcmp(&x, b, sizeof x) == 0 &&
	       (b->xattrs_len == 0 ||
		memcmp(r->text.data + a->xattrs, xattrs, b->xattrs_len) == 0);
}

static uint64_t hash_of(const struct rootfs_common *common, const void *xattrs)
{
	struct rootfs_common x = *common;

	x.xattrs = 0;
	return hash_keyed(&x, sizeof x) ^
	       (x.xattrs_len > 0 ? hash_keyed(xattrs, x.xattrs_len) : 0);
}

/* Returns the slot that holds `common`, or the free slot where it belongs. */
static uint32_t *find_slot(const struct rootfs *r, const struct rootfs_common *common,
			   const void *xattrs)
{
	for (size_t at = hash_of(common, xattrs);; at++) {
		uint32_t *slot = &r->common_slot[at & (r->n_common_slots - 1)];
		if (*slot == 0 || is_same(r, &r->common[*slot - 1], common, xattrs))
			return slot;
	}
}

static void grow_slots(struct rootfs *r)
{
	free(r->common_slot);
	r->n_common_slots = r->n_common_slots == 0 ? SLOTS_MIN : r->n_common_slots * 2;
	r->common_slot = mem_zero(r->n_common_slots, sizeof *r->common_slot);
	for (size_t i = 0; i < r->n_common; i++) {
		const struct rootfs_common *common = &r->common[i];
		*find_slot(r, common, r->text.data + common->xattrs) = (uint32_t)i + 1;
	}
}

uint32_t rootfs_add_common(struct rootfs *r, const struct rootfs_common *common,
			   const void *xattrs, size_t xattrs_len)
{
	struct rootfs_common new = *common;

	new.xattrs = 0;
	new.xattrs_len = (uint32_t)xattrs_len;
	/* Most files have the metadata of the file before. */
	if (r->n_common > 0 && is_same(r, &r->common[r->n_common - 1], &new, xattrs))
		return (uint32_t)r->n_common - 1;
	if (r->n_common * 4 >= r->n_common_slots * 3)
		grow_slots(r);
	uint32_t *slot = find_slot(r, &new, xattrs);
	if (*slot != 0)
		return *slot - 1;
	if (xattrs_len > 0)
		new.xattrs = rootfs_add_text(r, xattrs, xattrs_len);
	r->common =
	    mem_grow(r->common, &r->cap_common, r->n_common + 1, sizeof *r->common);
	r->common[r->n_common++] = new;
	*slot = (uint32_t)r->n_common;
	return *slot - 1;
}
