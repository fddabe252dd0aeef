#include "store/nixdb.h"

#include "base/buf.h"
#include "store/nixdb-private.h"
#include "store/store.h"

#include <string.h>

static const char magic[NIXDB_MAGIC] = "SQLite format 3";

bool nixdb_has_magic(const char data[NIXDB_MAGIC])
{
	return memcmp(data, magic, sizeof magic) == 0;
}

bool nixdb_is_guix(const char *dir)
{
	return strcmp(dir, "/gnu/store") == 0;
}

void nixdb_state(const char *dir, struct buf *path)
{
	const char *slash = strrchr(dir, '/');

	if (nixdb_is_guix(dir))
		buf_addstr(path, "/var/guix");
	else
		buf_addf(path, "%.*s/var/nix", (int)(slash - dir), dir);
}

void nixdb_locate(const struct store *s, struct buf *file)
{
	buf_addstr(file, s->root);
	nixdb_state(s->dir, file);
	buf_addstr(file, "/db/db.sqlite");
}
