#include "registry/credentials.h"

#include "base/broker.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/spawn.h"
#include "registry/credentials-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum { ANSWER_MAX = 64 << 10 };

static bool is_helper(const char *program)
{
	size_t len = strlen(CREDENTIALS_HELPER);

	return strncmp(program, CREDENTIALS_HELPER, len) == 0 && program[len] != '\0' &&
	       strchr(program, '/') == NULL;
}

/* Returns the PID of `PROGRAM get`, or -1 with errno set and a reason. */
static pid_t start(const char *program, int in, int out, struct err *e)
{
	const char *const argv[] = {program, "get", NULL};

	return spawn_start(argv, in, out, STDERR_FILENO, NULL, 0, e);
}

pid_t credentials_helper(const char *program, int in, int out)
{
	struct err unused;

	if (is_helper(program))
		return start(program, in, out, &unused);
	errno = EPERM;
	return -1;
}

/* Starts the program, by the broker if there is one. */
static pid_t start_helper(const char *program, int in, int out, struct err *e)
{
	if (!broker_is_on())
		return start(program, in, out, e);
	pid_t pid = broker_spawn(program, in, out);
	return pid >= 0 ? pid : err_set_errno(e, "%s", program);
}

/*
 * Runs `docker-credential-NAME get`. Returns its wait status, or -1 and a reason.
 */
static int run_helper(const char *program, const char *question, struct buf *answer,
		      struct err *e)
{
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) < 0)
		return err_set_errno(e, "%s", program);
	if (pipe2(out, O_CLOEXEC) < 0) {
		err_set_errno(e, "%s", program);
		close(in[0]);
		close(in[1]);
		return -1;
	}
	/* The question fits into the pipe. The program may exit without reading it. */
	(void)io_write(in[1], question, strlen(question));
	close(in[1]);
	pid_t pid = start_helper(program, in[0], out[1], e);
	close(in[0]);
	close(out[1]);
	int result = pid < 0 ? -1 : 0;
	if (result == 0 && io_slurp(out[0], answer, ANSWER_MAX) < 0)
		result = err_set_errno(e, "%s", program);
	close(out[0]);
	int status = pid < 0 ? -1 : broker_is_on() ? broker_wait(pid) : spawn_wait(pid);
	if (result == 0 && status < 0)
		result = err_set_errno(e, "%s", program);
	return result < 0 ? -1 : status;
}

int credentials_answer(struct credentials *c, const char *text, size_t len,
		       const char *program, struct err *e)
{
	struct err unused; /* discarded: it may quote a secret */
	json_t *doc = json_parse(text, len, program, &unused);
	const char *user = json_string_at(doc, "Username");
	const char *secret = json_string_at(doc, "Secret");
	int result = 1;

	if (user == NULL || secret == NULL)
		result = err_set(e, "%s: its answer has no Username and Secret", program);
	else if (strcmp(user, "<token>") == 0)
		c->identity = secret_copy(secret);
	else {
		c->user = secret_copy(user);
		c->password = secret_copy(secret);
	}
	json_decref(doc);
	return result;
}

int credentials_ask(struct credentials *c, const char *name, const char *server,
		    struct err *e)
{
	struct buf program = {0}, answer = {0};
	int result;

	buf_reserve(&answer, 2 * ANSWER_MAX);
	buf_addf(&program, "%s%s", CREDENTIALS_HELPER, name);
	int status = run_helper(program.data, server, &answer, e);
	if (status < 0)
		result = -1;
	else if (status == 0)
		result = credentials_answer(c, answer.data, answer.len, program.data, e);
	else if (answer.data != NULL && strstr(answer.data, "not found") != NULL)
		result = 0;
	else
		result = err_set(e, "%s failed", program.data);
	buf_release(&program);
	mem_wiping_free(answer.data);
	return result;
}
