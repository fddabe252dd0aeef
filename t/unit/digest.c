#include "base/digest.h"

#include "tap.h"

/* What sha256sum says, and nix-hash --flat --type sha256 --base32 --truncate. */
static const struct {
	const char *what, *text, *hex, *nix32;
} known[] = {
    {"empty", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "wi0sw9r4p5prk7acm7i0z1b97h75faw7"},
    {"abc", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
     "ldhh7c134ap5swsm86rqnc0i7cinqvrc"},
};
static const char *const million_hex =
    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

static void nix32(const char *hex)
{
	char out[DIGEST_NIX32 + 1];

	digest_nix32(hex, out);
}

static void pin(const char *text, bool good)
{
	char hex[DIGEST_HEX + 1] = "", want[DIGEST_HEX + 1];

	digest_of("abc", 3, want);
	tap_ok((digest_pin(text, hex) == 0) == good, text);
	if (good)
		tap_ok(digest_is_same(hex, want), "the digest");
}

int main(void)
{
	char hex[DIGEST_HEX + 1], base[DIGEST_NIX32 + 1], name[DIGEST_HEX + 8],
	    reference[DIGEST_REFERENCE];
	struct digest d = {0};

	digest_release(&d);
	digest_init(&d);
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		digest_of(known[i].text, strlen(known[i].text), hex);
		tap_is(hex, known[i].hex, known[i].what);
		digest_update(&d, known[i].text, strlen(known[i].text));
		digest_hex(&d, hex);
		tap_is(hex, known[i].hex, "the same, in one digest after another");
		digest_nix32(hex, base);
		tap_is(base, known[i].nix32, "as Nix writes it");
	}
	for (int i = 0; i < 1000000; i++)
		digest_update(&d, "a", 1);
	digest_hex(&d, hex);
	tap_is(hex, million_hex, "a million pieces");
	digest_nix32(hex, base);
	tap_is(base, "92d81wb77vbq8cpbn135xhkrkm94wl39", "as Nix writes it");
	digest_release(&d);

	FILE *file = tmpfile();
	for (int i = 0; i < 1000002; i++)
		fputc(i == 0 ? 'x' : 'a', file);
	fflush(file);
	tap_ok(digest_span(fileno(file), 1, 1000000, hex) == 0, "a file can be read");
	tap_is(hex, million_hex, "a million bytes of a file");
	tap_ok(digest_span(fileno(file), 1, 1000002, hex) < 0, "not beyond its end");
	digest_init(&d);
	tap_ok(digest_add_file(&d, fileno(file), 1, UINT64_MAX) == 1000001,
	       "up to its end, if nobody knows its size");
	digest_release(&d);
	fclose(file);

	tap_ok(digest_is_hex(hex), "a digest is one");
	snprintf(name, sizeof name, "%s0", hex);
	tap_ok(!digest_is_hex(name), "a digit too much");
	tap_ok(!digest_is_hex(hex + 1), "a digit less");
	tap_ok(!digest_is_hex(""), "no digits");
	snprintf(name, sizeof name, "C%s", hex + 1);
	tap_ok(!digest_is_hex(name), "an upper-case digit");
	snprintf(name, sizeof name, "../%s", hex + 3);
	tap_ok(!digest_is_hex(name), "a path");

	snprintf(name, sizeof name, "sha256:%s", hex);
	digest_reference(hex, reference);
	tap_is(reference, name, "the prefix is added");
	tap_is(digest_strip(name), hex, "the prefix goes");
	tap_ok(digest_strip(hex) == NULL, "no prefix");
	tap_ok(digest_strip("sha256:") == NULL, "nothing but the prefix");
	name[4] = '1';
	tap_ok(digest_strip(name) == NULL, "another algorithm");

	/* The SHA-256 of "abc", by nix-hash. */
	pin("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", true);
	pin("1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s", true);
	pin("sha256:1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s", true);
	pin("sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=", true);
	pin("ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=", true);
	pin("sha256-1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s", false);
	pin("2b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s", false);
	pin("1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5e", false);
	pin("1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5", false);
	pin("ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0", false);
	pin("sha512-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=", false);
	pin("sha256:", false);
	tap_ok(digest_pin("", hex) == 0 && strspn(hex, "0") == DIGEST_HEX,
	       "one that is not known yet");
	digest_of("abc", 3, hex);
	digest_sri(hex, name);
	tap_is(name, "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=", "as SRI");

	tap_dies(1, nix32, "", "Nix' form of nothing");
	tap_dies(1, nix32, hex + 1, "Nix' form of a digest that is short");
	return tap_done();
}
