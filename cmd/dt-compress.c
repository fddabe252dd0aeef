/*
 * dt-compress: compress a tar archive, and check that it is complete.
 *
 * stdin: a tar archive, such as those of dt-image(5). stdout: the same archive,
 * compressed. With --layers, both are image archives, and the layers in stdout are
 * compressed.
 */
#include "archive/compress.h"
#include "archive/unpack.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/json.h"
#include "base/num.h"
#include "base/opt.h"
#include "base/progress.h"
#include "base/strset.h"
#include "image/layercheck.h"
#include "image/layernote.h"
#include "image/repack.h"
#include "image/writer.h"

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct options {
	enum compress_format format;
	int level; /* 0: the default of the format */
	bool verify, layers;
};

enum { OPT_FORMAT = 1, OPT_LAYERS, OPT_LEVEL, OPT_VERIFY };

static const struct opt option_table[] = {
    {OPT_FORMAT, "format", "NAME", "gz, zstd or none (gz)"},
    {OPT_LAYERS, "layers", NULL, "compress each layer of an image archive on its own"},
    COMPRESS_OPTION_LEVEL(OPT_LEVEL),
    {OPT_VERIFY, "verify", NULL,
     "compare layers with their digests, also with --format none"},
    OPT_VERBOSE,
    {0},
};

static const struct opt_tool tool = {
    .synopsis = "[OPTION]... <ARCHIVE >COMPRESSED",
    .purpose =
	"Compresses a tar archive on all cores. Fails if the archive is incomplete.",
    .options = option_table,
};

static enum compress_format parse_format(const char *name)
{
	enum compress_format format = compress_named(name);

	if (format != COMPRESS_OTHER)
		return format;
	die_usage("--format takes gz, zstd or none, not '%s'", name);
}

static void parse_args(struct options *o, int argc, char **argv)
{
	const char *level = NULL;

	*o = (struct options){.format = COMPRESS_GZIP};
	for (int key; (key = opt_next(argc, argv, &tool)) != -1;) {
		switch (key) {
		case OPT_FORMAT:
			o->format = parse_format(optarg);
			break;
		case OPT_LAYERS:
			o->layers = true;
			break;
		case OPT_LEVEL:
			level = optarg;
			break;
		case OPT_VERIFY:
			o->verify = true;
			break;
		}
	}
	if (optind < argc)
		die_usage("unexpected operand '%s'", argv[optind]);
	if (o->layers && o->format == COMPRESS_NONE)
		die_usage("--layers goes with --format gz or zstd");
	/*
	 * Hashing takes a tenth of the time of zstd. With --format none it would double
	 * the time.
	 */
	o->verify = o->verify || o->format != COMPRESS_NONE;
	if (level != NULL && o->format == COMPRESS_NONE)
		die_usage("--level goes with --format gz or zstd");
	o->level = compress_level(o->format, level);
}

/* The state of copying the archive. */
struct work {
	struct compress *compress; /* NULL: the output is not compressed */
	size_t members;
	uint64_t bytes, all; /* read; of the archive, or 0 if unknown */
	bool verify;

	/* The current layer, if `left` is not 0. */
	struct layercheck check;
	uint64_t left; /* bytes of the layer that have not been read */
	uint64_t size;
	size_t layer; /* the layer's number, from 1 */
	char diff_id[DIGEST_HEX + 1];

	struct strset layers; /* names of the members blobs/sha256/HEX */
	struct buf list;      /* manifest.json */
	size_t list_left;     /* bytes of it that have not been read */
};

static const char blobs[] = "blobs/sha256/";

static int write_out(void *arg, const void *data, size_t len, struct err *e)
{
	(void)arg;
	if (io_write(STDOUT_FILENO, data, len) < 0)
		return err_set_errno(e, "%s", io_output());
	return 0;
}

/* Hashes the next bytes of the layer. `data` may extend beyond the layer. */
static int see_layer(struct work *w, const void *data, size_t len, struct err *e)
{
	size_t n = len < w->left ? len : (size_t)w->left;

	layercheck_see(&w->check, data, n);
	w->left -= n;
	return w->left > 0 ? 0
			   : layercheck_end(&w->check, 0, w->diff_id, w->size, "stdin",
					    w->layer, e);
}

/* The reason why an archive without the layer is not compressed. */
static int refuse_thin(const char *diff_id, struct err *e)
{
	return err_set(e, "stdin: a thin archive, without layer sha256:%s", diff_id);
}

