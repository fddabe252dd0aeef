/*
 * init: the init process of dt-vmrun's virtual machine.
 *
 * It waits for a job. Then it mounts the image, runs the script on top of it, and writes
 * the changes as a layer. QEMU may have saved the machine's state while it waited, so all
 * that differs between jobs comes with GO or later.
 * It is the only program in the guest besides the script and busybox.
 *
 *	/modules, /dt            in the initramfs
 *	/dev/vda                 erofs: the image's tree
 *	/dev/vdb                 ext4: changes
 *	/dev/vdc                 the tar of the layer, and the settings of the job
 *	/dev/vdd                 erofs: --bind directories and --tree
 *	port dt.control          progress, as in report.h and dt-vmrun(1), THE GUEST
 *	port dt.output           output of the script
 */
#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/num.h"
#include "run/changes.h"
#include "run/jail.h"
#include "run/report.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <linux/random.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum { TEXT_MAX = 1 << 20, GO_MAX = 256, WAIT_MAX = 2000 /* times 5 ms */ };

/* The words of GO. */
struct go {
	uint64_t seconds, nanoseconds; /* the time */
	const char *random;            /* 64 hex digits of random numbers */
	uint64_t offset, length;       /* of the settings on the layer's disk */
};

/* The settings: strings "KEY=VALUE", each followed by a NUL, an empty one, the script. */
struct config {
	struct buf text;
	struct jail jail;
	struct jail_bind *bind;
	size_t cap_binds;
	uint64_t mtime, script; /* the script's length */
};

static int control = -1;

/* Powers the machine off. The exit of init alone would make the kernel panic. */
static _Noreturn void power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	leave(0);
}

static _Noreturn void give_up(const struct err *e)
{
	report_send(control, "ERROR %s", e->text);
	power_off();
}

static _Noreturn void give_up_errno(const char *what)
{
	struct err why;

	err_set_errno(&why, "%s", what);
	give_up(&why);
}

/* --- the machine --- */

static void mount_or_give_up(const char *from, const char *at, const char *type,
			     unsigned long flags, const char *options)
{
	if ((mkdir(at, 0755) < 0 && errno != EEXIST) ||
	    mount(from, at, type, flags, options) < 0)
		give_up_errno(at);
}

static int is_module(const struct dirent *d)
{
	return strstr(d->d_name, ".ko") != NULL;
}

/*
 * The file names sort in the order of loading. Errors are ignored: a missing device shows
 * them later.
 */
static void load_modules(void)
{
	struct dirent **names;
	int n = scandir("/modules", &names, is_module, alphasort);

	for (int i = 0; i < n; i++) {
		char path[512];
		snprintf(path, sizeof path, "/modules/%s", names[i]->d_name);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		syscall(SYS_finit_module, fd, "", 0);
		close(fd);
		unlink(path);
	}
}

/* Opens the virtio port of this name. Returns -1 if it does not appear in time. */
static int find_port(const char *wanted)
{
	static const char ports[] = "/sys/class/virtio-ports";
	char path[512], name[64];
	struct dirent *d;

	for (int i = 0; i < WAIT_MAX; i++) {
		DIR *dir = opendir(ports);
		while (dir != NULL && (d = readdir(dir)) != NULL) {
			snprintf(path, sizeof path, "%s/%s/name", ports, d->d_name);
			int fd = open(path, O_RDONLY | O_CLOEXEC);
			ssize_t n = fd >= 0 ? io_read(fd, name, sizeof name - 1) : 0;
			name[n > 0 ? n : 0] = '\0';
			name[strcspn(name, "\n")] = '\0';
			if (fd >= 0)
				close(fd);
			if (strcmp(name, wanted) != 0)
				continue;
			snprintf(path, sizeof path, "/dev/%s", d->d_name);
			int port = open(path, O_RDWR | O_CLOEXEC);
			if (port >= 0) {
				closedir(dir);
				return port;
			}
		}
		if (dir != NULL)
			closedir(dir);
		usleep(5000);
	}
	return -1;
}

