#include "plan/pipeline.h"

#include "base/err.h"
#include "base/mem.h"
#include "plan/piece.h"
#include "plan/plan.h"
#include "store/graph.h"

#include <string.h>

enum { DEPTH_MAX = 64 };

struct context {
	const struct graph *g;
	struct adjacency_mark *mark;
};

/*
 * An operation. check() checks its arguments, and apply() applies it to a piece. args[0]
 * is the name.
 */
struct operation {
	const char *name;
	size_t n_args;
	int (*check)(const json_t *args, int depth, struct err *e);
	int (*apply)(const struct context *r, const json_t *args, struct piece *v,
		     struct err *e);
};

static int check_list(const json_t *operations, int depth, struct err *e);
static int check_operation(const json_t *operation, int depth, struct err *e);
static int apply_list(const struct context *r, const json_t *operations, struct piece *v,
		      struct err *e);
static int apply_operation(const struct context *r, const json_t *operation,
			   struct piece *v, struct err *e);

static int want(const struct piece *v, enum piece_kind kind, struct err *e)
{
	static const char *const names[] = {"a graph", "a list",
					    "the parts main, common and rest"};

	if (v->kind == kind)
		return 0;
	return err_set(e, "needs %s, not %s", names[kind], names[v->kind]);
}

/* --- operations without arguments --- */

static int check_nothing(const json_t *args, int depth, struct err *e)
{
	(void)args, (void)depth, (void)e;
	return 0;
}

static int popularity_contest(const struct context *r, const json_t *args,
			      struct piece *v, struct err *e)
{
	(void)args;
	return want(v, PIECE_GRAPH, e) < 0 ? -1 : piece_by_popularity(v, r->g, e);
}

static int reverse(const struct context *r, const json_t *args, struct piece *v,
		   struct err *e)
{
	(void)r, (void)args;
	if (want(v, PIECE_LIST, e) < 0)
		return -1;
	for (size_t i = 0; i < v->n / 2; i++) {
		struct piece item = v->item[i];
		v->item[i] = v->item[v->n - 1 - i];
		v->item[v->n - 1 - i] = item;
	}
	return 0;
}

static int flatten(const struct context *r, const json_t *args, struct piece *v,
		   struct err *e)
{
	struct piece flat = {.kind = PIECE_LIST};

	(void)r, (void)args;
	if (v->kind == PIECE_GRAPH)
		return err_set(e, "needs a list or parts, not a graph");
	piece_flatten(v, &flat);
	*v = flat;
	return 0;
}

/* --- operations with a number --- */

static int check_count(const json_t *args, int depth, struct err *e)
{
	const json_t *count = json_array_get(args, 1);

	(void)depth;
	if (!json_is_integer(count) || json_integer_value(count) < 1)
		return err_set(e, "takes a number from 1");
	return 0;
}

static size_t count_of(const json_t *args)
{
	return (size_t)json_integer_value(json_array_get(args, 1));
}

static int split_every(const struct context *r, const json_t *args, struct piece *v,
		       struct err *e)
{
	(void)r;
	if (want(v, PIECE_GRAPH, e) < 0)
		return -1;
	piece_split(v, count_of(args));
	return 0;
}

static int limit_layers(const struct context *r, const json_t *args, struct piece *v,
			struct err *e)
{
	size_t limit = count_of(args);

	(void)r;
	if (want(v, PIECE_LIST, e) < 0)
		return -1;
	if (v->n <= limit)
		return 0;
	for (size_t i = limit - 1; i < v->n; i++)
		if (v->item[i].kind != PIECE_GRAPH)
			return err_set(e, "can merge only graphs: 'flatten' comes first");
	piece_merge(v, limit - 1);
	return 0;
}

/* --- operations with paths --- */

static int check_strings(const json_t *list, struct err *e)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (!json_is_string(json_array_get(list, i)))
			return err_set(e, "takes a list of paths");
	return json_is_array(list) ? 0 : err_set(e, "takes a list of paths");
}

static int check_paths(const json_t *args, int depth, struct err *e)
{
	(void)depth;
	return check_strings(json_array_get(args, 1), e);
}

static int check_path_or_paths(const json_t *args, int depth, struct err *e)
{
	return json_is_string(json_array_get(args, 1)) ? 0 : check_paths(args, depth, e);
}

