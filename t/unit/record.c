#include "tree/record.h"

#include "tap.h"

static void add(struct record *r, const char *text)
{
	record_bytes(r, text, strlen(text));
}

int main(void)
{
	enum { LIMIT = 100 };
	struct record_budget budget = {LIMIT};
	struct record a = {0}, b = {0};

	add(&a, "x");
	record_file(&a, NULL, 0);
	tap_ok(!record_is_complete(&a) && a.bytes.len == 0 && a.n == 0,
	       "nothing is recorded before the beginning");
	record_begin(&a, &budget, 50);
	add(&a, "one ");
	record_file(&a, NULL, 7);
	add(&a, "two");
	tap_ok(record_is_complete(&a) && a.bytes.len == 7 &&
		   memcmp(a.bytes.data, "one two", 7) == 0,
	       "bytes are recorded");
	tap_ok(a.n == 1 && a.file[0].at == 4 && a.file[0].entry == 7,
	       "and where a file is between them");
	tap_int((long long)budget.left, 50, "its size is taken from the budget");

	record_begin(&b, &budget, 51);
	tap_ok(!record_is_complete(&b), "the budget has too little for another record");
	record_begin(&b, &budget, 50);
	add(&b, "something");
	for (int i = 0; i < LIMIT; i++)
		add(&b, "too much");
	tap_ok(!record_is_complete(&b) && b.bytes.len == 0,
	       "too much makes a record empty");
	add(&b, "x");
	tap_ok(!record_is_complete(&b) && b.bytes.len == 0, "it stays empty");
	tap_int((long long)budget.left, 50, "what it took is in the budget again");
	tap_ok(record_is_complete(&a), "the other record is complete");

	record_release(&a);
	record_release(&b);
	tap_int((long long)budget.left, LIMIT, "nothing is taken after the release");
	return tap_done();
}
