#include "base/signature.h"

#include "base/encode.h"
#include "base/err.h"
#include "base/mem.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static const char blanks[] = " \t\n";

/* Splits "NAME:BASE64" into NAME, whose length is returned, and `size` bytes. */
static size_t split(const char *text, unsigned char *bytes, size_t size)
{
	const char *colon = strchr(text, ':');
	size_t len = 0;

	if (colon == NULL || colon == text ||
	    encode_unbase64((char *)bytes, size, colon + 1, &len) < 0 || len != size)
		return 0;
	return (size_t)(colon - text);
}

static int add_key(struct signature_keys *k, const char *text, struct err *e)
{
	unsigned char key[SIGNATURE_KEY];
	size_t len = split(text, key, sizeof key);

	if (len == 0)
		return err_set(e, "'%s' is not a public key, NAME:BASE64", text);
	uint32_t i = strset_add(&k->names, text, len);
	k->key = mem_grow(k->key, &k->cap, k->names.n, sizeof *k->key);
	memcpy(k->key[i], key, sizeof key);
	return 0;
}

int signature_add_keys(struct signature_keys *k, const char *list, struct err *e)
{
	int result = 0;

	for (list += strspn(list, blanks); result == 0 && *list != '\0';) {
		size_t len = strcspn(list, blanks);
		char *text = mem_strndup(list, len);
		result = add_key(k, text, e);
		free(text);
		list += len;
		list += strspn(list, blanks);
	}
	return result;
}

void signature_release(struct signature_keys *k)
{
	strset_release(&k->names);
	free(k->key);
	*k = (struct signature_keys){0};
}

bool signature_is_good(const struct signature_keys *k, const char *signature,
		       const char *text, size_t len)
{
	unsigned char bytes[crypto_sign_BYTES];
	size_t name = split(signature, bytes, sizeof bytes);
	uint32_t i = name > 0 ? strset_find(&k->names, signature, name) : STRSET_NONE;

	return i != STRSET_NONE &&
	       crypto_sign_verify_detached(bytes, (const unsigned char *)text, len,
					   k->key[i]) == 0;
}
