#include "store/scan.h"

#include "store/store.h"
#include "tap.h"

#include <stdint.h>

enum { TEXT = 600 };

/* Which characters of a text are in runs, told in two ways. */
struct marks {
	const char *text;
	bool mark[TEXT];
	bool in_order;
	const char *end;
};

static void on_run(void *arg, const char *run, size_t len)
{
	struct marks *m = arg;

	m->in_order = m->in_order && run >= m->end;
	m->end = run + len;
	memset(m->mark + (run - m->text), true, len);
}

static bool is_hash_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');
}

static void mark_slowly(const char *text, size_t len, bool *mark)
{
	size_t run = 0;

	for (size_t i = 0; i <= len; i++) {
		if (i < len && is_hash_char(text[i])) {
			run++;
			continue;
		}
		if (run >= STORE_HASH)
			memset(mark + i - run, true, run);
		run = 0;
	}
}

static bool agree(const char *text, size_t len)
{
	struct marks got = {.text = text, .end = text, .in_order = true};
	bool want[TEXT] = {false};

	scan_runs(text, len, on_run, &got);
	mark_slowly(text, len, want);
	return got.in_order && memcmp(got.mark, want, sizeof want) == 0;
}

static uint32_t draw(uint64_t *state, uint32_t n)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33) % n;
}

/* Random texts in which one character of `every` is not of the alphabet. */
static bool agree_on_random(uint32_t every)
{
	static const char alphabet[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	static const char others[] = "/-AZ`{:@ \n\xff";
	uint64_t state = every;
	char text[TEXT];

	for (int round = 0; round < 2000; round++) {
		size_t len = draw(&state, TEXT + 1);
		for (size_t i = 0; i < len; i++)
			text[i] = draw(&state, every) == 0
				      ? others[draw(&state, sizeof others)]
				      : alphabet[draw(&state, sizeof alphabet - 1)];
		if (!agree(text, len))
			return false;
	}
	return true;
}

int main(void)
{
	static const char run[] = "0123456789abcdefghijklmnopqrstuv";

	tap_ok(agree("", 0), "an empty text");
	tap_ok(agree(run, STORE_HASH), "one run, all of the text");
	tap_ok(agree(run, STORE_HASH - 1), "a run that is too short");
	tap_ok(agree_on_random(2), "random texts, no runs");
	tap_ok(agree_on_random(20), "random texts, few runs");
	tap_ok(agree_on_random(35), "random texts, runs about as long as needed");
	tap_ok(agree_on_random(70), "random texts, many runs");
	tap_ok(agree_on_random(2000), "random texts, long runs");
	return tap_done();
}
