#include "image/rootfs.h"

#include "archive/path.h"
#include "base/err.h"
#include "base/hardlinks.h"
#include "base/mem.h"
#include "image/rootfs-private.h"
#include "tree/tree.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* A place on disk whose files are in the tree. */
struct rootfs_disk {
	struct tree tree;
	struct tree_reader reader;
};

/* The state of adding a place. */
struct scan {
	struct rootfs_addition add;
	const struct tree *tree;
	size_t as_len;          /* length of the path at which it is added */
	struct hardlinks links; /* values are numbers of inodes */
};

static struct rootfs_disk *new_disk(struct rootfs *r)
{
	r->disk = mem_grow(r->disk, &r->cap_disks, r->n_disks + 1, sizeof *r->disk);
	struct rootfs_disk *disk = &r->disk[r->n_disks++];
	*disk = (struct rootfs_disk){0};
	tree_reader_init(&disk->reader);
	return disk;
}

void rootfs_release_disks(struct rootfs *r)
{
	for (size_t i = 0; i < r->n_disks; i++) {
		tree_release(&r->disk[i].tree);
		tree_reader_release(&r->disk[i].reader);
	}
	free(r->disk);
}

/* Sets time, owner and extended attributes, which are in the tree's own form. */
static void set_attributes(const struct scan *s, uint32_t i, struct rootfs_inode *inode)
{
	const struct tree_entry *entry = &s->tree->entry[i];
	const struct tree_owner *owner = &s->tree->owner[entry->owner];
	const int64_t second = 1000000000;
	int64_t nsec = entry->mtime % second;

	nsec += nsec < 0 ? second : 0;
	inode->mtime = (entry->mtime - nsec) / second;
	inode->nsec = (uint32_t)nsec;
	inode->owner =
	    rootfs_add_owner(s->add.r, owner->uid, owner->gid,
			     s->tree->names.data + owner->xattrs, owner->xattrs_len);
}

static void make_inode(const struct scan *s, uint32_t i, struct rootfs_inode *inode)
{
	const struct tree_entry *entry = &s->tree->entry[i];

	*inode = (struct rootfs_inode){.mode = entry->mode, .fd = -1};
	set_attributes(s, i, inode);
	if (S_ISREG(entry->mode)) {
		inode->size = entry->size;
		inode->disk = (uint32_t)s->add.r->n_disks;
		inode->offset = i;
	} else if (S_ISLNK(entry->mode)) {
		const char *link = s->tree->names.data + entry->link;
		inode->link = rootfs_add_text(s->add.r, link, strlen(link));
	} else if (S_ISCHR(entry->mode) || S_ISBLK(entry->mode)) {
		inode->major = major(entry->size);
		inode->minor = minor(entry->size);
	}
}

/* Adds an entry, or another node of its inode. */
static int add_entry(struct scan *s, uint32_t i, struct err *e)
{
	const struct tree_entry *entry = &s->tree->entry[i];
	const struct tree_owner *owner = &s->tree->owner[entry->owner];
	struct rootfs_addition *a = &s->add;
	struct rootfs_inode inode;
	const char *base;

	a->path.len = s->as_len;
	if (i > 0 && s->as_len > 0)
		buf_addch(&a->path, '/');
	tree_path(s->tree, i, &a->path);
	if (rootfs_check_bounds(a, NULL, e) < 0)
		return -1;
	if (owner->ino != 0) {
		size_t next = a->r->n_inodes;
		size_t first = hardlinks_first(&s->links, owner->dev, owner->ino, next);
		if (first != next) {
			uint32_t parent = rootfs_make_room(a, &base);
			rootfs_add_node(a->r, parent, base, strlen(base),
					(uint32_t)first);
			return 0;
		}
	}
	make_inode(s, i, &inode);
	return rootfs_put(a, &inode, e);
}

int rootfs_add_disk(struct rootfs *r, const char *path, const char *as, struct err *e)
{
	static const struct tree_scan how = {.keep_owners = true};
	struct rootfs_disk *disk = new_disk(r);
	struct scan s = {.add = {.r = r, .what = path}, .tree = &disk->tree};
	int result = 0;

	r->n_layers++;
	tree_scan(&disk->tree, path, &how);
	path_clean(as, &s.add.path);
	s.as_len = s.add.path.len;
	for (uint32_t i = 0; i != TREE_END && result == 0; i = tree_next(s.tree, i))
		result = add_entry(&s, i, e);
	hardlinks_release(&s.links);
	buf_release(&s.add.path);
	return result;
}

int rootfs_open(const struct rootfs *r, const struct rootfs_inode *inode, off_t *offset)
{
	*offset = inode->offset;
	if (inode->disk == 0)
		return inode->fd;
	struct rootfs_disk *disk = &r->disk[inode->disk - 1];
	uint32_t i = (uint32_t)inode->offset;
	int fd = tree_open(&disk->reader, &disk->tree, i, offset);
	if (fd < 0)
		tree_unreadable(&disk->tree, i);
	return fd;
}

void rootfs_close(const struct rootfs *r, const struct rootfs_inode *inode, int fd,
		  int64_t n)
{
	if (inode->disk == 0)
		return;
	/* A changed ctime alone does not matter: the contents are read only once. */
	if (n >= 0)
		(void)tree_is_touched(&r->disk[inode->disk - 1].tree,
				      (uint32_t)inode->offset, fd, (uint64_t)n);
	close(fd);
}
