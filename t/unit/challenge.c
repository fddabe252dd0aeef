#include "registry/challenge.h"

#include "tap.h"

static void reads(const char *values, bool basic, bool bearer, const char *realm,
		  const char *service)
{
	struct challenge c = {0};

	challenge_parse(&c, values);
	tap_ok(c.has_basic == basic && c.has_bearer == bearer, values);
	tap_is(c.realm != NULL ? c.realm : "-", realm, "its realm");
	tap_is(c.service != NULL ? c.service : "-", service, "its service");
	challenge_release(&c);
}

int main(void)
{
	reads("", false, false, "-", "-");
	reads("Basic realm=\"x\"\n", true, false, "-", "-");
	reads("basic\n", true, false, "-", "-");
	reads("Bearer realm=\"https://a/b?c=d,e\",service=\"s\",scope=\"x y\"\n", false,
	      true, "https://a/b?c=d,e", "s");
	reads("bearer  Realm = \"a\" , SERVICE=s\n", false, true, "a", "s");
	reads("Bearer realm=https://a/b\n", false, true, "https://a/b", "-");
	reads("Negotiate, Basic realm=\"a\", Bearer realm=\"b\"\n", true, true, "b", "-");
	reads("Negotiate abc==, Bearer realm=\"b\"\n", false, true, "b", "-");
	reads("Basic realm=\"a\"\nBearer realm=\"b\"\n", true, true, "b", "-");
	reads("Bearer realm=\"a\", Bearer realm=\"b\",service=\"c\"\n", false, true, "a",
	      "-");
	reads("Bearer realm=\"a\", Basic realm=\"b\", service=\"c\"\n", true, true, "a",
	      "-");
	reads("Bearer service=\"a \\\"b\\\\ c\"\n", false, true, "-", "a \"b\\ c");
	reads("Bearer realm=\"\"\n", false, true, "-", "-");
	reads("Bearer realm=\"never ends\nBasic\n", true, true, "never ends", "-");
	reads("Bearer realm=\"\\", false, true, "\\", "-");
	reads("Bearer =x, ==, \"x\", realm\n", false, false, "-", "-");
	reads("xBearer realm=\"a\"\n", false, false, "-", "-");
	return tap_done();
}
