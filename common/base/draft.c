#include "base/draft.h"

#include "base/broker.h"
#include "base/err.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	LIVE_MAX = 64, /* a signal removes at most this many drafts */
	/*
	 * The draft's name contains at most this much of the file's name, to stay below
	 * NAME_MAX.
	 */
	BASE_MAX = 200,
	TRIES = 100,
};

static const char suffix[] = ".dt-draft";

/* The names of the open drafts; NULL marks a free slot. */
static _Atomic(char *) live[LIVE_MAX];
/* The process that created the drafts. A forked child must not remove them. */
static pid_t owner;
/* Held while a draft is created, and forever once a thread has called die(). */
static pthread_mutex_t creating = PTHREAD_MUTEX_INITIALIZER;
/* The draft that the broker completes. Its name is NULL if there is none. */
static struct draft entrusted;

/* Also runs in a signal handler, so it must be async-signal-safe. */
static void remove_all(void)
{
	if (getpid() != owner)
		return;
	for (int i = 0; i < LIVE_MAX; i++) {
		const char *name = atomic_exchange(&live[i], NULL);
		if (name != NULL)
			unlink(name);
	}
	broker_end();
}

static void on_death(void)
{
	if (getpid() != owner)
		return;
	pthread_mutex_lock(&creating);
	remove_all();
}

static void on_signal(int number)
{
	remove_all();
	signal(number, SIG_DFL);
	raise(number);
}

/* Does not change signals that are ignored or already have a handler. */
static void watch(void)
{
	static const int deadly[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGPIPE,
				     SIGTERM, SIGXCPU, SIGUSR1, SIGUSR2};
	struct sigaction old, action = {.sa_handler = on_signal};

	owner = getpid();
	err_on_death(on_death);
	for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++)
		if (sigaction(deadly[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
			sigaction(deadly[i], &action, NULL);
}

/* Adds the draft to the list. Returns its slot, or -1 if the list is full. */
static int enlist(char *name)
{
	for (int i = 0; i < LIVE_MAX; i++) {
		char *none = NULL;
		if (atomic_compare_exchange_strong(&live[i], &none, name))
			return i;
	}
	return -1;
}

/*
 * Removes the draft from the list and frees its name. If remove_all() has taken the slot
 * already, it still uses the name, so the name must not be freed.
 */
static void delist(struct draft *d)
{
	char *name = d->name;

	if (d->slot >= 0 && !atomic_compare_exchange_strong(&live[d->slot], &name, NULL))
		return;
	free(d->name);
	d->name = NULL;
}

/* "DIR/.BASE.RANDOM.dt-draft" */
static char *make_name(const char *file, const char *dir)
{
	const char *slash = strrchr(file, '/'), *base = slash != NULL ? slash + 1 : file;
	size_t size = strlen(file) + (dir != NULL ? strlen(dir) : 0) + BASE_MAX + 64;
	char *name = mem_zero(size, 1);
	unsigned random = 0;

	if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0)
		random = (unsigned)getpid();
	if (dir != NULL)
		snprintf(name, size, "%s/.%.*s.%08x%s", dir, BASE_MAX, base, random,
			 suffix);
	else
		snprintf(name, size, "%.*s.%.*s.%08x%s", (int)(base - file), file,
			 BASE_MAX, base, random, suffix);
	return name;
}

/*
 * Locks the new draft. Returns false if another process removed the draft by
 * draft_sweep() before the lock was taken. If the file system has no locks, draft_sweep()
 * removes nothing, so an unlocked draft is safe. If fstat(2) fails, the draft is taken to
 * be there; rename(2) reports an error if it is not.
 */
static bool lock(int fd)
{
	struct stat st;

	if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		return false;
	return fstat(fd, &st) < 0 || st.st_nlink > 0;
}

int draft_open(struct draft *d, const char *file, mode_t mode, const char *dir)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, watch);
	for (int try = 0; try < TRIES; try++) {
		*d = (struct draft){.name = make_name(file, dir)};
		pthread_mutex_lock(&creating);
		d->slot = enlist(d->name);
		d->fd = open(d->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
		pthread_mutex_unlock(&creating);
		if (d->fd >= 0 && lock(d->fd)) {
			d->file = mem_strdup(file);
			return 0;
		}
		int why = errno;
		bool again = d->fd >= 0 || why == EEXIST;
		if (d->fd >= 0)
			close(d->fd);
		delist(d);
		errno = why;
		if (!again)
			break;
	}
	*d = (struct draft){.fd = -1, .slot = -1};
	return -1;
}

int draft_close(struct draft *d, bool ok)
{
	int why = errno;
	/*
	 * Keep the lock until the rename is done, or draft_sweep() could remove the
	 * draft.
	 */
	int lock = fcntl(d->fd, F_DUPFD_CLOEXEC, 0);

	if (close(d->fd) < 0 && ok) {
		why = errno;
		ok = false;
	}
	if (ok && (d->is_entrusted ? broker_complete() : rename(d->name, d->file)) < 0) {
		why = errno;
		ok = false;
	}
	if (!ok)
		unlink(d->name);
	if (lock >= 0)
		close(lock);
	delist(d);
	free(d->file);
	*d = (struct draft){.fd = -1, .slot = -1};
	errno = why;
	return ok ? 0 : -1;
}

void draft_entrust(struct draft *d)
{
	d->is_entrusted = true;
	entrusted.name = mem_strdup(d->name);
	entrusted.file = mem_strdup(d->file);
}

int draft_complete(void)
{
	if (entrusted.name == NULL || rename(entrusted.name, entrusted.file) < 0)
		return -1;
	entrusted.name = NULL;
	return 0;
}

void draft_discard(void)
{
	if (entrusted.name != NULL)
		unlink(entrusted.name);
}

void draft_sweep(const char *dir)
{
	const struct dirent *entry;
	DIR *d = opendir(dir);

	while (d != NULL && (entry = readdir(d)) != NULL) {
		size_t len = strlen(entry->d_name), end = sizeof suffix - 1;
		if (len < end || strcmp(entry->d_name + len - end, suffix) != 0)
			continue;
		int fd = openat(dirfd(d), entry->d_name,
				O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
			unlinkat(dirfd(d), entry->d_name, 0);
		if (fd >= 0)
			close(fd);
	}
	if (d != NULL)
		closedir(d);
}
