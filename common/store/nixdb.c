#include "store/nixdb.h"

#include "base/buf.h"
#include "store/store.h"

#include <string.h>

static const char magic[NIXDB_MAGIC] = "SQLite format 3";

bool nixdb_has_magic(const char data[NIXDB_MAGIC])
{
	return memcmp(data, magic, sizeof magic) == 0;
}

void nixdb_locate(const struct store *s, struct buf *file)
{
	if (strcmp(s->dir, "/gnu/store") == 0) {
		buf_addf(file, "%s/var/guix/db/db.sqlite", s->root);
		return;
	}
	const char *slash = strrchr(s->dir, '/');
	buf_addf(file, "%s%.*s/var/nix/db/db.sqlite", s->root, (int)(slash - s->dir),
		 s->dir);
}
