#define _DEFAULT_SOURCE
#include "timestamp.h"

#include "err.h"
#include "num.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const int64_t latest = 253402300799; /* 9999-12-31T23:59:59Z */

/* A two-digit number at *s that is at most `max`, and `end` behind it; moves *s on. */
static int two_digits(const char **s, uint64_t max, char end, int *out)
{
	uint64_t n;

	if (strlen(*s) < 2 || num_parse(*s, 2, max, &n) < 0)
		return -1;
	*s += 2;
	if (end != '\0' && *(*s)++ != end)
		return -1;
	*out = (int)n;
	return 0;
}

static int parse_offset(const char *s, int64_t *seconds)
{
	int hours, minutes, sign = *s == '-' ? -1 : 1;

	if (strcmp(s, "Z") == 0 || strcmp(s, "z") == 0) {
		*seconds = 0;
		return 0;
	}
	if (*s != '+' && *s != '-')
		return -1;
	s++;
	if (two_digits(&s, 23, ':', &hours) < 0 ||
	    two_digits(&s, 59, '\0', &minutes) < 0 || *s != '\0')
		return -1;
	*seconds = sign * (hours * 3600 + minutes * 60);
	return 0;
}

static int parse_rfc3339(const char *s, int64_t *out)
{
	struct tm tm = {0}, date = {0};
	uint64_t year;
	int64_t offset = 0;

	if (strlen(s) < 10 || num_parse(s, 4, 9999, &year) < 0 || s[4] != '-')
		return -1;
	tm.tm_year = (int)year - 1900;
	s += 5;
	if (two_digits(&s, 12, '-', &tm.tm_mon) < 0 ||
	    two_digits(&s, 31, '\0', &tm.tm_mday) < 0)
		return -1;
	tm.tm_mon--;
	if (*s != '\0') {
		if (strchr("Tt ", *s++) == NULL ||
		    two_digits(&s, 23, ':', &tm.tm_hour) < 0 ||
		    two_digits(&s, 59, ':', &tm.tm_min) < 0 ||
		    two_digits(&s, 60, '\0', &tm.tm_sec) < 0)
			return -1;
		if (*s == '.') {
			size_t digits = strspn(s + 1, "0123456789");
			if (digits == 0)
				return -1;
			s += 1 + digits;
		}
		if (parse_offset(s, &offset) < 0)
			return -1;
	}
	date.tm_year = tm.tm_year;
	date.tm_mon = tm.tm_mon;
	date.tm_mday = tm.tm_mday;
	int64_t t = timegm(&date);
	if (date.tm_mday != tm.tm_mday || date.tm_mon != tm.tm_mon)
		return -1; /* 31 February */
	*out = t + tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec - offset;
	return 0;
}

int64_t timestamp_option(const char *name, const char *value)
{
	const char *digits = *value == '@' ? value + 1 : value;
	uint64_t seconds;
	int64_t t;

	if (strcmp(value, "now") == 0)
		return (int64_t)time(NULL);
	if (num_parse(digits, strlen(digits), (uint64_t)latest, &seconds) == 0)
		return (int64_t)seconds;
	if (parse_rfc3339(value, &t) < 0 || t < 0 || t > latest)
		die_usage(
		    "--%s takes 'now', a time like 1970-01-01T00:00:01Z or seconds since "
		    "1970, not '%s'",
		    name, value);
	return t;
}

int64_t timestamp_default(void)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	uint64_t seconds;

	if (epoch == NULL || *epoch == '\0')
		return 1;
	if (num_parse(epoch, strlen(epoch), (uint64_t)latest, &seconds) < 0)
		die("SOURCE_DATE_EPOCH is not a number of seconds: '%s'", epoch);
	return (int64_t)seconds;
}

void timestamp_format(int64_t seconds, char out[TIMESTAMP_TEXT])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, TIMESTAMP_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm);
}
