#include "base/hash.h"

#include "tap.h"

/* The hash of a text in another process, which has a key of its own. */
static uint64_t hash_elsewhere(void)
{
	uint64_t hash = 0;
	int out[2];

	if (pipe(out) < 0)
		abort();
	pid_t child = fork();
	if (child == 0) {
		hash = hash_keyed("text", 4);
		_exit(write(out[1], &hash, sizeof hash) != sizeof hash ? 1 : 0);
	}
	if (read(out[0], &hash, sizeof hash) != sizeof hash)
		abort();
	waitpid(child, NULL, 0);
	return hash;
}

int main(void)
{
	uint64_t one = hash_elsewhere(), other = hash_elsewhere();

	tap_ok(one != other, "the hash of a table has another key in each process");
	tap_ok(hash_keyed("text", 4) == hash_keyed("text", 4), "and keeps it");
	tap_ok(hash_keyed("text", 4) != hash_keyed("texs", 4), "of another text");
	return tap_done();
}
