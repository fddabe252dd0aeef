/*
 * opt: the command line.
 *
 * One table a tool is both what getopt_long(3) parses and what --help prints, so the
 * two cannot disagree. Every tool also has --help, --version and -o, --output FILE.
 */
#ifndef DT_OPT_H
#define DT_OPT_H

/* An option; a table of them ends with an empty one. */
struct opt {
	int key;          /* what opt_next() returns for it, above 0 */
	const char *name; /* the long name, without dashes */
	const char *arg;  /* what its argument is called, NULL if it takes none */
	const char *help; /* one line, lower case */
};

/*
 * An option of former versions: an error that names what replaces it. --help does not
 * list it. A table of them ends with an empty one.
 */
struct opt_moved {
	const char *name, *to; /* {"source", "--scan, --db or --graph"} */
};

struct opt_tool {
	const char *synopsis; /* what follows the tool's name, "[OPTION]... [PATH]..." */
	const char *purpose;  /* one sentence on what goes in and what comes out */
	const struct opt *options;
	const struct opt_moved *moved; /* NULL if there are none */
};

/*
 * The next option's key, or -1 when operands begin at argv[optind]; optarg holds its
 * argument. Answers --help and --version itself (and exits 0); ends the process with
 * status 2 at an option it does not know.
 */
int opt_next(int argc, char **argv, const struct opt_tool *tool);

/* The FILE of --output, for io_begin(); NULL if the option was not given. */
const char *opt_output(void);

#endif
