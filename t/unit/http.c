#include "http.h"

#include "err.h"

#include "tap.h"

static void origin(const char *url, const char *text, const char *host, bool is_secure)
{
	struct http_origin o;
	struct err e;

	tap_ok(http_origin(&o, url, &e) == 0 && o.is_secure == is_secure, url);
	tap_is(o.text, text, "its origin");
	tap_is(o.host, host, "its host");
}

static void refuses(const char *url)
{
	struct http_origin o;
	struct err e = {""};

	tap_ok(http_origin(&o, url, &e) == -1 && *e.text != '\0', url);
}

static void leads(const char *from, const char *to, bool want)
{
	char what[200];

	snprintf(what, sizeof what, "%s leads to %s", from, to);
	tap_ok(http_may_lead(from, to) == want, what);
}

int main(void)
{
	struct buf b = {0};

	origin("https://a.b/c?d#e", "https://a.b:443", "a.b", true);
	origin("HTTP://A.B:80/", "http://a.b:80", "A.B", false);
	origin("https://[::1]:5000/x", "https://[::1]:5000", "[::1]", true);
	origin("http://1.2.3.4", "http://1.2.3.4:80", "1.2.3.4", false);
	refuses("");
	refuses("/x");
	refuses("a.b/x");
	refuses("ftp://a/b");
	refuses("file:///etc/passwd");
	refuses("http://");
	refuses("http://u@a/");
	refuses("http://u:p@a/");
	refuses("http://:p@a/");
	refuses("http://a:b/");
	refuses("http://[::1/");

	/* 192.0.2.0/24 and 2001:db8::/32 are documentation's, and far away. */
	leads("192.0.2.1", "192.0.2.2", true);
	leads("192.0.2.1", "[2001:db8::1]", true);
	leads("192.0.2.1", "127.0.0.1", false);
	leads("192.0.2.1", "127.8.8.8", false);
	leads("192.0.2.1", "127.1", false);
	leads("192.0.2.1", "2130706433", false);
	leads("192.0.2.1", "0.0.0.0", false);
	leads("192.0.2.1", "169.254.169.254", false);
	leads("192.0.2.1", "[::1]", false);
	leads("192.0.2.1", "[::]", false);
	leads("192.0.2.1", "[fe80::1]", false);
	leads("192.0.2.1", "[::ffff:127.0.0.1]", false);
	leads("192.0.2.1", "[::ffff:169.254.0.1]", false);
	leads("192.0.2.1", "[::ffff:192.0.2.1]", true);
	leads("192.0.2.1", "localhost", false);
	leads("127.0.0.1", "127.0.0.2", true);
	leads("127.0.0.1", "[::1]", true);
	leads("127.0.0.1", "169.254.169.254", false);
	leads("169.254.1.1", "169.254.1.2", true);
	leads("169.254.1.1", "127.0.0.1", false);
	leads("169.254.1.1", "169.254.1.1", true);
	leads("127.0.0.1", "192.0.2.1", true);

	http_escape(&b, "aZ9-._~/:@ \"%\xc3\xa4");
	tap_is(b.data, "aZ9-._~%2F%3A%40%20%22%25%C3%A4", "escaped");
	buf_release(&b);
	return tap_done();
}