/* Marks the node of the path, if the graph has it. */
static void mark_path(const struct context *r, const json_t *path)
{
	uint32_t id =
	    strset_find(&r->g->paths, json_string_value(path), json_string_length(path));
	if (id != STRSET_NONE)
		adjacency_mark_put(r->mark, id);
}

/* Marks a path, or each path of a list. */
static void mark_paths(const struct context *r, const json_t *paths)
{
	adjacency_mark_clear(r->mark);
	if (json_is_string(paths))
		mark_path(r, paths);
	for (size_t i = 0; i < json_array_size(paths); i++)
		mark_path(r, json_array_get(paths, i));
}

static int remove_paths(const struct context *r, const json_t *args, struct piece *v,
			struct err *e)
{
	if (want(v, PIECE_GRAPH, e) < 0)
		return -1;
	mark_paths(r, json_array_get(args, 1));
	piece_remove(v, r->mark);
	return 0;
}

static int subcomponent(const struct context *r, const json_t *args,
			enum piece_direction direction, struct piece *v, struct err *e)
{
	if (want(v, PIECE_GRAPH, e) < 0)
		return -1;
	mark_paths(r, json_array_get(args, 1));
	piece_subcomponent(v, r->mark, direction);
	return 0;
}

static int subcomponent_out(const struct context *r, const json_t *args, struct piece *v,
			    struct err *e)
{
	return subcomponent(r, args, PIECE_REFERENCES, v, e);
}

static int subcomponent_in(const struct context *r, const json_t *args, struct piece *v,
			   struct err *e)
{
	return subcomponent(r, args, PIECE_REFERRERS, v, e);
}

static int check_specs(const json_t *args, int depth, struct err *e)
{
	const json_t *specs = json_array_get(args, 1);

	(void)depth;
	for (size_t i = 0; i < json_array_size(specs); i++) {
		const json_t *spec = json_array_get(specs, i),
			     *of = json_object_get(spec, "children_of");
		if (json_is_string(spec))
			continue;
		if (!json_is_object(spec) || json_object_size(spec) != 1 || of == NULL)
			return err_set(
			    e, "takes a list of paths and of {\"children_of\": PATH}");
		if (!json_is_string(of) && check_strings(of, e) < 0)
			return err_set(e, "children_of takes a path or a list of them");
	}
	return json_is_array(specs) ? 0 : err_set(e, "takes a list");
}

static int split_paths(const struct context *r, const json_t *args, struct piece *v,
		       struct err *e)
{
	const json_t *specs = json_array_get(args, 1);
	bool *target;

	if (want(v, PIECE_GRAPH, e) < 0)
		return -1;
	target = mem_zero(v->n, sizeof *target);
	for (size_t i = 0; i < json_array_size(specs); i++) {
		const json_t *spec = json_array_get(specs, i);
		if (json_is_object(spec)) {
			mark_paths(r, json_object_get(spec, "children_of"));
			piece_target_children(v, r->mark, target);
		} else {
			mark_paths(r, spec);
			piece_target(v, r->mark, target);
		}
	}
	piece_split_off(v, target);
	free(target);
	return 0;
}

/* --- operations with operations --- */

static int check_map(const json_t *args, int depth, struct err *e)
{
	return check_operation(json_array_get(args, 1), depth, e);
}

static int map(const struct context *r, const json_t *args, struct piece *v,
	       struct err *e)
{
	if (want(v, PIECE_LIST, e) < 0)
		return -1;
	for (size_t i = 0; i < v->n; i++)
		if (apply_operation(r, json_array_get(args, 1), &v->item[i], e) < 0)
			return -1;
	return 0;
}

static int check_pipe(const json_t *args, int depth, struct err *e)
{
	return check_list(json_array_get(args, 1), depth, e);
}

static int pipe_through(const struct context *r, const json_t *args, struct piece *v,
			struct err *e)
{
	return apply_list(r, json_array_get(args, 1), v, e);
}

static int check_over(const json_t *args, int depth, struct err *e)
{
	const char *key = json_string_value(json_array_get(args, 1));

	if (key == NULL || piece_part(key) < 0)
		return err_set(e, "takes 'main', 'common' or 'rest' and an operation");
	return check_operation(json_array_get(args, 2), depth, e);
}

static int over(const struct context *r, const json_t *args, struct piece *v,
		struct err *e)
{
	const char *key = json_string_value(json_array_get(args, 1));

