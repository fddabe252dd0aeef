#include "base/sandbox.h"

#include "base/broker.h"
#include "base/buf.h"
#include "base/cache.h"
#include "base/draft.h"
#include "base/err.h"
#include "base/io.h"
#include "base/sandbox-private.h"

#include <string.h>
#include <sys/prctl.h>

void sandbox_read(struct sandbox *s, const char *file)
{
	if (file != NULL && *file != '\0' && strcmp(file, "-") != 0)
		strset_add(&s->files, file, strlen(file));
}

void sandbox_port(struct sandbox *s, uint16_t port)
{
	if (s->n_ports < SANDBOX_PORTS)
		s->port[s->n_ports++] = port;
}

static void start_broker(const struct sandbox *s)
{
	io_entrust_output();
	broker_start(&(struct broker_actions){.tmpfile = io_tmpfile,
					      .complete = draft_complete,
					      .discard = draft_discard,
					      .spawn = s->spawn});
}

static void make_cache(const char *dir)
{
	struct buf name = {0};

	buf_addf(&name, "%s/", dir);
	cache_make_directories(name.data);
	buf_release(&name);
}

void sandbox_enter(struct sandbox *s)
{
	if (s->cache != NULL)
		make_cache(s->cache);
	start_broker(s);
	/* Both mechanisms require it of a process without privileges. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		die_errno("cannot give up privileges");
	if (sandbox_landlock() > 0)
		sandbox_restrict_files(s);
	if (sandbox_has_seccomp())
		sandbox_restrict_calls(s);
	strset_release(&s->files);
}
