/*
 * dt-vmrun: run a script as root on top of an image, and write its changes as a layer.
 *
 * stdin: an image archive. stdout: a layer archive. dt-image(5) describes both. The exit
 * status is that of the script, or 125 for an error of dt-vmrun itself.
 */
#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/opt.h"
#include "base/timestamp.h"
#include "image/flat.h"
#include "image/writer.h"
#include "run/busybox.h"
#include "run/jail.h"
#include "run/job.h"
#include "run/kernel.h"
#include "run/report.h"
#include "run/userns.h"
#include "run/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	TROUBLE = 125, /* not of the script; 126 and 127 are as in env(1) */
	MISSING = 127,
	SCRIPT_MAX = 16 << 20,
	MEMORY_MIN = 96, /* MiB, enough to boot */
	DISK_MIN = 8,
	MIB_MAX = 1 << 24,
	TIMEOUT_MAX = 1 << 30,
};

struct options {
	struct job job;
	struct image_choice image;
	const char *comment, *backend, *kernel, *modules;
	bool is_empty;
	int print; /* OPT_PRINT_*: print this, and run nothing; else 0 */
};

enum {
	OPT_BACKEND = 1,
	OPT_BIND,
	OPT_COMMENT,
	OPT_DISK_SIZE,
	OPT_KERNEL,
	OPT_MEMORY,
	OPT_MODULES,
	OPT_MTIME,
	OPT_NO_IMAGE,
	OPT_PRINT_BUSYBOX,
	OPT_PRINT_KERNEL,
	OPT_TIMEOUT,
	OPT_TREE,
};

static const struct opt option_table[] = {
    {IMAGE_OPT_FROM, "from", "FILE", "the image archive (standard input)"},
    IMAGE_OPTIONS,
    {OPT_NO_IMAGE, "no-image", NULL,
     "run without an image, and do not read standard input"},
    {OPT_TREE, "add-tree", "DIR",
     "copy DIR's contents over the image and into the layer"},
    {OPT_BIND, "bind", "PATH", "let the script read this path, or FROM at PATH"},
    {OPT_DISK_SIZE, "disk-size", "MIB", "how much the script may write (1024)"},
    {OPT_MEMORY, "memory", "MIB", "the virtual machine's memory (512)"},
    {OPT_BACKEND, "backend", "NAME", "auto, kvm, tcg or userns (DT_BACKEND, else auto)"},
    {OPT_KERNEL, "kernel", "FILE",
     "the virtual machine's kernel (DT_KERNEL, else one in /boot)"},
    {OPT_MODULES, "modules", "DIR",
     "where its modules are (DT_MODULES, else /lib/modules)"},
    {OPT_TIMEOUT, "timeout", "SECONDS", "stop the script after this time (never)"},
    {OPT_MTIME, "clamp-mtime", "TIME",
     "latest file time (SOURCE_DATE_EPOCH, else 1970-01-01T00:00:01Z)"},
    {OPT_COMMENT, "comment", "TEXT", "comment of the layer in the image's history"},
    {OPT_PRINT_BUSYBOX, "print-busybox", NULL,
     "only print the path of the static busybox"},
    {OPT_PRINT_KERNEL, "print-kernel", NULL,
     "only print the kernel of the virtual machine and its modules"},
    {0},
};

static const struct opt_moved moved[] = {
    {"mtime", "--clamp-mtime"},
    {"tree", "--add-tree"},
    {0},
};

static const struct opt_tool tool = {
    .synopsis = "[OPTION]... SCRIPT <IMAGE >LAYERS",
    .purpose =
	"Runs a script as root on top of an image and writes what it changed as a layer.",
    .options = option_table,
    .moved = moved,
};

/* Parses PATH or FROM:PATH. */
static void add_bind(struct job *j, char *text)
{
	char *colon = strrchr(text, ':');
	struct jail_bind *b = &j->bind[j->n_binds++];

	if (colon != NULL)
		*colon = '\0';
	b->from = mem_strdup(text);
	b->to = colon != NULL ? colon + 1 : text;
}

static void set_option(struct options *o, int key)
{
	struct job *j = &o->job;

	switch (key) {
	case OPT_BACKEND:
		o->backend = optarg;
		break;
	case OPT_BIND:
		add_bind(j, optarg);
		break;
	case OPT_COMMENT:
		o->comment = optarg;
		break;
	case OPT_DISK_SIZE:
		j->disk = num_option("disk-size", optarg, DISK_MIN, MIB_MAX);
		break;
	case OPT_KERNEL:
		o->kernel = optarg;
		break;
	case OPT_MEMORY:
		j->memory = num_option("memory", optarg, MEMORY_MIN, MIB_MAX);
		break;
	case OPT_MODULES:
		o->modules = optarg;
		break;
	case OPT_MTIME:
		j->mtime = timestamp_option("clamp-mtime", optarg);
		break;
	case OPT_NO_IMAGE:
		o->is_empty = true;
		break;
	case OPT_PRINT_BUSYBOX:
	case OPT_PRINT_KERNEL:
		o->print = key;
		break;
	case OPT_TIMEOUT:
		j->timeout = num_option("timeout", optarg, 1, TIMEOUT_MAX);
		break;
	case OPT_TREE:
		free(j->tree);
		j->tree = mem_strdup(optarg);
		break;
	default:
		image_choice_option(&o->image, key, optarg);
	}
}

