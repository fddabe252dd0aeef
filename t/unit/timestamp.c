#include "base/timestamp.h"

#include "tap.h"

#include <time.h>

static void is_time(const char *value, int64_t want)
{
	tap_int(timestamp_option("created", value), want, value);
}

static void option(const char *value)
{
	timestamp_option("created", value);
}

static void by_default(const char *epoch)
{
	setenv("SOURCE_DATE_EPOCH", epoch, 1);
	timestamp_default();
}

int main(void)
{
	static const char *const refused[] = {
	    "",
	    "soon",
	    "-1",
	    "@",
	    "@-1",
	    "@@1",
	    "1.5",
	    "@1.5",
	    "0",
	    "1",
	    "86400",
	    "1234567",
	    "123456789",
	    "1700000000",
	    "20240230",
	    "20241301",
	    "20240001",
	    "19691231",
	    "2024010",
	    "202401011",
	    "2024010110",
	    "202401011000",
	    "20240101100060Z",
	    "20240101240000",
	    "20240101106000",
	    "20240101100061",
	    "20240101T100000Z",
	    "20240101 100000",
	    "@20240101100000",
	    "2024-01-01 10:00",
	    "2024-01-01  10:00:00",
	    "2024-01-01 10:00:00 ",
	    "2024-01-01 10:00:00 +0100",
	    " 2024-01-01",
	    "@253402300800",
	    "1969-12-31T23:59:59Z",
	    "1970-01-01T00:59:59+01:00",
	    "9999-12-31T23:59:59-00:01",
	    "10000-01-01T00:00:00Z",
	    "2023-02-29",
	    "2023-04-31",
	    "2023-00-10",
	    "2023-13-10",
	    "2023-01-00",
	    "2023-01-32",
	    "2023-1-1",
	    "2023-01-01T",
	    "2023-01-01T24:00:00Z",
	    "2023-01-01T00:60:00Z",
	    "2023-01-01T00:00:61Z",
	    "2023-01-01T00:00Z",
	    "2023-01-01T00:00:00",
	    "2023-01-01T00:00:00.Z",
	    "2023-01-01T00:00:00+24:00",
	    "2023-01-01T00:00:00+01:60",
	    "2023-01-01T00:00:00+0100",
	    "2023-01-01T00:00:00+01:00 ",
	    "2023-01-01T00:00:00ZZ",
	    "2023-01-01X00:00:00Z",
	    "2023/01/01",
	};
	char text[TIMESTAMP_TEXT];

	setenv("TZ", "America/New_York", 1);
	is_time("@0", 0);
	is_time("@1700000000", 1700000000);
	is_time("@20240101", 20240101);
	is_time("@253402300799", 253402300799);
	is_time("19700101", 0);
	is_time("20240101", 1704067200);
	is_time("20240229", 1709164800);
	is_time("99991231", 253402214400);
	is_time("20240101100000", 1704103200);
	is_time("20240229235959", 1709251199);
	is_time("20150630235960", 1435708800);
	is_time("2024-01-01 10:00:00", 1704103200);
	is_time("2024-01-01 10:00:00.5", 1704103200);
	is_time("2024-01-01 10:00:00+01:00", 1704099600);
	is_time("1970-01-01", 0);
	is_time("1970-01-01T00:00:01Z", 1);
	is_time("1970-01-01t00:00:01z", 1);
	is_time("1970-01-01 00:00:01Z", 1);
	is_time("1970-01-01T00:00:01.999999999Z", 1);
	is_time("1970-01-01T01:00:00+01:00", 0);
	is_time("1969-12-31T19:00:00-05:00", 0);
	is_time("2000-02-29T12:34:56Z", 951827696);
	is_time("2024-02-29", 1709164800);
	is_time("2100-03-01T00:00:00-00:30", 4107544200);
	is_time("9999-12-31T23:59:59Z", 253402300799);
	is_time("2015-06-30T23:59:60Z", 1435708800);
	is_time("2015-06-30T16:59:60-07:00", 1435708800);
	int64_t now = time(NULL), said = timestamp_option("created", "now");
	tap_ok(said >= now && said <= now + 60, "now");
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		tap_dies(2, option, refused[i], refused[i]);

	unsetenv("SOURCE_DATE_EPOCH");
	tap_int(timestamp_default(), 1, "the default");
	setenv("SOURCE_DATE_EPOCH", "", 1);
	tap_int(timestamp_default(), 1, "SOURCE_DATE_EPOCH is empty");
	setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
	tap_int(timestamp_default(), 1700000000, "SOURCE_DATE_EPOCH is a number");
	tap_dies(1, by_default, "yesterday", "SOURCE_DATE_EPOCH is no number");
	tap_dies(1, by_default, "253402300800", "SOURCE_DATE_EPOCH is too far off");

	timestamp_format(1, text);
	tap_is(text, "1970-01-01T00:00:01Z", "written in UTC");
	timestamp_format(951827696, text);
	tap_is(text, "2000-02-29T12:34:56Z", "a leap day");
	timestamp_format(253402300799, text);
	tap_is(text, "9999-12-31T23:59:59Z", "the last second");
	return tap_done();
}
