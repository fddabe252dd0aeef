/*
 * timestamp: points in time on the command line and in documents. Level 2.
 */
#ifndef DT_TIMESTAMP_H
#define DT_TIMESTAMP_H

#include <stdint.h>

enum { TIMESTAMP_TEXT = 32 };

/*
 * The value of the option `--name`, in seconds since 1970: "now", an RFC 3339 time
 * ("1970-01-01T00:00:01Z", with an offset, with a fraction, which is cut off), a date
 * alone, or a number of seconds, with or without '@' in front. Ends the process if it
 * is none of them or outside of the years 1970 to 9999.
 */
int64_t timestamp_option(const char *name, const char *value);

/* What holds without the option: $SOURCE_DATE_EPOCH, else 1. */
int64_t timestamp_default(void);

/* Writes RFC 3339 in UTC: "1970-01-01T00:00:01Z". */
void timestamp_format(int64_t seconds, char out[TIMESTAMP_TEXT]);

#endif
