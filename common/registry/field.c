#include "registry/field.h"

#include "base/num.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

void field_type(const char *value, char type[FIELD_TYPE])
{
	size_t n = value != NULL ? strcspn(value, "; \t") : 0;

	n = n < FIELD_TYPE ? n : FIELD_TYPE - 1;
	for (size_t i = 0; i < n; i++) {
		if (!isgraph((unsigned char)value[i]))
			n = 0;
		type[i] = (char)tolower((unsigned char)value[i]);
	}
	type[n] = '\0';
}

bool field_number(const char *value, uint64_t *out)
{
	return value != NULL && num_parse(value, strlen(value), INT64_MAX, out) == 0;
}

bool field_kept(const char *value, uint64_t *kept)
{
	uint64_t last;

	if (value != NULL && strncmp(value, "bytes=", 6) == 0)
		value += 6;
	if (value == NULL || strncmp(value, "0-", 2) != 0 ||
	    !field_number(value + 2, &last))
		return false;
	*kept = last > 0 ? last + 1 : 0;
	return true;
}

bool field_first(const char *value, uint64_t *first)
{
	if (value == NULL || strncasecmp(value, "bytes ", 6) != 0)
		return false;
	return num_parse(value + 6, strcspn(value + 6, "-"), INT64_MAX, first) == 0;
}
