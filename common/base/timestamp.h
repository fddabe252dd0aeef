/*
 * timestamp: points in time on the command line and in documents.
 */
#ifndef DT_TIMESTAMP_H
#define DT_TIMESTAMP_H

#include <stdint.h>

enum { TIMESTAMP_TEXT = 32 };

/*
 * The value of the option `--name`, in seconds since 1970. All tools take the forms that
 * dt(7) lists under --mtime; a number without '@' is a date, never seconds. Ends the
 * process if the value has none of these forms or is outside of the years 1970 to 9999.
 */
int64_t timestamp_option(const char *name, const char *value);

/*
 * The default of such options: $SOURCE_DATE_EPOCH, which is always in seconds, else 1.
 */
int64_t timestamp_default(void);

/* Writes RFC 3339 in UTC: "1970-01-01T00:00:01Z". */
void timestamp_format(int64_t seconds, char out[TIMESTAMP_TEXT]);

#endif
