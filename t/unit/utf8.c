#include "base/utf8.h"

#include "tap.h"

#include <sys/mman.h>

/* Whether the text is valid where nothing behind its last byte can be read. */
static bool is_valid_at_end(const char *text, size_t len)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *two = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (two == MAP_FAILED || mprotect(two + page, page, PROT_NONE) < 0)
		abort();
	memcpy(two + page - len, text, len);
	bool valid = utf8_is_valid(two + page - len, len);
	munmap(two, 2 * page);
	return valid;
}

static void is_read(const char *text, uint32_t want, size_t len, const char *what)
{
	const char *p = text;

	tap_int(utf8_next(&p), want, what);
	tap_int(p - text, (long long)len, what);
}

int main(void)
{
	static const struct {
		const char *text;
		size_t len;
		bool is_valid;
		const char *what;
	} table[] = {
	    {"", 0, true, "nothing"},
	    {"a\0b", 3, true, "a NUL is a character"},
	    {"\xc3\xa9", 2, true, "two bytes"},
	    {"\xe2\x82\xac", 3, true, "three bytes"},
	    {"\xf0\x9f\x90\xa7", 4, true, "four bytes"},
	    {"\xf4\x8f\xbf\xbf", 4, true, "the last character"},
	    {"\xc3\xa9", 1, false, "one byte of two"},
	    {"a\xe2\x82\xac", 3, false, "two bytes of three"},
	    {"\xf0\x9f\x90\xa7", 3, false, "three bytes of four"},
	    {"\xf0\x9f\x90\xa7", 2, false, "two bytes of four"},
	    {"\xf0\x9f\x90\xa7", 1, false, "one byte of four"},
	    {"\xa9", 1, false, "a byte that continues nothing"},
	    {"\xc1\xa1", 2, false, "two bytes for one"},
	    {"\xe0\x82\xac", 3, false, "three bytes for two"},
	    {"\xed\xa0\x80", 3, false, "half a surrogate pair"},
	    {"\xf4\x90\x80\x80", 4, false, "beyond the last character"},
	    {"\xff", 1, false, "no first byte"},
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		tap_ok(is_valid_at_end(table[i].text, table[i].len) == table[i].is_valid,
		       table[i].what);

	is_read("a", 'a', 1, "ASCII");
	is_read("\xe2\x82\xac!", 0x20ac, 3, "a character of three bytes");
	is_read("\xe2\x82", 0xdce2, 1, "a truncated one: its first byte alone");
	is_read("\xff", 0xdcff, 1, "a byte of no character");
	tap_ok(utf8_compare("a", "b") < 0 && utf8_compare("b", "a") > 0, "ordered");
	tap_ok(utf8_compare("a", "ab") < 0 && utf8_compare("a", "a") == 0, "by length");
	tap_ok(utf8_compare("\xef\xbf\xbd", "\xf0\x9f\x90\xa7") < 0, "by characters");
	return tap_done();
}
