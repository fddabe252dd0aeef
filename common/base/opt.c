#include "base/opt.h"

#include "base/err.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTIONS_MAX = 40, KEY_HELP = 1000, KEY_VERSION, KEY_MOVED, COLUMN = 26 };

static const char *output;

static void help(const struct opt_tool *tool)
{
	printf("usage: %s %s\n\n%s\n\n", err_tool(), tool->synopsis, tool->purpose);
	for (const struct opt *o = tool->options; o->name != NULL; o++) {
		int n = printf("  --%s%s%s", o->name, o->arg != NULL ? " " : "",
			       o->arg != NULL ? o->arg : "");
		if (n > COLUMN - 2)
			n = printf("\n") - 1;
		printf("%*s%s\n", COLUMN - n, "", o->help);
	}
	printf("  -o, --output FILE       write to FILE, and replace it only on success\n"
	       "  --help                  print this help\n"
	       "  --version               print the version\n\n"
	       "See %s(1) for details.\n",
	       err_tool());
}

_Noreturn static void finish(void)
{
	if (fflush(stdout) != 0 || fclose(stdout) != 0)
		die_errno("standard output");
	exit(0);
}

static const char *find_moved(const struct opt_tool *tool, const char *name)
{
	const struct opt_moved *m = tool->moved;

	while (strcmp(m->name, name) != 0)
		m++;
	return m->to;
}

int opt_next(int argc, char **argv, const struct opt_tool *tool)
{
	struct option longs[OPTIONS_MAX] = {
	    {"help", no_argument, NULL, KEY_HELP},
	    {"version", no_argument, NULL, KEY_VERSION},
	    {"output", required_argument, NULL, 'o'},
	};
	int n = 3;

	for (const struct opt *o = tool->options; o->name != NULL && n < OPTIONS_MAX - 1;
	     o++)
		longs[n++] = (struct option){
		    .name = o->name,
		    .has_arg = o->arg != NULL ? required_argument : no_argument,
		    .val = o->key,
		};
	for (const struct opt_moved *m = tool->moved;
	     m != NULL && m->name != NULL && n < OPTIONS_MAX - 1; m++)
		longs[n++] = (struct option){m->name, optional_argument, NULL, KEY_MOVED};
	opterr = 0;
	/* Saved because getopt_long() advances optind only at the end of "-xy". */
	const char *word = argv[optind];
	int at = 0, key = getopt_long(argc, argv, "+:o:", longs, &at);
	switch (key) {
	case KEY_HELP:
		help(tool);
		finish();
	case KEY_VERSION:
		printf("%s %s\n", err_tool(), DT_VERSION);
		finish();
	case OPT_KEY_VERBOSE:
		err_verbose();
		return opt_next(argc, argv, tool);
	case KEY_MOVED:
		die_usage("--%s is now %s", longs[at].name,
			  find_moved(tool, longs[at].name));
	case 'o':
		output = optarg;
		return opt_next(argc, argv, tool);
	case ':':
		die_usage("'%s' needs an argument", word);
	case '?':
		die_usage("unknown option '%s'", word);
	default:
		return key;
	}
}

const char *opt_output(void)
{
	return output;
}
