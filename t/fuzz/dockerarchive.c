/*
 * Configurations, of which the legacy documents of an archive take their part. The
 * archive is complete, and its digest is that of its bytes.
 */
#include "registry/dockerarchive.h"

#include "archive/unpack.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LAYERS = 3, DOCUMENT_MAX = 64 << 20 };

/* The text of the layers, of which two are the same. */
static const char *const layers[LAYERS] = {"x", "", "x"};

/* Each document is JSON, and each layer is there once. */
static void check_members(int fd, size_t n)
{
	struct unpack_stream *s = unpack_stream_new(fd, "archive");
	struct unpack_member m;
	struct buf text = {0};
	struct err e;
	size_t members = 0;
	int more;

	while ((more = unpack_next(s, &m, &e)) > 0) {
		size_t len = strlen(m.name);
		bool is_json = len > 4 && strcmp(m.name + len - 4, "json") == 0;
		members++;
		buf_clear(&text);
		if (!is_json)
			continue;
		if (unpack_read(s, &text, DOCUMENT_MAX, &e) < 0)
			abort();
		json_t *doc = json_parse(text.data, text.len, "document", &e);
		if (doc == NULL)
			abort();
		json_decref(doc);
	}
	/* Two different layers, three members each for their directories, 3 documents. */
	if (more < 0 || members != (n < 2 ? n : 2) + 3 * n + 3)
		abort();
	unpack_stream_release(s);
	buf_release(&text);
}

/* Returns whether there is an archive; `hex` becomes its digest. */
static bool make(const struct dockerarchive_image *im, int fd, const int layer[LAYERS],
		 char hex[DIGEST_HEX + 1])
{
	struct dockerarchive a;
	struct err e;

	dockerarchive_init(&a, fd, hex != NULL);
	for (size_t i = 0; i < im->n; i++)
		dockerarchive_layer(&a, im->diff_id[i], layer[i], 0, strlen(layers[i]));
	int result = dockerarchive_documents(&a, im, &e);
	if (result == 0 && hex != NULL)
		dockerarchive_hex(&a, hex);
	if (result == 0 && fd >= 0)
		dockerarchive_end(&a);
	dockerarchive_release(&a);
	return result == 0;
}

static void check(const struct dockerarchive_image *im, const int layer[LAYERS])
{
	char want[DIGEST_HEX + 1], both[DIGEST_HEX + 1], got[DIGEST_HEX + 1];
	int fd = memfd_create("archive", MFD_CLOEXEC);
	int other = memfd_create("archive", MFD_CLOEXEC);

	if (fd < 0 || other < 0 || !make(im, -1, layer, want) ||
	    !make(im, fd, layer, NULL) || !make(im, other, layer, both))
		abort();
	off_t size = lseek(fd, 0, SEEK_END);
	if (size < 0 || digest_span(fd, 0, (uint64_t)size, got) < 0 ||
	    !digest_is_same(want, got) || !digest_is_same(both, got) ||
	    lseek(other, 0, SEEK_END) != size)
		abort();
	if (lseek(fd, 0, SEEK_SET) < 0)
		abort();
	check_members(fd, im->n);
	close(other);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf text = {0};
	struct err e;
	char diff_id[LAYERS][DIGEST_HEX + 1];
	int layer[LAYERS];
	json_t *config = json_parse((const char *)data, size, "input", &e);

	unpack_limit(64 << 20); /* for each input */
	for (int i = 0; i < LAYERS; i++) {
		layer[i] = memfd_create("layer", MFD_CLOEXEC);
		if (layer[i] < 0 || io_write(layer[i], layers[i], strlen(layers[i])) < 0)
			return 1;
		digest_of(layers[i], strlen(layers[i]), diff_id[i]);
	}
	buf_add(&text, data, size);
	struct dockerarchive_image im = {
	    .config = &text,
	    .diff_id = (const char(*)[DIGEST_HEX + 1]) diff_id,
	    .name = "docker.io/library/x",
	    .tag = "latest",
	};
	if (json_is_object(config)) {
		im.n = size % (LAYERS + 1);
		check(&im, layer);
	}
	for (int i = 0; i < LAYERS; i++)
		close(layer[i]);
	json_decref(config);
	buf_release(&text);
	return 0;
}
