#include "base/timestamp.h"

#include "base/err.h"
#include "base/num.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const int64_t latest = 253402300799; /* 9999-12-31T23:59:59Z */

/*
 * Reads the next `len` digits of *s as a number from `least` to `most` and moves *s past
 * them.
 */
static int take_number(const char **s, size_t len, uint64_t least, uint64_t most,
		       int *out)
{
	uint64_t n;

	if (strnlen(*s, len) < len || num_parse(*s, len, most, &n) < 0 || n < least)
		return -1;
	*s += len;
	*out = (int)n;
	return 0;
}

static int take_char(const char **s, const char *any)
{
	if (**s == '\0' || strchr(any, **s) == NULL)
		return -1;
	(*s)++;
	return 0;
}

/* YEAR-MONTH-DAY; the separators are missing if `separated` is false. */
static int take_date(const char **s, bool separated, struct tm *tm)
{
	int year;

	if (take_number(s, 4, 0, 9999, &year) < 0 ||
	    (separated && take_char(s, "-") < 0) ||
	    take_number(s, 2, 1, 12, &tm->tm_mon) < 0 ||
	    (separated && take_char(s, "-") < 0) ||
	    take_number(s, 2, 1, 31, &tm->tm_mday) < 0)
		return -1;
	tm->tm_year = year - 1900;
	tm->tm_mon--;
	struct tm date = {
	    .tm_year = tm->tm_year, .tm_mon = tm->tm_mon, .tm_mday = tm->tm_mday};
	(void)timegm(&date);
	/* timegm() changes a date that does not exist, such as 31 February. */
	return date.tm_mday == tm->tm_mday ? 0 : -1;
}

/* HOUR:MINUTE:SECOND; the separators are missing if `separated` is false. */
static int take_clock(const char **s, bool separated, struct tm *tm)
{
	if (take_number(s, 2, 0, 23, &tm->tm_hour) < 0 ||
	    (separated && take_char(s, ":") < 0) ||
	    take_number(s, 2, 0, 59, &tm->tm_min) < 0 ||
	    (separated && take_char(s, ":") < 0) ||
	    take_number(s, 2, 0, 60, &tm->tm_sec) < 0)
		return -1;
	return 0;
}

static int take_fraction(const char **s)
{
	if (**s != '.')
		return 0;
	size_t digits = strspn(*s + 1, "0123456789");
	*s += 1 + digits;
	return digits > 0 ? 0 : -1;
}

static int take_offset(const char **s, int64_t *seconds)
{
	int hours, minutes, sign = **s == '-' ? -1 : 1;

	*seconds = 0;
	if (take_char(s, "Zz") == 0)
		return 0;
	if (take_char(s, "+-") < 0 || take_number(s, 2, 0, 23, &hours) < 0 ||
	    take_char(s, ":") < 0 || take_number(s, 2, 0, 59, &minutes) < 0)
		return -1;
	*seconds = sign * (hours * 3600 + minutes * 60);
	return 0;
}

/*
 * Parses RFC 3339, or only a date. If a blank stands before the time of day, the offset
 * may be missing. date(1) prints this form, which is in UTC in a Nix build.
 */
static int parse_separated(const char *s, struct tm *tm, int64_t *offset)
{
	if (take_date(&s, true, tm) < 0)
		return -1;
	if (*s == '\0')
		return 0;
	bool blank = *s == ' ';
	if (take_char(&s, "Tt ") < 0 || take_clock(&s, true, tm) < 0 ||
	    take_fraction(&s) < 0)
		return -1;
	if (blank && *s == '\0')
		return 0;
	return take_offset(&s, offset) == 0 && *s == '\0' ? 0 : -1;
}

/* Parses YYYYMMDD or YYYYMMDDHHMMSS, the form of lastModifiedDate in Nix flakes. */
static int parse_compact(const char *s, struct tm *tm)
{
	if (take_date(&s, false, tm) < 0)
		return -1;
	if (*s == '\0')
		return 0;
	return take_clock(&s, false, tm) == 0 && *s == '\0' ? 0 : -1;
}

static int parse(const char *s, int64_t *out)
{
	struct tm tm = {0};
	int64_t offset = 0;
	uint64_t seconds;

	if (strcmp(s, "now") == 0) {
		*out = (int64_t)time(NULL);
		return 0;
	}
	if (*s == '@') {
		if (num_parse(s + 1, strlen(s + 1), (uint64_t)latest, &seconds) < 0)
			return -1;
		*out = (int64_t)seconds;
		return 0;
	}
	if (parse_separated(s, &tm, &offset) < 0) {
		tm = (struct tm){0};
		if (parse_compact(s, &tm) < 0)
			return -1;
	}
	*out = (int64_t)timegm(&tm) - offset;
	return *out >= 0 && *out <= latest ? 0 : -1;
}

int64_t timestamp_option(const char *name, const char *value)
{
	int64_t t;

	if (parse(value, &t) < 0)
		die_usage(
		    "--%s takes now, 2024-01-31, 20240131, 20240131235959, '2024-01-31 "
		    "23:59:59', 2024-01-31T23:59:59Z, 2024-01-31T23:59:59+01:00 or "
		    "@SECONDS, a time from 1970 to 9999, not '%s'",
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
