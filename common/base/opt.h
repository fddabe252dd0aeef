/*
 * opt: parse the command line and print --help.
 *
 * A tool describes its options in one table. getopt_long(3) parses the options from this
 * table and --help prints it, so the two cannot disagree.
 *
 *	static const struct opt options[] = {
 *	    {'l', "layers", "N", "use at most N layers"},
 *	    {0}};
 *
 * Every tool also has the options --help, --version and -o, --output FILE.
 */
#ifndef DT_OPT_H
#define DT_OPT_H

/* An option. A table of options ends with an empty entry. */
struct opt {
	int key;          /* result of opt_next() for this option, above 0 */
	const char *name; /* long name without dashes */
	const char *arg;  /* name of its argument; NULL if it has none */
	const char *help; /* one line, lower case */
};

/*
 * The option --verbose, for the table of a tool that makes decisions. opt_next() handles
 * it by err_verbose().
 */
enum { OPT_KEY_VERBOSE = 1003 };
#define OPT_VERBOSE                                            \
	{                                                      \
		OPT_KEY_VERBOSE, "verbose", NULL,              \
		    "print each decision, and why it was made" \
	}

/*
 * An option of a former version, and the option that replaces it. Using it is an error
 * that names the replacement. --help does not list it. A table ends with an empty entry.
 */
struct opt_moved {
	const char *name, *to; /* {"source", "--scan, --db or --graph"} */
};

struct opt_tool {
	const char *synopsis; /* text after the tool's name, "[OPTION]... [PATH]..." */
	const char *purpose;  /* one sentence about the input and the output */
	const struct opt *options;
	const struct opt_moved *moved; /* may be NULL */
};

/*
 * Returns the key of the next option, or -1 at the first operand, which is argv[optind].
 * `optarg` is the argument of the option. Handles --help and --version, which exit with
 * status 0. Ends the process with status 2 if an option is unknown, has moved or lacks
 * its argument.
 */
int opt_next(int argc, char **argv, const struct opt_tool *tool);

/* Returns the FILE of --output for io_begin(), or NULL if the option was not given. */
const char *opt_output(void);

#endif
