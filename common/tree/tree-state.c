#include "tree/tree.h"

#include "base/digest.h"
#include "base/err.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static void digest_owner(struct digest *d, const struct tree *t,
			 const struct tree_owner *owner)
{
	digest_number(d, owner->uid);
	digest_number(d, owner->gid);
	digest_number(d, owner->has_mtime);
	digest_number(d, (uint64_t)owner->mtime);
	digest_number(d, owner->nsec);
	digest_number(d, owner->ino);
	digest_number(d, owner->xattrs_len);
	digest_update(d, t->names.data + owner->xattrs, owner->xattrs_len);
}

void tree_digest(const struct tree *t, struct digest *d)
{
	struct buf link = {0};
	struct stat st;

	for (size_t i = 0; i < t->n_origins; i++) {
		if (t->origin[i].archive < 0 || fstat(t->origin[i].archive, &st) < 0)
			continue;
		digest_number(d, st.st_ino);
		digest_number(d, (uint64_t)st.st_size);
		digest_number(d, (uint64_t)t->origin[i].ctime);
	}
	for (uint32_t i = 0; i != TREE_END; i = tree_next(t, i)) {
		const struct tree_entry *e = &t->entry[i];
		bool is_directory = S_ISDIR(e->mode), is_link = S_ISLNK(e->mode);
		const uint64_t facts[] = {is_directory || is_link ? 0 : e->size,
					  (uint64_t)e->mtime, e->state, e->mode,
					  e->parent};
		digest_update(d, facts, sizeof facts);
		digest_text(d, t->names.data + e->name);
		digest_text(d, is_link ? tree_link(t, i, &link) : "");
		digest_number(d, e->owner != TREE_END);
		if (e->owner != TREE_END)
			digest_owner(d, t, &t->owner[e->owner]);
	}
	buf_release(&link);
}

bool tree_is_settled(const struct tree *t)
{
	/* Twice the longest tick of the kernel's clock for file times. */
	const int64_t tick = 20000000;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return t->newest + tick <= tree_ns(now);
}

bool tree_is_touched(const struct tree *t, uint32_t i, int fd, uint64_t got)
{
	const struct tree_entry *e = &t->entry[i];
	const struct tree_origin *origin = &t->origin[e->origin];
	bool is_archived = origin->archive >= 0;
	struct stat st;

	if (got != e->size || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    (!is_archived && (uint64_t)st.st_size != e->size) ||
	    tree_ns(st.st_mtim) != e->mtime)
		tree_changed(t, i);
	return is_archived ? tree_ns(st.st_ctim) != origin->ctime
			   : tree_state(&st) != e->state;
}

_Noreturn void tree_changed(const struct tree *t, uint32_t i)
{
	struct buf path = {0};

	tree_location(t, i, &path);
	die("%s: changed while it was read", path.data);
}

_Noreturn void tree_unreadable(const struct tree *t, uint32_t i)
{
	struct buf path = {0};
	int reason = errno;

	tree_location(t, i, &path);
	errno = reason;
	die_errno("%s", path.data);
}
