#include "base/lines.h"

#include "base/err.h"

#include <string.h>

int lines_scan(const char *text, size_t len, const char *what,
	       int (*on_line)(void *arg, const char *line, size_t len, struct err *e),
	       void *arg, struct err *e)
{
	const char *at = text, *end = text + len;

	for (size_t number = 1; at < end; number++) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		int result;
		if (stop == NULL)
			result = err_set(e, "truncated in the middle of a line");
		else if (memchr(at, '\0', (size_t)(stop - at)) != NULL)
			result = err_set(e, "a NUL byte");
		else
			result = on_line(arg, at, (size_t)(stop - at), e);
		if (result < 0)
			return err_prefix(e, "%s:%zu", what, number);
		at = stop + 1;
	}
	return 0;
}
