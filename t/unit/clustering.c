#include "plan/clustering.h"

#include "tap.h"

#include <math.h>
#include <string.h>

enum { POINTS = 6 };

/* Groups of points on a line; `low` and `high` are the ends of each group. */
struct line {
	struct clustering groups;
	double low[POINTS], high[POINTS], limit;
	size_t n_wanted, n_joins;
};

static double smaller(double a, double b)
{
	return a < b ? a : b;
}

static double larger(double a, double b)
{
	return a > b ? a : b;
}

/* The length of the group of both, or INFINITY if that is more than the limit. */
static double length(void *arg, uint32_t i, uint32_t j)
{
	const struct line *l = arg;
	double length = larger(l->high[i], l->high[j]) - smaller(l->low[i], l->low[j]);

	return length <= l->limit ? length : (double)INFINITY;
}

static void join(void *arg, uint32_t to, uint32_t from)
{
	struct line *l = arg;

	l->low[to] = smaller(l->low[to], l->low[from]);
	l->high[to] = larger(l->high[to], l->high[from]);
	l->n_joins++;
}

static bool is_done(void *arg)
{
	const struct line *l = arg;

	return l->groups.n_alive <= l->n_wanted;
}

/* Points in the same group have the same letter, and letters are in order. */
static void letters(const uint32_t *group, size_t n, char *out)
{
	char next = 'a';

	for (size_t i = 0; i < n; i++) {
		out[i] = '\0';
		for (size_t j = 0; j < i && out[i] == '\0'; j++)
			if (group[j] == group[i])
				out[i] = out[j];
		if (out[i] == '\0')
			out[i] = next++;
	}
	out[n] = '\0';
}

/*
 * Clusters the points until there are n_wanted groups, or all are longer than the limit.
 * If `is_joined`, points 0 and 1 are one group from the start.
 */
static void clusters(const double *points, size_t n_wanted, double limit, bool is_joined,
		     const char *want, const char *what)
{
	struct line l = {.n_wanted = n_wanted, .limit = limit};
	const struct clustering_rule rule = {length, join, is_done, &l};
	uint32_t group[POINTS];
	char got[POINTS + 1];
	bool is_ascending = true, is_alive = true;

	clustering_init(&l.groups, POINTS);
	for (uint32_t i = 0; i < POINTS; i++) {
		group[i] = i;
		l.low[i] = l.high[i] = points[i];
	}
	if (is_joined) {
		group[1] = 0;
		join(&l, 0, 1);
		clustering_drop(&l.groups, 1);
	}
	clustering_run(&l.groups, &rule, group);
	letters(group, POINTS, got);
	tap_is(got, want, what);
	for (size_t at = 1; at < l.groups.n_alive; at++)
		is_ascending =
		    is_ascending && l.groups.alive[at - 1] < l.groups.alive[at];
	for (size_t i = 0; i < POINTS; i++) {
		bool found = false;
		for (size_t at = 0; at < l.groups.n_alive; at++)
			found = found || l.groups.alive[at] == group[i];
		is_alive = is_alive && found;
	}
	tap_ok(is_ascending && is_alive && l.groups.n_alive == POINTS - l.n_joins,
	       "the numbers of the groups are those that are left");
	clustering_release(&l.groups);
}

/* As length(), but each join makes group 2 more expensive. */
static double growing(void *arg, uint32_t i, uint32_t j)
{
	const struct line *l = arg;

	return length(arg, i, j) + (i == 2 || j == 2 ? 1000 * (double)l->n_joins : 0);
}

/* Scores grow although neither of the two groups has merged. */
static void test_growing(void)
{
	static const double points[] = {0, 1, 10, 12, 100, 103};
	struct line l = {.n_wanted = 4, .limit = INFINITY};
	const struct clustering_rule rule = {growing, join, is_done, &l};
	uint32_t group[POINTS];
	char got[POINTS + 1];

	clustering_init(&l.groups, POINTS);
	for (uint32_t i = 0; i < POINTS; i++) {
		group[i] = i;
		l.low[i] = l.high[i] = points[i];
	}
	clustering_run(&l.groups, &rule, group);
	letters(group, POINTS, got);
	tap_is(got, "aabcdd", "a score that has grown since is not the lowest");
	clustering_release(&l.groups);
}

int main(void)
{
	static const double apart[] = {0, 1, 10, 13, 100, 106};
	static const double mixed[] = {106, 10, 0, 13, 1, 100};
	static const double chain[] = {0, 2, 3, 6, 10, 15};
	struct clustering none = {0};

	clustering_release(&none);
	clusters(apart, 6, INFINITY, false, "abcdef", "as many groups as points");
	clusters(apart, 9, INFINITY, false, "abcdef", "or more");
	clusters(apart, 5, INFINITY, false, "aabcde", "the lowest score is merged first");
	clusters(apart, 4, INFINITY, false, "aabbcd", "then the next");
	clusters(apart, 3, INFINITY, false, "aabbcc", "and the next");
	clusters(apart, 2, INFINITY, false, "aaaabb", "then groups");
	clusters(apart, 1, INFINITY, false, "aaaaaa", "down to one group");
	clusters(mixed, 3, INFINITY, false, "abcbca", "the order does not matter");
	clusters(mixed, 2, INFINITY, false, "abbbba", "also of groups");

	/* 2-3, then 0-3 at 3 before 6-10 at 4, then 6-10, then 0-10 at 10, before 6-15.
	 */
	clusters(chain, 5, INFINITY, false, "abbcde", "a chain");
	clusters(chain, 4, INFINITY, false, "aaabcd", "a score that has grown");
	clusters(chain, 3, INFINITY, false, "aaabbc", "is not the lowest any more");
	/* Now 0-10 is 10 and 6-15 is 9. */
	clusters(chain, 2, INFINITY, false, "aaabbb", "groups have grown scores");

	clusters(apart, 1, 6, false, "aabbcc", "merging ends if every score is infinite");
	clusters(apart, 1, 0.5, false, "abcdef", "even before the first");
	clusters(apart, 4, 6, false, "aabbcd", "or earlier");

	static const double far[] = {0, 50, 1, 49, 20, 21};
	clusters(far, 6, INFINITY, true, "aabcde", "points that were joined before");
	clusters(far, 4, INFINITY, true, "aabcdd", "stay together");
	clusters(far, 3, INFINITY, true, "aabcbb", "when others are merged");
	test_growing();
	return tap_done();
}
