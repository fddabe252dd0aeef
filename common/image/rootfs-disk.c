#include "image/rootfs.h"

#include "archive/path.h"
#include "archive/tar.h"
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

static struct rootfs_disk *new_disk(void)
{
	struct rootfs_disk *disk = mem_zero(1, sizeof *disk);

	tree_reader_init(&disk->reader);
	return disk;
}

void rootfs_release_disks(struct rootfs *r)
{
	for (size_t i = 1; i <= r->n_layers; i++) {
		struct rootfs_disk *disk = r->place[i].disk;
		if (disk == NULL)
			continue;
		tree_release(&disk->tree);
		tree_reader_release(&disk->reader);
		free(disk);
	}
}

static uint32_t make_common(const struct scan *s, uint32_t i)
{
	const struct tree_entry *entry = &s->tree->entry[i];
	const struct tree_owner *owner = &s->tree->owner[entry->owner];
	const int64_t second = 1000000000;
	int64_t nsec = entry->mtime % second;

	nsec += nsec < 0 ? second : 0;
	const struct rootfs_common common = {
	    .uid = owner->uid,
	    .gid = owner->gid,
	    .mtime = (entry->mtime - nsec) / second,
	    .nsec = (uint32_t)nsec,
	    .mode = (uint16_t)entry->mode,
	    .place = s->add.r->n_layers,
	};
	return rootfs_add_common(s->add.r, &common, s->tree->names.data + owner->xattrs,
				 owner->xattrs_len);
}

static void make_inode(const struct scan *s, uint32_t i, struct rootfs_inode *inode)
{
	const struct tree_entry *entry = &s->tree->entry[i];

	*inode = (struct rootfs_inode){.common = make_common(s, i)};
	if (S_ISREG(entry->mode)) {
		inode->size = entry->size;
		inode->block = i;
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
			rootfs_add_node(a, parent, base, strlen(base), (uint32_t)first);
			return 0;
		}
	}
	make_inode(s, i, &inode);
	return rootfs_put(a, &inode, e);
}

int rootfs_add_disk(struct rootfs *r, const char *path, const char *as, struct err *e)
{
	static const struct tree_scan how = {.keep_owners = true};
	const struct rootfs_place place = {.fd = -1, .disk = new_disk()};
	struct scan s = {.add = {.r = r, .what = path}, .tree = &place.disk->tree};
	int result = rootfs_begin_layer(&s.add, &place, e);

	if (result < 0) {
		free(place.disk);
		return -1;
	}
	tree_scan(&place.disk->tree, path, &how);
	path_clean(as, &s.add.path);
	s.as_len = s.add.path.len;
	for (uint32_t i = 0; i != TREE_END && result == 0; i = tree_next(s.tree, i))
		result = add_entry(&s, i, e);
	hardlinks_release(&s.links);
	buf_release(&s.add.path);
	return result;
}

static const struct rootfs_place *place_of(const struct rootfs *r,
					   const struct rootfs_inode *inode)
{
	return &r->place[rootfs_common(r, inode)->place];
}

int rootfs_open(const struct rootfs *r, const struct rootfs_inode *inode, off_t *offset)
{
	const struct rootfs_place *place = place_of(r, inode);

	if (place->disk == NULL) {
		*offset = place->start + (off_t)inode->block * TAR_BLOCK;
		return place->fd;
	}
	struct rootfs_disk *disk = place->disk;
	int fd = tree_open(&disk->reader, &disk->tree, inode->block, offset);
	if (fd < 0)
		tree_unreadable(&disk->tree, inode->block);
	return fd;
}

void rootfs_close(const struct rootfs *r, const struct rootfs_inode *inode, int fd,
		  int64_t n)
{
	const struct rootfs_disk *disk = place_of(r, inode)->disk;

	if (disk == NULL)
		return;
	/* A changed ctime alone does not matter: the contents are read only once. */
	if (n >= 0)
		(void)tree_is_touched(&disk->tree, inode->block, fd, (uint64_t)n);
	close(fd);
}
