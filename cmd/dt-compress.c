/*
 * dt-compress: a compressed archive, if it came in whole.
 *
 * stdin: a tar archive, such as those of dt-image(5). stdout: the same, compressed.
 */
#include "compress.h"
#include "err.h"
#include "io.h"
#include "num.h"
#include "opt.h"
#include "progress.h"
#include "unpack.h"

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

struct options {
	enum compress_format format;
	int level; /* 0 is the format's own default */
};

enum { OPT_FORMAT = 1, OPT_LEVEL };

static const struct opt option_table[] = {
    {OPT_FORMAT, "format", "NAME", "gz, zstd or none (gz)"},
    {OPT_LEVEL, "level", "N", "1 to 12 for gz, 1 to 19 for zstd"},
    {0},
};

static const struct opt_tool tool = {
    .synopsis = "[OPTION]... <ARCHIVE >COMPRESSED",
    .purpose = "Compresses a tar archive on all cores, if it came in whole.",
    .options = option_table,
};

static enum compress_format parse_format(const char *name)
{
	if (strcmp(name, "gz") == 0)
		return COMPRESS_GZIP;
	if (strcmp(name, "zstd") == 0)
		return COMPRESS_ZSTD;
	if (strcmp(name, "none") == 0)
		return COMPRESS_NONE;
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
		case OPT_LEVEL:
			level = optarg;
			break;
		}
	}
	if (optind < argc)
		die_usage("unexpected operand '%s'", argv[optind]);
	if (level == NULL)
		return;
	if (o->format == COMPRESS_NONE)
		die_usage("--level goes with --format gz or zstd");
	o->level = (int)num_option("level", level, 1,
				   o->format == COMPRESS_GZIP ? COMPRESS_GZIP_LEVELS
							      : COMPRESS_ZSTD_LEVELS);
}

/* What is on its way, and how much of it. */
struct work {
	struct compress *compress; /* NULL: it goes through as it is */
	size_t members;
	uint64_t bytes;
};

static int write_out(void *arg, const void *data, size_t len, struct err *e)
{
	(void)arg;
	if (io_write(STDOUT_FILENO, data, len) < 0)
		return err_set_errno(e, "%s", io_output());
	return 0;
}

static int pass_on(void *arg, const void *data, size_t len, struct err *e)
{
	struct work *w = arg;

	w->bytes += len;
	progress("members", w->members, 0, w->bytes);
	return w->compress != NULL ? w->compress->add(w->compress, data, len, e)
				   : write_out(NULL, data, len, e);
}

/*
 * Passes all of the archive on. It is gone through member by member, since where it was
 * cut off could look like its end: the layers within it end in zeroes, too.
 */
static void pass_all(struct work *w)
{
	struct unpack_stream *s = unpack_stream_new(STDIN_FILENO, "stdin");
	struct unpack_member m;
	struct err e;
	int result;

	unpack_stream_tee(s, pass_on, w);
	while ((result = unpack_next(s, &m, &e)) > 0)
		w->members++;
	progress_end();
	if (result < 0)
		die("%s", e.text);
	unpack_stream_release(s);
}

int main(int argc, char **argv)
{
	struct options o;
	struct work w = {0};
	struct err e;

	err_init("dt-compress");
	io_init();
	parse_args(&o, argc, argv);
	io_begin(opt_output(), IO_BINARY);
	io_pipe_grow(STDIN_FILENO);
	io_pipe_grow(STDOUT_FILENO);
	if (o.format == COMPRESS_GZIP)
		w.compress = compress_gzip(o.level, write_out, NULL);
	else if (o.format == COMPRESS_ZSTD)
		w.compress = compress_zstd(o.level, write_out, NULL);
	pass_all(&w);
	if (w.compress != NULL) {
		if (w.compress->end(w.compress, &e) < 0)
			die("%s", e.text);
		w.compress->release(w.compress);
	}
	io_finish();
	return 0;
}
