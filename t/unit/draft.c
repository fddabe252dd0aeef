#include "base/draft.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"

#include "tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>

/* The directory that all tests work in. */
static char scratch[] = "/tmp/dt-unit-XXXXXX";

static bool exists(const char *name)
{
	struct stat st;

	return lstat(name, &st) == 0;
}

static void put(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || io_write(fd, text, strlen(text)) < 0)
		abort();
	close(fd);
}

static void contains(const char *name, const char *want, const char *what)
{
	struct buf text = {0};

	buf_addstr(&text, "");
	if (io_slurp_file(name, &text, 1000) < 0)
		tap_is(NULL, want, what);
	else
		tap_is(text.data, want, what);
	buf_release(&text);
}

/* The number of names in a directory. */
static int count(const char *dir)
{
	DIR *d = opendir(dir);
	int n = 0;

	while (d != NULL && readdir(d) != NULL)
		n++;
	if (d != NULL)
		closedir(d);
	return n - 2; /* . and .. */
}

static void test_success(void)
{
	struct draft d;
	struct stat st;
	const mode_t mask = umask(027);

	tap_int(draft_open(&d, "file", 0666, NULL), 0, "a draft of a new file");
	tap_ok(!exists("file"), "the file does not exist yet");
	tap_ok(exists(d.name), "the draft does");
	tap_is(d.file, "file", "the draft has the name of its file");
	tap_ok(fcntl(d.fd, F_GETFD) == FD_CLOEXEC, "no child inherits it");
	io_write(d.fd, "new", 3);
	tap_int(draft_close(&d, true), 0, "it is complete");
	contains("file", "new", "the file has its contents");
	tap_ok(stat("file", &st) == 0 && (st.st_mode & 07777) == 0640,
	       "the umask reduces the mode");
	tap_int(count("."), 1, "no draft is left");
	tap_int(d.fd, -1, "it has no descriptor any more");
	umask(mask);

	int reader = open("file", O_RDONLY);
	tap_int(draft_open(&d, "file", 0600, NULL), 0, "a draft of an old file");
	io_write(d.fd, "newer", 5);
	contains("file", "new", "the old file is unchanged while it is written");
	tap_int(draft_close(&d, true), 0, "it is complete");
	contains("file", "newer", "it replaces the old file");
	char old[8];
	tap_ok(reader >= 0 && io_read(reader, old, sizeof old) == 3 &&
		   memcmp(old, "new", 3) == 0,
	       "the old file is another one, not overwritten");
	close(reader);
	tap_int(count("."), 1, "no draft is left");
	unlink("file");
}

static void test_failure(void)
{
	struct draft d;

	put("file", "old");
	tap_int(draft_open(&d, "file", 0600, NULL), 0, "a draft that fails");
	io_write(d.fd, "half", 4);
	errno = EDOM;
	tap_int(draft_close(&d, false), -1, "is no file");
	tap_int(errno, EDOM, "errno stays");
	contains("file", "old", "the old file stays");
	tap_int(count("."), 1, "the draft is removed");

	mkdir("dir", 0700);
	put("dir/inside", "");
	tap_int(draft_open(&d, "dir", 0600, NULL), 0, "a draft over a directory");
	tap_int(draft_close(&d, true), -1, "cannot replace it");
	tap_ok(errno == EISDIR || errno == ENOTEMPTY || errno == EEXIST,
	       "errno has the reason");
	tap_int(count("."), 2, "and is removed");
	unlink("dir/inside");
	rmdir("dir");

	errno = 0;
	tap_int(draft_open(&d, "nowhere/file", 0600, NULL), -1,
		"a directory that does not exist");
	tap_int(errno, ENOENT, "errno has the reason");
	tap_int(d.fd, -1, "there is no draft");
	unlink("file");
}

