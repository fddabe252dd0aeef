/*
 * dt-drv: print store derivations as JSON.
 *
 * Operands or stdin: .drv files. stdout: a JSON object in the format of `nix derivation
 * show`.
 */
#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/opt.h"
#include "store/drv.h"
#include "store/store.h"

#include <getopt.h>
#include <string.h>

static void parse_args(struct store *store, int argc, char **argv)
{
	enum { STORE = 1 };
	static const struct opt options[] = {
	    {STORE, "store", "DIR", "the store, or the root of a system that has one"},
	    {0},
	};
	static const struct opt_tool tool = {
	    .synopsis = "[OPTION]... [FILE]...",
	    .purpose = "Reads store derivations and prints their contents as JSON.",
	    .options = options,
	};
	const char *dir = NULL;

	while (opt_next(argc, argv, &tool) == STORE)
		dir = optarg;
	store_init(store, dir);
}

static void read_file(struct store *s, const char *file, struct buf *text)
{
	struct buf place = {0};
	struct err e;

	if (s->dir != NULL && store_adopt(s, file, strlen(file)) != 0)
		store_locate(s, file, &place);
	else
		buf_addstr(&place, file);
	if (io_slurp_as(place.data, file, text, DRV_LIMIT, &e) < 0)
		die("%s", e.text);
	buf_release(&place);
}

/*
 * Checks a file whose name looks like a store path. The name must agree with the path
 * that follows from the contents.
 */
static void check_name(const char *file, const char *path)
{
	const char *slash = strrchr(file, '/'), *base = slash != NULL ? slash + 1 : file;

	if (store_base_len(base, strlen(base)) == strlen(base) &&
	    strcmp(base, strrchr(path, '/') + 1) != 0)
		die("%s: with this content it would be %s", file, path);
}

/* Adds the derivation in `file`. The key is its store path. */
static void add(struct store *s, const char *file, json_t *all)
{
	const char *what = strcmp(file, "-") == 0 ? "stdin" : file;
	struct buf text = {0}, path = {0};
	struct err e;

	read_file(s, file, &text);
	json_t *drv = drv_parse(s, text.data, text.len, what, &e);
	if (drv == NULL)
		die("%s", e.text);
	if (drv_identify(s, text.data, text.len, drv, &path, &e) < 0)
		die("%s: %s", what, e.text);
	check_name(file, path.data);
	json_object_set_new(all, path.data, drv);
	buf_release(&text);
	buf_release(&path);
}

int main(int argc, char **argv)
{
	struct store store = {0};
	struct buf out = {0};
	json_t *all = json_object();

	err_init("dt-drv");
	io_init();
	parse_args(&store, argc, argv);
	io_begin(opt_output(), IO_TEXT);
	if (optind == argc)
		add(&store, "-", all);
	for (int i = optind; i < argc; i++)
		add(&store, argv[i], all);
	json_write(all, &out);
	buf_addch(&out, '\n');
	io_finish_text(&out);
	json_decref(all);
	buf_release(&out);
	store_release(&store);
	return 0;
}