/* Boots, up to the moment when the machine's state may be saved. */
static void start_machine(struct config *c)
{
	if (mkdir("/proc", 0755) < 0 || mkdir("/sys", 0755) < 0)
		leave(1);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sys", "/sys", "sysfs", 0, NULL);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	load_modules();
	control = find_port("dt.control");
	c->jail.output = find_port("dt.output");
	if (control < 0 || c->jail.output < 0)
		leave(1);
	dup2(c->jail.output, STDERR_FILENO); /* for warnings */
	report_send(control, "WAIT");
}

/* --- the start of a job --- */

/* Parses "GO SECONDS NANOSECONDS RANDOM OFFSET LENGTH". Returns 0 or -1. */
static int parse_go(char *line, struct go *go)
{
	static const char blank[] = " ";
	uint64_t *const numbers[] = {&go->seconds, &go->nanoseconds, NULL, &go->offset,
				     &go->length};
	char *rest = NULL, *word = strtok_r(line, blank, &rest);

	if (word == NULL || strcmp(word, "GO") != 0)
		return -1;
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		word = strtok_r(NULL, blank, &rest);
		if (word == NULL)
			return -1;
		if (numbers[i] == NULL)
			go->random = word;
		else if (num_parse(word, strlen(word), INT64_MAX, numbers[i]) < 0)
			return -1;
	}
	return 0;
}

/* Waits for GO. The words of `go` are in `line`. */
static void await_go(char line[GO_MAX], struct go *go)
{
	size_t len = 0;

	while (len < GO_MAX - 1 && read(control, line + len, 1) == 1 && line[len] != '\n')
		len++;
	line[len] = '\0';
	if (parse_go(line, go) < 0)
		leave(1);
}

/*
 * Gives the machine the time and new random numbers. Without them, all jobs that start
 * from the same saved state would have the same.
 */
static void renew_machine(const struct go *go)
{
	const struct timespec now = {.tv_sec = (time_t)go->seconds,
				     .tv_nsec = (long)go->nanoseconds};
	enum { HEX = 64 };
	_Alignas(struct rand_pool_info) char space[sizeof(struct rand_pool_info) + HEX];
	struct rand_pool_info *pool = (struct rand_pool_info *)(void *)space;
	int fd = open("/dev/random", O_RDWR | O_CLOEXEC);

	if (clock_settime(CLOCK_REALTIME, &now) < 0)
		give_up_errno("the clock");
	if (strlen(go->random) != HEX)
		leave(1);
	pool->entropy_count = 256;
	pool->buf_size = HEX;
	memcpy(pool->buf, go->random, HEX);
	if (fd < 0 || ioctl(fd, RNDADDENTROPY, pool) < 0 || ioctl(fd, RNDRESEEDCRNG) < 0)
		give_up_errno("/dev/random");
	close(fd);
}

/* Forgets what the kernel read from the disks while it booted. */
static void renew_disks(void)
{
	static const char *const disks[] = {"/dev/vda", "/dev/vdb", "/dev/vdc",
					    "/dev/vdd"};

	for (size_t i = 0; i < sizeof disks / sizeof *disks; i++) {
		int fd = open(disks[i], O_RDONLY | O_CLOEXEC);
		if (fd < 0 || ioctl(fd, BLKFLSBUF, 0) < 0)
			give_up_errno(disks[i]);
		close(fd);
	}
}

/* --- the configuration --- */

static void set_key(struct config *c, const char *key, const char *value)
{
	size_t len = strlen(value);

	if (strcmp(key, "mtime") == 0)
		num_parse(value, len, INT64_MAX, &c->mtime);
	else if (strcmp(key, "script") == 0)
		num_parse(value, len, INT64_MAX, &c->script);
	else if (strcmp(key, "tree") == 0)
		c->jail.tree = "/extra/tree";
	else if (strcmp(key, "bind") == 0) {
		struct buf from = {0};
		buf_addf(&from, "/extra/binds%s", value);
		c->bind = mem_grow(c->bind, &c->cap_binds, c->jail.n_binds + 1,
				   sizeof *c->bind);
		c->bind[c->jail.n_binds++] = (struct jail_bind){from.data, value};
		c->jail.bind = c->bind;
	}
}

