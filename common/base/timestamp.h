/*
 * timestamp: dates and times on the command line and in documents.
 */
#ifndef DT_TIMESTAMP_H
#define DT_TIMESTAMP_H

#include <stdint.h>

enum { TIMESTAMP_TEXT = 32 };

/*
 * Returns the value of the option `--name` in seconds since 1970. dt(7) lists the valid
 * forms under --mtime. A number without '@' is a date, never seconds. Ends the process if
 * the value has another form or is outside the years 1970 to 9999.
 */
int64_t timestamp_option(const char *name, const char *value);

/*
 * Returns the default for such options: $SOURCE_DATE_EPOCH, which is always in seconds,
 * or 1 if it is not set.
 */
int64_t timestamp_default(void);

/* Writes the time in UTC as RFC 3339 defines: "1970-01-01T00:00:01Z". */
void timestamp_format(int64_t seconds, char out[TIMESTAMP_TEXT]);

#endif
