/*
 * writer-private: how the parts of writer write entries of the archive.
 *
 * writer.c writes layers, writer-documents.c the documents of images.
 */
#ifndef DT_WRITER_PRIVATE_H
#define DT_WRITER_PRIVATE_H

struct buf;
struct writer;

/* Writes an entry that is not a layer. */
void writer_put_member(struct writer *w, const char *name, const struct buf *content);

#endif