/* Writes the script, which is at `text`, into a file. */
static void write_script(const char *text, size_t len)
{
	int fd = open("/dt/script", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);

	if (fd < 0 || io_write(fd, text, len) < 0 || close(fd) < 0)
		give_up_errno("the script");
}

static void read_config(struct config *c, const struct go *go)
{
	int fd = open("/dev/vdc", O_RDONLY | O_CLOEXEC);
	char *text = buf_reserve(&c->text, go->length);

	if (fd < 0 ||
	    io_pread(fd, text, go->length, (off_t)go->offset) != (ssize_t)go->length)
		give_up_errno("the settings");
	close(fd);
	c->text.len += go->length;
	while (*text != '\0') {
		char *next = text + strlen(text) + 1, *equals = strchr(text, '=');
		if (equals != NULL) {
			*equals = '\0';
			set_key(c, text, equals + 1);
		}
		text = next;
	}
	write_script(text + 1, c->script);
}

/* --- the job --- */

static void mount_disks(const struct config *c)
{
	mount_or_give_up("/dev/vda", "/lower", "erofs", MS_RDONLY, NULL);
	mount_or_give_up("/dev/vdb", "/disk", "ext4", MS_NOATIME,
			 "nobarrier,noauto_da_alloc");
	rmdir("/disk/lost+found");
	if (c->jail.tree != NULL || c->jail.n_binds > 0)
		mount_or_give_up("/dev/vdd", "/extra", "erofs", MS_RDONLY, NULL);
}

static uint64_t count_kills(void)
{
	struct buf text = {0};
	uint64_t n = 0;
	int fd = open("/proc/vmstat", O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && io_slurp(fd, &text, TEXT_MAX) == 0) {
		const char *line = strstr(text.data, "\noom_kill ");
		if (line != NULL)
			num_parse(line + 10, strcspn(line + 10, "\n"), INT64_MAX, &n);
	}
	if (fd >= 0)
		close(fd);
	buf_release(&text);
	return n;
}

static void run_script(struct config *c)
{
	struct report end;
	struct err why;
	int disk = open("/disk", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t kills = count_kills();

	if (jail_mount(&c->jail, &why) < 0)
		give_up(&why);
	report_send(control, "READY");
	if (jail_start(&c->jail, &why) < 0 || jail_finish(&c->jail, &end, &why) < 0)
		give_up(&why);
	report_send(control, "OOM %" PRIu64, count_kills() - kills);
	report_send_free(control, "/disk");
	if (jail_unmount(&why) < 0)
		give_up(&why);
	if (syncfs(disk) < 0)
		give_up_errno("what the script wrote");
	close(disk);
	if (!report_send_end(control, &end))
		power_off();
}

/* Writes the layer, up to the settings. */
static void write_layer(const struct config *c, uint64_t limit)
{
	struct changes changes = {
	    .mtime = (int64_t)c->mtime, .limit = limit, .is_direct = true};
	struct err why;

	changes.upper = open("/disk/upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	changes.lower = open("/lower", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	changes.out = open("/dev/vdc", O_WRONLY | O_DIRECT | O_CLOEXEC);
	if (changes.upper < 0 || changes.lower < 0 || changes.out < 0)
		give_up_errno("the disks");
	if (changes_layer(&changes, &why) < 0)
		give_up(&why);
	if (fsync(changes.out) < 0)
		give_up_errno("the layer's disk");
	report_send(control, "LAYER %" PRIu64, changes.size);
}

int main(void)
{
	struct config c = {0};
	struct utsname u;
	struct go go;
	char line[GO_MAX];

	err_init("guest");
	umask(0);
	start_machine(&c);
	await_go(line, &go);
	renew_machine(&go);
	uname(&u);
	report_send(control, "HELLO " DT_VERSION " %s", u.release);
	renew_disks();
	read_config(&c, &go);
	if (chdir("/") < 0)
		give_up_errno("/");
	c.jail.options = "volatile";
	mount_disks(&c);
	run_script(&c);
	write_layer(&c, go.offset);
	power_off();
}
