#include "registry/http.h"

#include "base/err.h"

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

static void place(const char *host, enum http_place want)
{
	tap_ok(http_place_of(host) == want, host);
}

static void query(const char *url, const char *want)
{
	struct buf b = {0};

	buf_addstr(&b, url);
	http_add_query(&b, "c=d%2Fe&f=g");
	tap_is(b.data, want, url);
	buf_release(&b);
}

static void resolves(const char *base, const char *target, const char *want)
{
	struct buf b = {0};

	tap_is(http_resolve(base, target, &b) == 0 ? b.data : "none", want, target);
	buf_release(&b);
}

/* The media type of a document in an archive must not add a header to a request. */
static void refuses_type(const char *type)
{
	const struct http_body body = {.data = "", .type = type};
	struct http_request q = {
	    .url = "http://127.0.0.1:9/", .method = "PUT", .body = &body};
	struct http_response r = {0};
	struct http *h = http_new(true, 1);
	struct err e = {""};

	tap_ok(http_send(h, &q, &r, &e) == -1 && strstr(e.text, "control") != NULL,
	       "a media type with a control character");
	http_response_release(&r);
	http_release(h);
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

	place("192.0.2.1", HTTP_FAR);
	place("10.0.0.1", HTTP_FAR);
	place("[2001:db8::1]", HTTP_FAR);
	place("[fd00::1]", HTTP_FAR);
	place("a.example", HTTP_FAR);
	place("127.example", HTTP_FAR);
	place("xlocalhost", HTTP_FAR);
	place("", HTTP_FAR);
	place("[", HTTP_FAR);
	place("127.0.0.1", HTTP_ON_MACHINE);
	place("127.8.8.8", HTTP_ON_MACHINE);
	place("127.1", HTTP_ON_MACHINE);
	place("2130706433", HTTP_ON_MACHINE);
	place("0x7f.1", HTTP_ON_MACHINE);
	place("0177.0.0.1", HTTP_ON_MACHINE);
	place("0.0.0.0", HTTP_ON_MACHINE);
	place("::1", HTTP_ON_MACHINE);
	place("[::1]", HTTP_ON_MACHINE);
	place("[::]", HTTP_ON_MACHINE);
	place("localhost", HTTP_ON_MACHINE);
	place("LocalHost.", HTTP_ON_MACHINE);
	place("a.localhost", HTTP_ON_MACHINE);
	place("169.254.169.254", HTTP_ON_LINK);
	place("[fe80::1]", HTTP_ON_LINK);
	place("[fe80::1%25eth0]", HTTP_ON_LINK);
	/* Services of clouds' hosts. */
	place("100.100.100.200", HTTP_ON_LINK);
	place("168.63.129.16", HTTP_ON_LINK);
	place("192.0.0.192", HTTP_ON_LINK);
	place("[fd00:ec2::254]", HTTP_ON_LINK);
	place("[fd00:0ec2:0::254]", HTTP_ON_LINK);
	place("[fd20:ce::254]", HTTP_ON_LINK);
	/* IPv4 in IPv6: mapped, translated, NAT64, compatible, 6to4. */
	place("[::ffff:127.0.0.1]", HTTP_ON_MACHINE);
	place("[::ffff:169.254.0.1]", HTTP_ON_LINK);
	place("[::ffff:192.0.2.1]", HTTP_FAR);
	place("[::ffff:0:127.0.0.1]", HTTP_ON_MACHINE);
	place("[64:ff9b::7f00:1]", HTTP_ON_MACHINE);
	place("[64:ff9b::a9fe:a9fe]", HTTP_ON_LINK);
	place("[64:ff9b::192.0.2.1]", HTTP_FAR);
	place("[64:ff9b:1::127.0.0.1]", HTTP_ON_MACHINE);
	place("[::127.0.0.1]", HTTP_ON_MACHINE);
	place("[2002:7f00:1::]", HTTP_ON_MACHINE);
	place("[2002:c000:201::]", HTTP_FAR);

	query("https://a/b", "https://a/b?c=d%2Fe&f=g");
	query("https://a/b?x", "https://a/b?x&c=d%2Fe&f=g");
	query("https://a/b?x=y#z", "https://a/b?x=y&c=d%2Fe&f=g");

	resolves("https://a/v2/x/", "/v2/y?z=1", "https://a/v2/y?z=1");
	resolves("https://a/v2/x/", "w", "https://a/v2/x/w");
	resolves("https://a/v2/x/", "http://b:1/c", "http://b:1/c");
	resolves("https://a/v2/x/", "//b/c", "https://b/c");
	resolves("https://a/v2/x/", "../../../../c", "https://a/c");
	resolves("https://a/v2/x/", "http://[:::::/", "none");

	refuses_type("a/b\r\nX-Header: c");
	refuses_type("a/b\nX-Header: c");
	refuses_type("a/b\x7f");

	http_escape(&b, "aZ9-._~/:@ \"%\xc3\xa4");
	tap_is(b.data, "aZ9-._~%2F%3A%40%20%22%25%C3%A4", "escaped");
	buf_release(&b);
	return tap_done();
}
