#include "image/reference.h"

#include "base/buf.h"
#include "base/err.h"

#include "tap.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void full(const char *name, const char *want)
{
	struct buf b = {0};

	reference_full_name(name, &b);
	tap_is(b.data, want, name);
	buf_release(&b);
}

static void parses(const char *text, const char *host, const char *path, const char *tag,
		   const char *digest)
{
	struct reference r;
	struct err e = {""};

	tap_ok(reference_parse(&r, text, &e) == 0, text);
	tap_is(r.host, host, "its host");
	tap_is(r.path, path, "its path");
	tap_is(r.tag != NULL ? r.tag : "-", tag, "its tag");
	tap_is(r.digest, digest, "its digest");
	reference_release(&r);
}

static void refuses(const char *text)
{
	struct reference r;
	struct err e = {""};

	tap_ok(reference_parse(&r, text, &e) == -1 && *e.text != '\0', text);
	reference_release(&r);
}

int main(void)
{
	full("hello", "docker.io/library/hello");
	full("a/b", "docker.io/a/b");
	full("docker.io/hello", "docker.io/library/hello");
	full("docker.io/a/b", "docker.io/a/b");
	full("index.docker.io/hello", "docker.io/library/hello");
	full("docker.iox/hello", "docker.iox/hello");
	full("docker.io/quay.io/a", "docker.io/quay.io/a");
	full("docker.io/docker.io/a", "docker.io/docker.io/a");
	full("localhost/hello", "localhost/hello");
	full("host:5000/hello", "host:5000/hello");
	full("quay.io/a/b/c", "quay.io/a/b/c");

	parses("hello", "docker.io", "library/hello", "-", "");
	parses("hello:1", "docker.io", "library/hello", "1", "");
	parses("h:5000/a", "h:5000", "a", "-", "");
	parses("h:5000/a:b", "h:5000", "a", "b", "");
	parses("docker.io/quay.io/a", "docker.io", "quay.io/a", "-", "");
	parses("a/b@sha256:" HEX, "docker.io", "a/b", "-", HEX);
	parses("h:1/a/b@sha256:" HEX, "h:1", "a/b", "-", HEX);

	refuses("");
	refuses("@");
	refuses("@sha256:" HEX);
	refuses("a@");
	refuses("a@sha256:");
	refuses("a@sha256:" HEX "0");
	refuses("a@sha512:" HEX HEX);
	refuses("a@" HEX);
	refuses("a:1@sha256:" HEX);
	refuses("a@sha256:" HEX "@sha256:" HEX);
	refuses("a:");
	refuses("a:b:c");
	refuses("a:/b");
	refuses("A");
	refuses("../a");
	refuses("a/../b");
	refuses("a//b");
	refuses("a?b");
	refuses("h:x/a");
	refuses("http://h/a");
	return tap_done();
}
