#include "base/strset.h"

#include "tap.h"

int main(void)
{
	struct strset s = {0};
	char name[32];
	bool numbered = true, found = true;

	strset_release(&s);
	tap_ok(strset_find(&s, "a", 1) == STRSET_NONE, "an empty set holds nothing");
	tap_int(strset_add(&s, "a", 1), 0, "the first name");
	tap_int(strset_add(&s, "ab", 2), 1, "a longer one");
	tap_int(strset_add(&s, "abc", 1), 0, "no further than its length");
	tap_int(strset_add(&s, "", 0), 2, "the empty name");
	tap_int(strset_find(&s, "ab", 2), 1, "found");
	tap_int(strset_find(&s, "", 0), 2, "the empty name, found");
	tap_ok(strset_find(&s, "abc", 3) == STRSET_NONE, "not found");
	tap_int((long long)s.n, 3, "how many");
	for (uint32_t i = 3; i < 50000; i++) {
		int len = snprintf(name, sizeof name, "name-%u", i);
		numbered = numbered && strset_add(&s, name, (size_t)len) == i;
	}
	tap_ok(numbered, "many names");
	for (uint32_t i = 3; i < 50000; i++) {
		int len = snprintf(name, sizeof name, "name-%u", i);
		found = found && strset_find(&s, name, (size_t)len) == i &&
			strcmp(s.name[i], name) == 0;
	}
	tap_ok(found, "all of them found");
	strset_release(&s);
	tap_ok(s.n == 0 && strset_find(&s, "a", 1) == STRSET_NONE, "released");
	return tap_done();
}