	if (want(v, PIECE_PARTS, e) < 0)
		return -1;
	struct piece *part = &v->item[piece_part(key)];
	if (part->kind == PIECE_NOTHING)
		return err_set(e, "there is no part '%s'", key);
	return apply_operation(r, json_array_get(args, 2), part, e);
}

static const struct operation known[] = {
    {"flatten", 0, check_nothing, flatten},
    {"limit_layers", 1, check_count, limit_layers},
    {"map", 1, check_map, map},
    {"over", 2, check_over, over},
    {"pipe", 1, check_pipe, pipe_through},
    {"popularity_contest", 0, check_nothing, popularity_contest},
    {"remove_paths", 1, check_path_or_paths, remove_paths},
    {"reverse", 0, check_nothing, reverse},
    {"split_every", 1, check_count, split_every},
    {"split_paths", 1, check_specs, split_paths},
    {"subcomponent_in", 1, check_paths, subcomponent_in},
    {"subcomponent_out", 1, check_paths, subcomponent_out},
};

/* Returns NULL if there is no operation with this name. */
static const struct operation *find_operation(const char *name)
{
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(known[i].name, name) == 0)
			return &known[i];
	return NULL;
}

static const struct operation *operation_of(const json_t *operation)
{
	return find_operation(json_string_value(json_array_get(operation, 0)));
}

static int check_operation(const json_t *operation, int depth, struct err *e)
{
	const char *name = json_string_value(json_array_get(operation, 0));

	if (name == NULL)
		return err_set(e, "an operation is a list that starts with its name");
	const struct operation *o = find_operation(name);
	if (o == NULL)
		return err_set(e, "there is no operation '%s'", name);
	if (json_array_size(operation) - 1 != o->n_args)
		return err_set(e, "%s: takes %zu argument%s, not %zu", name, o->n_args,
			       o->n_args == 1 ? "" : "s", json_array_size(operation) - 1);
	if (depth == DEPTH_MAX)
		return err_set(e, "more than %d operations within each other", DEPTH_MAX);
	if (o->check(operation, depth + 1, e) < 0)
		return err_prefix(e, "%s", name);
	return 0;
}

static int check_list(const json_t *operations, int depth, struct err *e)
{
	if (!json_is_array(operations))
		return err_set(e, "a pipeline is a list of operations");
	for (size_t i = 0; i < json_array_size(operations); i++)
		if (check_operation(json_array_get(operations, i), depth, e) < 0)
			return err_prefix(e, "operation %zu", i + 1);
	return 0;
}

static int apply_operation(const struct context *r, const json_t *operation,
			   struct piece *v, struct err *e)
{
	const struct operation *o = operation_of(operation);

	if (o->apply(r, operation, v, e) < 0)
		return err_prefix(e, "%s", o->name);
	return 0;
}

static int apply_list(const struct context *r, const json_t *operations, struct piece *v,
		      struct err *e)
{
	for (size_t i = 0; i < json_array_size(operations); i++)
		if (apply_operation(r, json_array_get(operations, i), v, e) < 0)
			return err_prefix(e, "operation %zu", i + 1);
	return 0;
}

static void write_plan(const struct piece *flat, struct plan *p)
{
	for (size_t i = 0; i < flat->n; i++) {
		for (size_t k = 0; k < flat->item[i].n; k++)
			plan_add(p, flat->item[i].node[k]);
		plan_close(p);
	}
}

int pipeline_plan(const json_t *operations, const struct graph *g, struct plan *p,
		  struct err *e)
{
	struct piece all, flat = {.kind = PIECE_LIST};
	struct adjacency_mark mark;
	struct context run = {g, &mark};

	if (check_list(operations, 0, e) < 0)
		return -1;
	if (piece_whole(&all, g, e) < 0)
		return -1;
	adjacency_mark_init(&mark, g->paths.n);
	int result = apply_list(&run, operations, &all, e);
	if (result == 0 && all.kind == PIECE_GRAPH)
		result = err_set(e, "the result is a graph, not a list of layers; "
				    "'split_every' or 'popularity_contest' makes a list");
	piece_flatten(&all, &flat);
	if (result == 0)
		write_plan(&flat, p);
	if (result == 0 && p->n == 0)
		result = err_set(e, "no path is left for a layer");
	piece_release(&flat);
	adjacency_mark_release(&mark);
	return result;
}