static void test_places(void)
{
	struct draft d;
	char name[256];

	mkdir("dir", 0700);
	mkdir("drafts", 0700);
	tap_int(draft_open(&d, "dir/file", 0600, NULL), 0, "a file in a directory");
	tap_ok(strncmp(d.name, "dir/", 4) == 0 && strchr(d.name + 4, '/') == NULL,
	       "its draft is in the same directory");
	tap_int(draft_close(&d, true), 0, "it is complete");
	tap_ok(exists("dir/file"), "it gets its name");
	tap_int(draft_open(&d, "dir/file", 0600, "drafts"), 0,
		"a draft in another directory");
	tap_ok(strncmp(d.name, "drafts/", 7) == 0 && strchr(d.name + 7, '/') == NULL,
	       "is there");
	io_write(d.fd, "x", 1);
	tap_int(draft_close(&d, true), 0, "it is complete");
	contains("dir/file", "x", "it moves to the file's directory");
	tap_int(count("drafts"), 0, "none is left");
	unlink("dir/file");
	rmdir("dir");
	rmdir("drafts");

	memset(name, 'n', sizeof name - 1);
	name[255] = '\0';
	tap_int(draft_open(&d, name, 0600, NULL), 0, "the longest name has a draft");
	tap_int(draft_close(&d, true), 0, "it is complete");
	tap_ok(exists(name), "it gets its name");
	unlink(name);

	struct draft many[70];
	bool distinct = true;
	for (size_t i = 0; i < 70; i++)
		distinct = draft_open(&many[i], "file", 0600, NULL) == 0 && distinct;
	tap_ok(distinct && count(".") == 70, "a file has 70 drafts at the same time");
	for (size_t i = 0; i < 70; i++)
		draft_close(&many[i], i % 2 == 0);
	tap_int(count("."), 1, "they leave the file");
	unlink("file");
}

/* A child that says the name of its draft, and is killed or waits. */
static pid_t start_writer(char *name, size_t size, int *hold)
{
	int said[2], held[2];

	fflush(stdout);
	if (pipe(said) < 0 || pipe(held) < 0)
		abort();
	pid_t child = fork();
	if (child == 0) {
		struct draft d;
		char byte;
		close(held[1]);
		if (draft_open(&d, "other", 0600, NULL) < 0)
			_exit(1);
		io_write(said[1], d.name, strlen(d.name) + 1);
		close(said[1]);
		io_read(held[0], &byte, 1);
		_exit(0);
	}
	close(said[1]);
	close(held[0]);
	ssize_t n = io_read(said[0], name, size);
	if (n <= 0)
		abort();
	close(said[0]);
	*hold = held[1];
	return child;
}

static void test_sweep(void)
{
	struct draft d;
	char name[512];
	int hold, status;

	put(".left.00000000.dt-draft", "");
	put("file.dt-drafts", "");
	put("dt-draft", "");
	tap_int(draft_open(&d, "file", 0600, NULL), 0, "a draft that is being written");
	pid_t child = start_writer(name, sizeof name, &hold);
	tap_ok(exists(name), "another process writes one, too");
	draft_sweep(".");
	tap_ok(!exists(".left.00000000.dt-draft"), "a draft without a writer is removed");
	tap_ok(exists(d.name), "a draft of this process stays");
	tap_ok(exists(name), "a draft of another process stays");
	tap_ok(exists("file.dt-drafts") && exists("dt-draft"), "other files stay");
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	close(hold);
	tap_ok(exists(name), "a killed process leaves its draft");
	draft_sweep(".");
	tap_ok(!exists(name), "which is removed then");
	io_write(d.fd, "x", 1);
	tap_int(draft_close(&d, true), 0, "the draft of this process is complete");
	contains("file", "x", "and has its contents");

	mkdir("dir.dt-draft", 0700);
	put("target", "");
	if (symlink("target", "link.dt-draft") < 0)
		abort();
	draft_sweep(".");
	tap_ok(exists("target") && exists("dir.dt-draft"),
	       "a symlink is not followed, and a directory stays");
	draft_sweep("nowhere");
	tap_ok(true, "a directory that does not exist has no drafts");
	rmdir("dir.dt-draft");
	unlink("link.dt-draft");
	unlink("target");
	unlink("file.dt-drafts");
	unlink("dt-draft");
	unlink("file");
}

/* --- the end of a process --- */

static void die_with_draft(const char *file)
{
	struct draft d;

	if (draft_open(&d, file, 0600, NULL) == 0)
		die("the end");
}

static void test_death(void)
{
	char name[512];
	int hold, status;

	put("dying", "old");
	tap_dies(1, die_with_draft, "dying", "a process that dies with a draft");
	contains("dying", "old", "leaves the old file");
	tap_int(count("."), 1, "and no draft");

	pid_t child = start_writer(name, sizeof name, &hold);
	kill(child, SIGTERM);
	waitpid(child, &status, 0);
	close(hold);
	tap_ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM,
	       "a signal ends the process as before");
	tap_ok(!exists(name), "and removes the draft");
	unlink("dying");
}

int main(void)
{
	err_init("draft");
	if (mkdtemp(scratch) == NULL || chdir(scratch) < 0)
		return 1;
	test_death(); /* before this process has drafts, as children inherit their list */
	test_success();
	test_failure();
	test_places();
	test_sweep();
	tap_int(count("."), 0, "nothing is left");
	rmdir(scratch);
	return tap_done();
}