/* Starts to check the entry if it is a layer. */
static int begin_layer(struct work *w, const struct unpack_member *m, struct err *e)
{
	struct layernote note;
	int result = layernote_read(&note, m, e);

	if (result < 0)
		err_prefix(e, "stdin");
	if (result > 0 && note.is_stub) {
		result = refuse_thin(note.diff_id, e);
	} else if (result > 0 && !w->verify) {
		result = 0;
	} else if (result > 0) {
		memcpy(w->diff_id, note.diff_id, sizeof w->diff_id);
		w->layer++;
		w->left = w->size = m->size;
		layercheck_begin(&w->check);
		result = m->size == 0 ? see_layer(w, "", 0, e) : 0;
	}
	layernote_release(&note);
	return result;
}

/*
 * If a layer is wrong, fails before its last bytes are written. So the output has no
 * end-of-archive mark.
 */
static int pass_on(void *arg, const void *data, size_t len, struct err *e)
{
	struct work *w = arg;

	if (w->left > 0 && see_layer(w, data, len, e) < 0)
		return -1;
	if (w->list_left > 0) {
		size_t n = len < w->list_left ? len : w->list_left;
		buf_add(&w->list, data, n);
		w->list_left -= n;
	}
	w->bytes += len;
	progress("members", w->members, 0, w->bytes, w->all);
	return w->compress != NULL ? w->compress->add(w->compress, data, len, e)
				   : write_out(NULL, data, len, e);
}

static bool is_blob(const char *name)
{
	return name != NULL && strncmp(name, blobs, sizeof blobs - 1) == 0;
}

/* Remembers a member for check_layers(). */
static void note_member(struct work *w, const struct unpack_member *m)
{
	if (is_blob(m->name))
		strset_add(&w->layers, m->name, strlen(m->name));
	if (strcmp(m->name, "manifest.json") != 0 || !m->is_file || m->size > JSON_LIMIT)
		return;
	buf_clear(&w->list);
	w->list_left = (size_t)m->size;
}

/* Checks that the layers in the list of images are in the archive. */
static int check_layers(const struct work *w, struct err *e)
{
	struct err unused;
	json_t *list =
	    w->list.len > 0 ? json_parse(w->list.data, w->list.len, "", &unused) : NULL;
	json_t *image, *layer;
	size_t i, k;
	int result = 0;

	json_array_foreach(list, i, image)
	{
		json_array_foreach(json_object_get(image, "Layers"), k, layer)
		{
			const char *name = json_string_value(layer);
			if (result == 0 && is_blob(name) &&
			    strset_find(&w->layers, name, strlen(name)) == STRSET_NONE)
				result = refuse_thin(name + sizeof blobs - 1, e);
		}
	}
	json_decref(list);
	return result;
}

/*
 * Copies the complete archive. It is parsed entry by entry, because the end of a
 * truncated archive could look like its end-of-archive mark: the layers in it also end in
 * zeroes.
 */
static void pass_all(struct work *w)
{
	struct unpack_stream *s = unpack_stream_new(STDIN_FILENO, "stdin");
	struct unpack_member m;
	struct err e;
	int result;

	unpack_stream_tee(s, pass_on, w);
	while ((result = unpack_next(s, &m, &e)) > 0) {
		w->members++;
		result = begin_layer(w, &m, &e);
		if (result < 0)
			break;
		note_member(w, &m);
	}
	if (result == 0)
		result = check_layers(w, &e);
	progress_end();
	if (result < 0)
		die("%s", e.text);
	unpack_stream_release(s);
	strset_release(&w->layers);
	buf_release(&w->list);
}

/* The bytes of stdin, or 0 if they are unknown. */
static uint64_t input_size(void)
{
	struct stat st;

	return fstat(STDIN_FILENO, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size
								    : 0;
}

/* Compresses the archive. */
static void compress_archive(const struct options *o)
{
	struct work w = {.verify = o->verify, .all = input_size()};
	struct err e;

	if (o->format != COMPRESS_NONE)
		w.compress = compress_new(o->format, o->level, write_out, NULL);
	pass_all(&w);
	if (w.compress == NULL)
		return;
	if (w.compress->end(w.compress, &e) < 0)
		die("%s", e.text);
	w.compress->release(w.compress);
}

/* Compresses the layers in the archive. */
static void compress_layers(const struct options *o)
{
	struct writer w = {.fd = STDOUT_FILENO};
	struct repack r = {
	    .out = &w, .format = o->format, .level = o->level, .all = input_size()};
	struct err e;

	if (repack_stream(&r, STDIN_FILENO, "stdin", &e) < 0)
		die("%s", e.text);
	progress_end();
	writer_end(&w);
	repack_release(&r);
	writer_release(&w);
}

int main(int argc, char **argv)
{
	struct options o;

	err_init("dt-compress");
	io_init();
	parse_args(&o, argc, argv);
	io_begin(opt_output(), IO_BINARY);
	io_pipe_grow(STDIN_FILENO);
	io_pipe_grow(STDOUT_FILENO);
	if (o.layers)
		compress_layers(&o);
	else
		compress_archive(&o);
	io_finish();
	return 0;
}
