#include "image/stubs.h"

#include "archive/unpack.h"
#include "base/err.h"
#include "base/mem.h"
#include "image/layernote.h"
#include "tree/layer.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Adds the note of a member, unless it is not of a layer. */
static int add_member(struct stubs *s, const struct unpack_member *m, struct err *e)
{
	struct layernote note;
	int result = layernote_read(&note, m, e);

	if (result <= 0) {
		layernote_release(&note);
		return result < 0 ? err_prefix(e, "%s", s->file) : 0;
	}
	if (!note.is_stub)
		note.size = m->size;
	s->note = mem_grow(s->note, &s->cap, s->n + 1, sizeof *s->note);
	s->note[s->n++] = note;
	return 0;
}

int stubs_read(struct stubs *s, const char *file, struct err *e)
{
	struct unpack_member m;
	int result, fd = open(file, O_RDONLY | O_CLOEXEC);

	*s = (struct stubs){.file = file};
	if (fd < 0)
		return err_set_errno(e, "%s", file);
	struct unpack_stream *stream = unpack_stream_new(fd, file);
	while ((result = unpack_next(stream, &m, e)) > 0) {
		result = add_member(s, &m, e);
		if (result < 0)
			break;
	}
	unpack_stream_release(stream);
	close(fd);
	return result;
}

void stubs_release(struct stubs *s)
{
	for (size_t i = 0; i < s->n; i++)
		layernote_release(&s->note[i]);
	free(s->note);
	*s = (struct stubs){0};
}

int stubs_use(const struct stubs *s, size_t i, const char *comment, struct layer *l,
	      struct err *e)
{
	const struct layernote *note = i < s->n ? &s->note[i] : NULL;

	if (note == NULL || strcmp(note->comment, comment) != 0)
		return err_set(e, "%s: made of another plan: layer %zu differs", s->file,
			       i + 1);
	if (l->diff_id[0] == '\0') {
		memcpy(l->diff_id, note->diff_id, sizeof l->diff_id);
		l->size = note->size;
	}
	if (!digest_is_same(l->diff_id, note->diff_id))
		return err_set(e,
			       "layer %zu has the digest %s, not %s as in %s: its files "
			       "changed",
			       i + 1, l->diff_id, note->diff_id, s->file);
	return 0;
}
