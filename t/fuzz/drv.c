#include "store/drv.h"

#include "base/buf.h"
#include "base/err.h"
#include "store/store.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What was read is a JSON document that can be read again, and its path is one of the
 * store. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct store s = {0};
	struct buf out = {0};
	struct err e;
	const char *text = (const char *)data;

	json_t *drv = drv_parse(&s, text, len, "input", &e);
	if (drv != NULL) {
		if (drv_identify(&s, text, len, drv, &out, &e) == 0 &&
		    store_adopt(&s, out.data, out.len) != out.len)
			abort();
		buf_clear(&out);
		json_write(drv, &out);
		json_t *again = json_parse(out.data, out.len, "output", &e);
		if (!json_equal(drv, again))
			abort();
		json_decref(again);
	}
	json_decref(drv);
	buf_release(&out);
	store_release(&s);
	return 0;
}
