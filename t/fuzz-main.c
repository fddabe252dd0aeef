/*
 * fuzz-main: runs a fuzzer's entry point without a fuzzing engine.
 *
 *	NAME FILE...			each file once
 *	NAME --mutate N SEED FILE...	and N changes of each, chosen by SEED
 *
 * The input at work lies in $TMPDIR/NAME.case, where it stays if it ends the process.
 */
#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/num.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CASE_MAX = 1 << 28, RANGE_MAX = 64, SECONDS_MAX = 60 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A number below `n`, by xorshift64. */
static size_t draw(uint64_t *state, size_t n)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (size_t)(*state % n);
}

static void mutate(struct buf *b, uint64_t *state)
{
	for (size_t i = draw(state, 8) + 1; i-- > 0;) {
		size_t at = draw(state, b->len + 1), left = b->len - at;
		size_t n = draw(state, (left < RANGE_MAX ? left : RANGE_MAX) + 1);
		size_t way = draw(state, 32);
		char *p = buf_reserve(b, n) - left;
		if (way == 0) {
			b->len = at;
		} else if (way < 8) { /* a range once more */
			memmove(p + n, p, left);
			b->len += n;
		} else if (way < 16) { /* a range no more */
			memmove(p, p + n, left - n);
			b->len -= n;
		} else if (left > 0) {
			*p = (char)(*p ^ (int)draw(state, way < 24 ? 2 : 256));
		}
	}
}

/* A copy of just its size lets a sanitizer see a step beyond the end. */
static void run_case(int fd, const struct buf *b)
{
	uint8_t *copy = malloc(b->len);

	if (ftruncate(fd, 0) < 0 || pwrite(fd, b->data, b->len, 0) < 0)
		die_errno("cannot keep the input");
	if (b->len != 0)
		memcpy(copy, b->data, b->len);
	alarm(SECONDS_MAX);
	LLVMFuzzerTestOneInput(copy, b->len);
	free(copy);
}

int main(int argc, char **argv)
{
	struct buf name = {0}, text = {0};
	const char *dir = getenv("TMPDIR");
	uint64_t n = 0, seed = 0;
	int first = argc > 3 && strcmp(argv[1], "--mutate") == 0 ? 4 : 1;

	err_init(program_invocation_short_name);
	if (first == 4) {
		n = num_option("mutate", argv[2], 0, UINT32_MAX);
		seed = num_option("mutate", argv[3], 0, UINT32_MAX);
	}
	buf_addf(&name, "%s/%s.case", dir != NULL ? dir : "/tmp", err_tool());
	int fd = open(name.data, O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		die_errno("%s", name.data);
	for (int i = first; i < argc; i++) {
		for (uint64_t k = 0; k <= n; k++) {
			uint64_t state = (seed << 32 ^ k) * 0x9e3779b97f4a7c15u | 1;
			buf_clear(&text);
			if (io_slurp_file(argv[i], &text, CASE_MAX) < 0)
				die_errno("%s", argv[i]);
			if (k > 0)
				mutate(&text, &state);
			run_case(fd, &text);
		}
	}
	unlink(name.data);
	buf_release(&name);
	buf_release(&text);
	return 0;
}
