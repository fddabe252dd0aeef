/*
 * init: the init process of dt-vmrun's virtual machine.
 *
 * It mounts the image, runs the script on top of it, and writes the changes as a layer.
 * It is the only program in the guest besides the script and busybox.
 *
 *	/config, /modules, /dt   in the initramfs
 *	/dev/vda                 erofs: the image's tree
 *	/dev/vdb                 ext4: changes
 *	/dev/vdc                 the tar of the layer
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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { CONFIG_MAX = 1 << 20, WAIT_MAX = 2000 /* times 5 ms */ };

/* The settings in /config: strings "KEY=VALUE", each followed by a NUL. */
struct config {
	struct buf text;
	struct jail jail;
	struct jail_bind *bind;
	size_t cap_binds;
	uint64_t mtime, limit;
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

static void start_machine(struct config *c)
{
	struct utsname u;
	char go;

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
	uname(&u);
	report_send(control, "HELLO " DT_VERSION " %s", u.release);
	/* "GO" arrives when the disks are complete. */
	if (read(control, &go, 1) != 1)
		leave(1);
}

/* --- the configuration --- */

static void set_key(struct config *c, const char *key, const char *value)
{
	size_t len = strlen(value);

	if (strcmp(key, "mtime") == 0)
		num_parse(value, len, INT64_MAX, &c->mtime);
	else if (strcmp(key, "limit") == 0)
		num_parse(value, len, INT64_MAX, &c->limit);
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

static void read_config(struct config *c)
{
	int fd = open("/config", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || io_slurp(fd, &c->text, CONFIG_MAX) < 0)
		give_up_errno("/config");
	close(fd);
	for (char *p = c->text.data; p < c->text.data + c->text.len;) {
		char *next = p + strlen(p) + 1, *equals = strchr(p, '=');
		if (equals != NULL) {
			*equals = '\0';
			set_key(c, p, equals + 1);
		}
		p = next;
	}
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

	if (fd >= 0 && io_slurp(fd, &text, CONFIG_MAX) == 0) {
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

static void write_layer(const struct config *c)
{
	struct changes changes = {
	    .mtime = (int64_t)c->mtime, .limit = c->limit, .is_direct = true};
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

	err_init("guest");
	umask(0);
	start_machine(&c);
	read_config(&c);
	if (chdir("/") < 0)
		give_up_errno("/");
	c.jail.options = "volatile";
	mount_disks(&c);
	run_script(&c);
	write_layer(&c);
	power_off();
}
