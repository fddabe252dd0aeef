/* Specification: QEMU Machine Protocol (QMP), docs/interop/qmp-spec. */
#include "run/vm.h"

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/fdpass.h"
#include "base/json.h"
#include "base/spawn.h"
#include "run/job.h"
#include "run/report.h"
#include "run/vm-private.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	BOOT = 120000,     /* ms until the guest must wait */
	ANSWER = 60000,    /* ms for each answer of QEMU */
	FINALIZE = 10000,  /* ms until a guest can start again */
	MEMORY_MAX = 2048, /* MiB; saving examines each page */
	REPLY_MAX = 65536
};

/* --- the place in the cache --- */

/* Adds the program's file: another version has another size or time. */
static void add_program(struct digest *d, const char *name)
{
	struct buf file = {0};
	struct stat st;

	if (spawn_find(name, &file) && stat(file.data, &st) == 0) {
		digest_number(d, (uint64_t)st.st_size);
		digest_number(d, (uint64_t)st.st_mtim.tv_sec);
		digest_number(d, (uint64_t)st.st_mtim.tv_nsec);
	}
	buf_release(&file);
}

void vm_state_init(struct machine *m, const char *kernel)
{
	struct digest d;
	char key[DIGEST_HEX + 1];
	struct stat st;

	digest_init(&d);
	digest_text(&d, kernel);
	add_program(&d, "qemu-system-x86_64");
	vm_fingerprint(m, &d);
	digest_number(&d, DISKS_SIZE);
	if (fstat(m->file[VM_INITRAMFS], &st) == 0)
		digest_add_file(&d, m->file[VM_INITRAMFS], 0, st.st_size);
	digest_hex(&d, key);
	digest_release(&d);
	kept_init(&m->kept, "guest", key, "state");
}

int vm_state_begin(struct machine *m)
{
	return m->job->memory <= MEMORY_MAX ? kept_begin(&m->kept, &m->draft) : -1;
}

/* --- QMP --- */

/* Reads a message. Returns NULL at the end, after an error or when the time is over. */
static json_t *read_message(int monitor)
{
	struct buf line = {0};
	struct pollfd ready = {.fd = monitor, .events = POLLIN};
	struct err unused;
	char c = '\0';

	while (c != '\n' && line.len < REPLY_MAX && poll(&ready, 1, ANSWER) > 0 &&
	       read(monitor, &c, 1) == 1)
		buf_addch(&line, c);
	json_t *message =
	    c == '\n' ? json_parse(line.data, line.len, "QMP", &unused) : NULL;
	buf_release(&line);
	return message;
}

/* Reads up to the message that has this key. Returns it, or NULL. */
static json_t *await(int monitor, const char *key)
{
	json_t *message;

	while ((message = read_message(monitor)) != NULL) {
		if (json_object_get(message, key) != NULL)
			return message;
		bool is_error = json_object_get(message, "error") != NULL;
		json_decref(message);
		if (is_error)
			break;
	}
	return NULL;
}

/* Sends a command, and a descriptor with it if `fd` is not -1. */
static int command(int monitor, const char *text, int fd)
{
	if (fdpass_send(monitor, text, strlen(text), &fd, fd >= 0) < 0)
		return -1;
	json_t *answer = await(monitor, "return");
	json_decref(answer);
	return answer != NULL ? 0 : -1;
}

/* Waits for the end of the migration. Returns whether it is complete. */
static bool is_migrated(int monitor)
{
	json_t *event;

	while ((event = await(monitor, "event")) != NULL) {
		const char *name = json_string_value(json_object_get(event, "event"));
		const char *status = json_string_value(
		    json_object_get(json_object_get(event, "data"), "status"));
		bool is_end = false, is_complete = false;
		if (name != NULL && status != NULL && strcmp(name, "MIGRATION") == 0) {
			is_complete = strcmp(status, "completed") == 0;
			is_end = is_complete || strcmp(status, "failed") == 0;
		}
		json_decref(event);
		if (is_end)
			return is_complete;
	}
	return false;
}

/*
 * Makes QEMU write the state of the guest to `fd`. The guest waits for input all the
 * time, so it does not matter at which moment QEMU stops it. Returns 0 or -1.
 */
static int start_saving(int monitor, int fd)
{
	static const char events[] =
	    "{\"execute\":\"migrate-set-capabilities\",\"arguments\":{\"capabilities\":"
	    "[{\"capability\":\"events\",\"state\":true}]}}\n";
	static const char fast[] =
	    "{\"execute\":\"migrate-set-parameters\",\"arguments\":{\"max-bandwidth\":"
	    "1099511627776}}\n";
	static const char getfd[] =
	    "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"state\"}}\n";
	static const char migrate[] =
	    "{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"fd:state\"}}\n";
	json_t *greeting = await(monitor, "QMP");

	json_decref(greeting);
	bool ok = greeting != NULL &&
		  command(monitor, "{\"execute\":\"qmp_capabilities\"}\n", -1) == 0 &&
		  command(monitor, events, -1) == 0 && command(monitor, fast, -1) == 0 &&
		  command(monitor, getfd, fd) == 0 && command(monitor, migrate, -1) == 0;
	return ok ? 0 : -1;
}

/*
 * Starts the guest again. For a short time after the migration, QEMU reports the error
 * "Migration is not finalized yet". Returns 0 or -1.
 */
static int start_guest(int monitor)
{
	int64_t end = job_clock() + FINALIZE;

	while (command(monitor, "{\"execute\":\"cont\"}\n", -1) < 0) {
		if (job_clock() >= end)
			return -1;
		usleep(5000);
	}
	return 0;
}

/* --- saving --- */

/* Reads from the guest until it waits. Returns 0 or -1. */
static int await_guest(const struct machine *m, struct report *t)
{
	int64_t end = job_clock() + BOOT;
	struct pollfd ready = {.fd = m->control, .events = POLLIN};
	struct err unused;
	char text[4096];

	if (m->end >= 0 && m->end < end)
		end = m->end;
	while (!t->is_waiting) {
		int64_t left = end - job_clock();
		int n = left > 0 ? poll(&ready, 1, (int)left) : 0;
		if (n < 0 && errno == EINTR)
			continue;
		ssize_t len = n > 0 ? read(m->control, text, sizeof text) : 0;
		if (len <= 0 || report_parse(t, text, (size_t)len, &unused) < 0)
			return -1;
	}
	return 0;
}

int vm_state_save(struct machine *m, struct report *t, struct err *e)
{
	bool is_stopped =
	    await_guest(m, t) == 0 && start_saving(m->monitor, m->draft.fd) == 0;
	bool is_complete = is_stopped && is_migrated(m->monitor);
	int result = is_stopped ? start_guest(m->monitor) : 0;

	kept_end(&m->kept, &m->draft, is_complete && result == 0);
	return result < 0 ? err_set(e, "QEMU does not start the saved guest") : 0;
}
