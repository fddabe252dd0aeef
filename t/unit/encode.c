#include "base/encode.h"

#include "tap.h"

int main(void)
{
	char text[64];
	unsigned char raw[3];
	size_t len;

	encode_hex(text, (const unsigned char *)"\x00\xab\xff", 3);
	tap_is(text, "00abff", "hex");
	tap_ok(encode_unhex(raw, 3, "00abff") == 0 && memcmp(raw, "\0\xab\xff", 3) == 0,
	       "and back");
	tap_ok(encode_unhex(raw, 3, "00abf") < 0, "too short");
	tap_ok(encode_unhex(raw, 3, "00abff0") < 0, "too long");
	tap_ok(encode_unhex(raw, 3, "00abfg") < 0, "no digit");

	encode_base64(text, "user:sesame", 11);
	tap_is(text, "dXNlcjpzZXNhbWU=", "base 64");
	tap_int((long long)encode_base64_size(11), 17, "its length");
	tap_ok(encode_unbase64(text + 20, 20, text, &len) == 0 && len == 11 &&
		   memcmp(text + 20, "user:sesame", 11) == 0,
	       "and back");
	tap_ok(encode_unbase64(text + 20, 5, text, &len) < 0, "no room");
	tap_ok(encode_unbase64(text + 20, 20, "dXNl*", &len) < 0, "no digit of base 64");
	tap_ok(encode_unbase64(text + 20, 20, "dXNlcg", &len) < 0, "not padded");
	return tap_done();
}
