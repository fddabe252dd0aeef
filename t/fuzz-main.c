/*
 * fuzz-main: runs a fuzzer over files, each once, where libFuzzer is not linked.
 *
 *	NAME FILE...
 */
#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CASE_MAX = 1 << 28, SECONDS_MAX = 60 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Runs on a copy of exactly its size, so that a sanitizer notices a read beyond the end.
 */
static void run_case(const struct buf *b)
{
	uint8_t *copy = malloc(b->len);

	if (b->len != 0)
		memcpy(copy, b->data, b->len);
	alarm(SECONDS_MAX);
	LLVMFuzzerTestOneInput(copy, b->len);
	free(copy);
}

int main(int argc, char **argv)
{
	struct buf text = {0};

	err_init(program_invocation_short_name);
	for (int i = 1; i < argc; i++) {
		buf_clear(&text);
		if (io_slurp_file(argv[i], &text, CASE_MAX) < 0)
			die_errno("%s", argv[i]);
		run_case(&text);
	}
	buf_release(&text);
	return 0;
}