/* The value of an environment variable, or NULL if it is empty or not set. */
static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && *value != '\0' ? value : NULL;
}

static void parse_args(struct options *o, int argc, char **argv)
{
	const char *backend = variable("DT_BACKEND");

	*o = (struct options){.comment = ""};
	image_choice_init(&o->image);
	o->image.from = "-";
	o->job = (struct job){.memory = 512, .disk = 1024, .mtime = timestamp_default()};
	o->job.bind = mem_zero((size_t)argc, sizeof *o->job.bind);
	o->backend = backend != NULL ? backend : "auto";
	o->kernel = variable("DT_KERNEL");
	o->modules = variable("DT_MODULES");
	for (int key; (key = opt_next(argc, argv, &tool)) != -1;)
		set_option(o, key);
	if (strcmp(o->backend, "auto") != 0 && strcmp(o->backend, "kvm") != 0 &&
	    strcmp(o->backend, "tcg") != 0 && strcmp(o->backend, "userns") != 0)
		die_usage("--backend takes auto, kvm, tcg or userns, not '%s'",
			  o->backend);
	if (optind == argc && o->print == 0)
		die_usage("the script is missing");
	if (optind + (o->print == 0) < argc)
		die_usage("unexpected operand '%s'", argv[optind + (o->print == 0)]);
	if (o->print != 0)
		return;
	o->job.script_name = argv[optind];
}

static void read_script(struct job *j)
{
	struct stat st;

	if (stat(j->script_name, &st) < 0 && (errno == ENOENT || errno == ENOTDIR))
		err_status(MISSING);
	if (io_slurp_file(j->script_name, &j->script, SCRIPT_MAX) < 0)
		die_errno("%s", j->script_name);
}

static void print_busybox(void)
{
	struct buf path = {0};
	struct err why;

	if (busybox_path(&path, &why) < 0)
		die("%s", why.text);
	buf_add(&path, "\n", 1);
	io_finish_text(&path);
	buf_release(&path);
}

static void print_kernel(const struct options *o)
{
	struct kernel k = {0};
	struct buf text = {0};
	struct err why;

	if (kernel_find(&k, o->kernel, o->modules, &why) < 0)
		die("%s", why.text);
	buf_addf(&text, "%s\n%s\n", k.file, k.directory);
	io_finish_text(&text);
	buf_release(&text);
	kernel_release(&k);
}

/* --- the image --- */

static void open_image(struct flat *m, struct options *o)
{
	struct err why;

	*m = (struct flat){0};
	o->job.image = "the image";
	if (o->is_empty)
		rootfs_init(&m->rootfs);
	else if (flat_open(m, &o->image, true, &why) < 0)
		die("%s", why.text);
	else
		o->job.image = m->image.file;
}

/* --- the run --- */

/* Runs the script. Returns the exit status, and a reason if it is not 0. */
static int run(struct options *o, struct flat *m, uint64_t *size, struct err *e)
{
	struct report report = {0};
	bool is_vm = strcmp(o->backend, "userns") != 0;
	struct vm vm = {.kernel = o->kernel, .modules = o->modules};
	int status = TROUBLE, result;

	o->job.rootfs = &m->rootfs;
	o->job.layer = io_tmpfile();
	if (o->job.layer < 0)
		return err_set_errno(e, "cannot create a temporary file"), TROUBLE;
	if (job_prepare(&o->job, e) < 0)
		return TROUBLE;
	vm.may_kvm = strcmp(o->backend, "tcg") != 0;
	vm.may_tcg = strcmp(o->backend, "kvm") != 0;
	result =
	    is_vm ? vm_run(&o->job, &vm, &report, e) : userns_run(&o->job, &report, e);
	/*
	 * Digests are checked while the script runs. A wrong digest explains any other
	 * error.
	 */
	if (flat_check(m, e) < 0)
		result = -1;
	if (result == 0)
		status =
		    report_verdict(&report, o->job.script_name, is_vm ? o->job.memory : 0,
				   is_vm ? o->job.disk : 0, e);
	*size = report.layer;
	report_release(&report);
	return status;
}

/* --- the layer --- */

static void write_layer(int fd, uint64_t size, const char *comment)
{
	struct writer w = {.fd = STDOUT_FILENO};
	char diff_id[DIGEST_HEX + 1];

	io_pipe_grow(STDOUT_FILENO);
	if (digest_span(fd, 0, size, diff_id) < 0)
		die_errno("the layer");
	writer_file(&w, diff_id, fd, 0, size, comment);
	writer_end(&w);
	io_finish();
	writer_release(&w);
}

int main(int argc, char **argv)
{
	struct options o;
	struct flat image;
	struct err why;
	uint64_t size;

	err_init("dt-vmrun");
	err_status(TROUBLE);
	io_init();
	parse_args(&o, argc, argv);
	io_begin(opt_output(), o.print != 0 ? IO_TEXT : IO_BINARY);
	if (o.print != 0) {
		if (o.print == OPT_PRINT_BUSYBOX)
			print_busybox();
		else
			print_kernel(&o);
		job_release(&o.job);
		return 0;
	}
	read_script(&o.job);
	open_image(&image, &o);
	int status = run(&o, &image, &size, &why);
	if (status != 0) {
		err_status(status);
		die("%s", why.text);
	}
	write_layer(o.job.layer, size, o.comment);

	flat_release(&image);
	close(o.job.layer);
	job_release(&o.job);
	return 0;
}
